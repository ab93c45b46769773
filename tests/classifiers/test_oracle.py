"""The oracle: known scenes are read back, other images are recognised as none."""

import math
from pathlib import Path

import pytest
import torch

from classifiers.degradation import with_blur
from classifiers.oracle import UNSURE, Oracle
from data_gen.concepts import Concept
from data_gen.dataset import Dataset, labelled_set
from data_gen.factors import FACTORS
from data_gen.render import SHAPES, Canvas, render
from data_gen.scenes import Scenes
from data_gen.world import Nuisance, World, WorldConfig
from ground.endings import Mistake
from studies.experiment.world_file import read_world_file

COLOR = Concept(("red", "blue"), signal=0.6, jitter=0.0)
CONFIGS = (
    *("quickstart", "tiny", "swingby_2x2", "cube_2x2x2", "multiplicative_2x2x2"),
    *("worlds/p1_swingby", "worlds/p2_2x2", "worlds/p2_2x2x2", "worlds/p2_background"),
    *("worlds/p2_color_sweep", "worlds/p2_underspecified", "worlds/p3_adversarial"),
    *("worlds/p3_frequencies", "worlds/p3_three_colors"),
)


def world_of(*shapes: str, size_px: int = 32, **changes) -> WorldConfig:
    """A world of red and blue objects, upright unless `changes` say otherwise."""
    nuisances = {"shape": Nuisance(values=shapes), "size": Nuisance((0.3, 0.6))}
    nuisances |= changes.pop("nuisances", {})
    nuisances = {k: v for k, v in nuisances.items() if k not in changes.get("concepts", {})}
    changes["concepts"] = {"color": COLOR} | changes.get("concepts", {})
    return WorldConfig(image_size_px=size_px, nuisances=nuisances, **changes)


def picture(config: WorldConfig, shape: str, style: str = "filled", **numbers) -> torch.Tensor:
    """uint8 (1, h, w, 3) of one scene; numbers not given are those of a red object, upright."""
    given = {"x": 0.0, "y": 0.0, "size": 0.4, "rotation": 0.0} | numbers
    color, background = given.pop("color", (0.8, 0.2, 0.2)), given.pop("background", (0.95,) * 3)
    scene = Scenes(
        combination=torch.tensor([0]),
        shape=torch.tensor([SHAPES.index(shape)]),
        style=torch.tensor([tuple(FACTORS["style"].words).index(style)]),
        color=torch.tensor([color]),
        background=torch.tensor([background]),
        **{name: torch.tensor([number]) for name, number in given.items()},
    )
    drawn = render(scene, Canvas.of(config)).permute(0, 2, 3, 1)
    return (drawn * 255).round().to(torch.uint8)


def renders(world: World, seed: int, count: int) -> tuple[Dataset, torch.Tensor, torch.Tensor]:
    """A labelled set, its images (n, h, w, 3) and the place of each value."""
    data = labelled_set(world, seed, "test", 0, count)
    values = torch.tensor([world.space.value_indices(c) for c in world.space.combinations])
    return data, data.images.permute(0, 2, 3, 1), values[data.combination]


@pytest.fixture(scope="module")
def quickstart(root: Path) -> World:
    return World(read_world_file(root / "configs" / "quickstart.yaml").world)


@pytest.fixture(scope="module")
def oracle(quickstart) -> Oracle:
    return Oracle(quickstart.config)


# Known scenes


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size_px", [16, 32])
def test_a_known_scene_is_read_back(shape, size_px):
    config = world_of(shape, size_px=size_px)
    known = dict(x=0.23, y=-0.31, size=0.42, color=(0.1, 0.5, 0.6), background=(0.9, 1.0, 0.95))
    numbers = Oracle(config).read(picture(config, shape, **known)).numbers
    for name, value in known.items():
        tolerance = 0.01 if name in ("color", "background") else 0.002
        expected = value if isinstance(value, tuple) else (value,)
        assert numbers[name][0].tolist() == pytest.approx(expected, abs=tolerance), name


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("circle", "ring")])
@pytest.mark.parametrize("degrees", [-19.0, 0.0, 3.5, 28.0])
def test_a_known_rotation_is_read_back_up_to_symmetry(shape, degrees):
    config = world_of(shape, nuisances={"rotation": Nuisance((-30.0, 30.0))})
    reading = Oracle(config).read(picture(config, shape, rotation=degrees)).numbers["rotation"]
    period = Oracle(config).search.period(shape)
    off = (reading.item() - degrees + period / 2) % period - period / 2
    assert abs(off) < 0.5 and abs(reading.item()) <= period / 2


