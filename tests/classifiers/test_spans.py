"""What no world shows is no scene, however well it is fitted; what is a little off is one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from classifiers.degradation import with_blur, with_noise
from classifiers.oracle import UNSURE, Oracle
from classifiers.spans import PLACE, Spans
from data_gen.concepts import Concept
from data_gen.render import Canvas, render
from data_gen.scenes import Scenes, draw_scenes
from data_gen.world import Nuisance, World, WorldConfig
from studies.experiment.world_file import read_world_file

COUNT = 48
LIMIT = 0.1  # of residuals: far above those of clean images


@pytest.fixture(scope="module", params=["quickstart", "swingby_2x2", "worlds/p2_2x2"])
def world(request, root: Path) -> World:
    return World(read_world_file(root / "configs" / f"{request.param}.yaml").world)


@pytest.fixture(scope="module")
def oracle(world) -> Oracle:
    return Oracle(world.config)


@pytest.fixture(scope="module")
def scenes(world) -> Scenes:
    index = torch.arange(COUNT)
    return draw_scenes(world, index % len(world.space), 3, "test", index)


def drawn(oracle: Oracle, scenes: Scenes) -> torch.Tensor:
    """uint8 (n, h, w, 3)."""
    images = render(scenes, Canvas.of(oracle.config)).permute(0, 2, 3, 1)
    return (images * 255).round().to(torch.uint8)


def plain(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb).expand(COUNT, 3).contiguous()


def planted(oracle: Oracle, scenes: Scenes) -> dict[str, Scenes]:
    """The same scenes, each with one thing that no span of the world allows."""
    ends = oracle.search.ends
    return {
        "black": replace(scenes, color=plain(0.0, 0.0, 0.0)),
        "magenta": replace(scenes, color=plain(1.0, 0.0, 1.0)),
        "half the least size": replace(scenes, size=torch.full((COUNT,), ends["size"][0] / 2)),
        "beside its place": replace(scenes, x=torch.full((COUNT,), ends["x"][1] + PLACE + 0.35)),
        "on gray": replace(scenes, background=plain(0.55, 0.55, 0.55)),
    }


@pytest.mark.parametrize(
    "what", ["black", "magenta", "half the least size", "beside its place", "on gray"]
)
def test_it_is_unsure_of_what_no_span_allows(oracle, scenes, what):
    images = drawn(oracle, planted(oracle, scenes)[what])
    read = oracle.read(images, LIMIT)
    assert read.residual.max() < LIMIT and (read.signal > 60).double().mean() > 0.9
    unsure = (read.indices == UNSURE).all(1).double().mean()
    assert unsure >= 0.95, f"{what}: unsure of {unsure:.0%}"
    assert (read.indices[:, 0] == UNSURE).double().mean() >= 0.95
    taken = oracle.read(images)  # without a limit all are taken for scenes
    found = taken.signal > 60
    assert torch.equal(taken.allowed, read.allowed) and (taken.indices[found] != UNSURE).all()


def test_it_stays_sure_of_scenes_that_are_noisy_softer_tinted_or_a_little_off(oracle, scenes):
    clean, size = drawn(oracle, scenes), oracle.config.image_size_px
    tint = 0.05 * torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0))
    changed = {
        "noisy": with_noise(clean, 0.1, 0, "test"),
        "softer": with_blur(clean, size / 40),
        "tinted": drawn(oracle, replace(scenes, color=(scenes.color + tint).clamp(0, 1))),
        "larger": drawn(oracle, replace(scenes, size=scenes.size * 1.04)),
        "darker": drawn(oracle, replace(scenes, background=scenes.background - 0.05)),
    }
    assert oracle.read(clean).allowed.all()
    for what, images in changed.items():
        assert oracle.read(images).allowed.double().mean() >= 0.97, what


def test_the_nearest_numbers_lie_in_the_nearest_box():
    concepts = {"size": Concept(("small", "big"), spans={"small": (0.2, 0.3), "big": (0.6, 0.7)})}
    spans = Spans.of(WorldConfig(concepts=concepts), "size")
    numbers = torch.tensor([[0.05], [0.25], [0.4], [0.5], [0.9]])
    expected = torch.tensor([[0.2], [0.25], [0.3], [0.6], [0.7]])
    assert torch.allclose(spans.nearest(numbers), expected)


def test_an_angle_is_as_near_as_the_shapes_symmetry_says_and_a_circles_is_any():
    nuisances = {"rotation": Nuisance((-10.0, 10.0))}
    spans = Spans.of(
        WorldConfig(concepts={"shape": Concept(("square",))}, nuisances=nuisances), "rotation"
    )
    found = spans.nearest(
        torch.tensor([[85.0], [25.0], [25.0]]), torch.tensor([[90.0], [90.0], [torch.nan]])
    )
    assert found.flatten().tolist() == pytest.approx([-5.0, 10.0, 25.0])