def test_what_looks_the_same_from_all_sides_has_no_rotation():
    concepts = {"rotation": Concept(("upright", "tilted"), signal=30.0)}
    config = world_of("circle", "triangle", concepts=concepts)
    images = [picture(config, shape, rotation=30.0) for shape in ("circle", "triangle")]
    read = Oracle(config).read(torch.cat(images))
    assert math.isnan(read.numbers["rotation"][0]) and read.indices[:, 1].tolist() == [UNSURE, 1]


@pytest.mark.parametrize("style", ["filled", "outlined"])
@pytest.mark.parametrize("shape", ["circle", "triangle", "pentagon", "star"])
def test_shape_and_style_are_told_apart(shape, style):
    concepts = {"shape": Concept(SHAPES), "style": Concept(("filled", "outlined"))}
    config = world_of(*SHAPES, concepts=concepts)
    read = Oracle(config).read(picture(config, shape, style, x=0.1, size=0.5))
    assert read.indices[0, 1:].tolist() == [SHAPES.index(shape), style == "outlined"]


def test_an_object_of_three_pixels_cut_by_the_border_is_read():
    config = world_of("circle", size_px=16, nuisances={"size": Nuisance((0.15, 0.6))})
    read = Oracle(config).read(picture(config, "circle", x=0.3, size=0.19)).numbers
    assert (read["size"].item(), read["x"].item()) == pytest.approx((0.19, 0.3), abs=0.005)
    wide = world_of("circle", nuisances={"x": Nuisance((-0.9, 0.9))})
    read = Oracle(wide).read(picture(wide, "circle", x=0.85, size=0.5)).numbers
    assert (read["size"].item(), read["x"].item()) == pytest.approx((0.5, 0.85), abs=0.005)


def test_the_worlds_own_blur_is_no_error():
    config = world_of("square", blur_px=1.5)
    read = Oracle(config).read(picture(config, "square", x=-0.2, size=0.3))
    assert read.numbers["size"].item() == pytest.approx(0.3, abs=0.003)
    assert read.residual.item() < 0.002


@pytest.mark.parametrize("blur_px", [0.7, 1.4])
def test_a_scene_softer_than_the_worlds_is_read(oracle, quickstart, blur_px):
    _, images, targets = renders(quickstart, 5, 120)
    read = oracle.read(with_blur(images, blur_px))
    assert (read.indices == targets).double().mean(0).min() >= 0.98
    assert read.residual.median() < 0.015


# Concepts


def test_color_has_a_place_between_the_means_and_size_is_a_number():
    config = world_of("circle", concepts={"size": Concept(("small", "big"), signal=0.3)})
    colors = [(0.8, 0.2, 0.2), (0.5, 0.2, 0.5), (0.2, 0.2, 0.8), (1.0, 0.2, 0.0)]
    read = Oracle(config).read(torch.cat([picture(config, "circle", color=c) for c in colors]))
    assert read.places["color"].tolist() == pytest.approx([0, 0.5, 1, 0], abs=0.01)
    assert read.places["size"].tolist() == pytest.approx([0.4] * 4, abs=0.003)
    assert read.indices[[0, 2, 3], 0].tolist() == [0, 1, 0]


def test_class_means_are_in_the_unit_of_places(oracle):
    concepts = {
        "size": Concept(("small", "large"), signal=0.3, jitter=0.02),
        "rotation": Concept(("upright", "tilted"), spans={"upright": (-10.0,), "tilted": (20.0,)}),
    }
    means = Oracle(world_of("square", concepts=concepts)).class_places()
    assert {name: mean.tolist() for name, mean in means.items()} == {
        "color": [0, 1],
        "size": pytest.approx([0.3, 0.6]),
        "rotation": pytest.approx([-10, 20]),
    }
    assert list(oracle.class_places()) == ["size"]  # four colors lie on no line, shapes nowhere


def test_the_nearest_declared_span_decides():
    spans = {"small": (0.3, 0.44), "big": (0.6, 0.62)}  # .49 is nearer to the mean of neither
    config = world_of("circle", concepts={"size": Concept(("big", "small"), spans=spans)})
    sizes = (0.3, 0.49, 0.55, 0.61)
    read = Oracle(config).read(torch.cat([picture(config, "circle", size=s) for s in sizes]))
    assert read.indices[:, 1].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("name", CONFIGS)
def test_renders_of_every_config_are_read_right(name, root):
    world = World(read_world_file(root / "configs" / f"{name}.yaml").world)
    data, images, targets = renders(world, 3, 240)
    read = Oracle(world.config).read(images)
    assert (read.indices == targets).double().mean(0).min() >= 0.99
    assert (read.numbers["x"] - data.numbers["x"]).abs().quantile(0.99) < 0.01
    color = (read.numbers["color"] - data.numbers["color"]).abs().flatten().double()
    assert color.quantile(0.95) < 0.01
    assert read.allowed.all()
    assert read.residual.median() < 0.003


def test_sixteen_kinds_turned_and_outlined_are_read_right(root):
    world = World(read_world_file(root / "configs" / "worlds" / "every_factor.yaml").world)
    _, images, targets = renders(world, 3, 192)
    read = Oracle(world.config).read(images)
    assert (read.indices == targets).double().mean(0).min() >= 0.98
    assert read.allowed.double().mean() >= 0.98


# What is no scene


def test_blanks_have_no_object_but_may_have_a_background():
    concepts = {"background": Concept(("light", "dark"), signal=0.6)}
    config = world_of("circle", size_px=16, concepts=concepts)
    blanks = torch.tensor([200, 60], dtype=torch.uint8)[:, None, None, None].expand(2, 16, 16, 3)
    read = Oracle(config).read(blanks)
    assert read.indices.tolist() == [[UNSURE, 0], [UNSURE, 1]]
    assert read.residual.max() < 1e-3


def test_pure_noise_has_no_object(oracle):
    noise = torch.randint(0, 256, (200, 16, 16, 3), generator=torch.Generator().manual_seed(1))
    read = oracle.read(noise.to(torch.uint8))
    assert (read.indices == UNSURE).all() and read.residual.min() > 0.2


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_limit_refuses_renders_at_its_rate_and_two_objects_always(oracle, quickstart, noise):
    limit = oracle.limit(0.05, seed=1, noise=noise, count=400)
    _, images, _ = renders(quickstart, 2, 300)
    first, second = (picture(quickstart.config, "circle", x=x, y=x, size=0.28) for x in (-0.5, 0.5))
    two = torch.minimum(first, second)
    read = oracle.read(torch.cat((images, two)), limit)
    assert (read.indices[-1] == UNSURE).all()
    if not noise:
        assert 0.02 < (read.indices[:-1] == UNSURE).all(1).double().mean() < 0.1
    else:
        assert (read.indices[:-1] != UNSURE).all() and limit == pytest.approx(noise, rel=0.1)


def test_a_rate_is_a_share(oracle):
    with pytest.raises(Mistake, match="rate: got 1.5, allowed above 0 and below 1"):
        oracle.limit(1.5, seed=0)


# Batches


def test_order_and_batches_change_nothing(oracle, quickstart):
    _, images, _ = renders(quickstart, 4, 60)
    noise = torch.randint(0, 256, (20, 16, 16, 3), generator=torch.Generator().manual_seed(2))
    images = torch.cat((images, noise.to(torch.uint8)))
    order = torch.randperm(80, generator=torch.Generator().manual_seed(3))
    whole, turned = oracle.read(images), oracle.read(images[order])
    parts = [oracle.read(part) for part in images.split(7)]
    assert torch.equal(whole.indices[order], turned.indices)
    assert torch.equal(whole.indices, torch.cat([part.indices for part in parts]))
    assert torch.allclose(whole.residual[order], turned.residual, atol=1e-5)
    sizes = torch.cat([part.numbers["size"] for part in parts])
    assert torch.allclose(whole.numbers["size"][:60], sizes[:60], atol=1e-3)
    assert torch.equal(oracle.read(images).residual, whole.residual)


@pytest.mark.parametrize(
    "images, got",
    [
        (torch.zeros(2, 16, 16, 3), r"torch.float32 \(2, 16, 16, 3\)"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), r"torch.uint8 \(2, 3, 16, 16\)"),
        (torch.zeros(16, 16, 3, dtype=torch.uint8), r"torch.uint8 \(16, 16, 3\)"),
        (torch.zeros(0, 16, 16, 3, dtype=torch.uint8), r"torch.uint8 \(0, 16, 16, 3\)"),
    ],
)
def test_other_images_are_refused(oracle, images, got):
    with pytest.raises(Mistake, match=rf"images: got {got}, allowed torch.uint8 \(n, 16, 16, 3\)"):
        oracle.read(images)
