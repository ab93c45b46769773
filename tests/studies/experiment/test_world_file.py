"""The shipped worlds: each is read, drawn and shown; the papers' numbers are the papers'."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_gen.bumps.world import BumpWorld
from data_gen.concepts import place
from data_gen.dataset import training_set
from data_gen.render import Canvas, coverage
from data_gen.scene_sets import InTurn, training_scenes
from data_gen.world import World
from ground.endings import Mistake
from ground.reading import read_as
from studies.drawing.rendering import preview
from studies.experiment.config import to_dict
from studies.experiment.world_file import WorldFile, read_world_file

FOLDER = Path(__file__).parents[3] / "configs" / "worlds"
WORLDS = sorted(FOLDER.glob("*.yaml"))
P2 = ["p2_2x2", "p2_2x2x2", "p2_background", "p2_color_sweep", "p2_underspecified", "p1_swingby"]


def read(name: str) -> WorldFile:
    return read_world_file(FOLDER / f"{name}.yaml")


def shapes(name: str) -> World:
    world = read(name).terms.terms
    assert isinstance(world, World)
    return world


@pytest.mark.parametrize("path", WORLDS, ids=lambda path: path.stem)
def test_every_world_says_what_it_asks_is_described_and_shown(path, tmp_path):
    file = read_world_file(path)
    assert file.name == path.stem and file.question
    header = path.read_text().splitlines()[:2]
    assert header[0].startswith("# Question:") and header[1].startswith("# Command:")
    assert read_as(WorldFile, to_dict(file), "") == file
    images = file.terms.images(file.terms.with_files())
    assert any("leak check: 0 of" in line for line in images.describe())
    preview(images, file, tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 1000


@pytest.mark.parametrize("name", P2)
def test_p2_images_are_those_published(name):
    """32 px, 2048 a class, 85/15, centres in ±.5, background U(.8, 1), 1-px blur, noise .001."""
    world = shapes(name)
    config = world.config
    assert (config.image_size_px, config.blur_px, config.pixel_noise) == (32, 1.0, 0.001)
    everything = training_scenes(world).sample(0, "scene", torch.arange(config.num_images))
    counts = everything.combination.bincount()
    assert set(counts[counts > 0].tolist()) == {2048}
    train = everything.combination[: world.num_training_images].bincount()
    assert train.max() - train[train > 0].min() <= 1
    assert world.num_training_images == round(0.85 * 2048 * len(world.split.train))
    for number in (everything.x, everything.y):
        assert -0.5 <= number.min() < -0.49 and 0.49 < number.max() <= 0.5
    if "background" not in world.space.names:
        assert 0.8 <= everything.background.min() < 0.81 and everything.background.max() > 0.99


def test_p2_classes_are_named_by_their_bits():
    two, three = shapes("p2_2x2"), shapes("p2_2x2x2")
    bits = [
        ["".join(map(str, w.space.value_indices(c))) for c in w.split.train] for w in (two, three)
    ]
    assert bits == [["00", "01", "10"], ["000", "001", "010", "100"]]
    held_out = ["".join(map(str, three.space.value_indices(c))) for c in three.split.held_out]
    assert held_out == ["011", "101", "110", "111"]
    assert three.config.triangle == "isosceles"
    adversarial = shapes("p3_adversarial")
    graph = {"".join(map(str, adversarial.space.value_indices(c))) for c in adversarial.split.train}
    assert graph == {"000", "100", "010", "111"}


@pytest.mark.parametrize("c", np.linspace(0.1, 0.8, 20))
def test_p2_color_sweep_has_the_published_means_and_ranges(c):
    """red (.5 + c/2, .5 − c/2, .5 − c/2), each channel ± c/8; inside the cube up to .8 exactly."""
    file = read("p2_color_sweep")
    concepts = {**file.world.concepts}
    concepts["color"] = replace(concepts["color"], signal=float(c))
    world = World(replace(file.world, concepts=concepts), file.captions)
    color = place("color", world.config.concepts["color"])
    high, low = 0.5 + c / 2, 0.5 - c / 2
    assert color.mean.tolist() == [pytest.approx([high, low, low]), pytest.approx([low, low, high])]
    assert color.spread == pytest.approx(np.full((2, 3), c / 8))
    scenes = InTurn(world).sample(0, "test", torch.arange(4000))
    red = scenes.color[scenes.combination < 2, 0]
    assert red.min() >= high - c / 8 - 1e-6 and red.max() <= high + c / 8 + 1e-6
    assert red.max() - red.min() > 0.95 * c / 4


@pytest.mark.parametrize("z", [0.1, 0.2, 0.3, 0.4, 0.5])
def test_p2_sizes_have_the_published_means_ranges_and_floor(z):
    """.45 ± z/2, uniform within ± 3z/8, floor .1, which z = .4 just reaches."""
    file = read("p2_2x2")
    concepts = {**file.world.concepts}
    concepts["size"] = replace(concepts["size"], signal=z)
    scenes = InTurn(World(replace(file.world, concepts=concepts))).sample(
        0, "t", torch.arange(8000)
    )
    for word, sign in (("big", 1), ("small", -1)):
        size = scenes.size[scenes.combination % 2 == (word == "small")]
        mean, reach = 0.45 + sign * z / 2, 3 * z / 8
        assert size.max().item() == pytest.approx(mean + reach, abs=0.002)
        assert size.min().item() == pytest.approx(max(0.1, mean - reach), abs=0.002)
    floored = (scenes.size <= 0.1).float().mean()
    assert (floored > 0.01) == (z > 0.4)


def test_at_the_largest_size_signal_half_of_the_big_discs_are_cut_by_the_frame():
    """48 % at z = .4; and the smallest disc keeps 69 % of its color under the blur."""
    world = shapes("p2_2x2")
    scenes = InTurn(world).sample(0, "test", torch.arange(40_000))
    big = scenes[scenes.combination % 2 == 0]
    reach = torch.maximum(big.x.abs(), big.y.abs()) + big.size
    assert (reach > 1).float().mean().item() == pytest.approx(0.48, abs=0.02)
    smallest = replace(scenes[:64], size=torch.full((64,), 0.1), shape=torch.zeros(64).long())
    peak = coverage(smallest, Canvas.of(world.config)).amax((1, 2)).mean()
    assert peak.item() == pytest.approx(0.69, abs=0.03)


def test_p2_background_as_a_concept():
    """Grey means .5 ± b/2, each channel ± b/8."""
    background = place("background", shapes("p2_background").config.concepts["background"])
    assert background.mean.tolist() == [pytest.approx([0.7] * 3), pytest.approx([0.3] * 3)]
    assert background.spread == pytest.approx(np.full((2, 3), 0.05))


def test_p3_colors_counts_and_sizes():
    world = shapes("p3_frequencies")
    assert world.config.image_size_px == 28
    color = place("color", shapes("p3_three_colors").config.concepts["color"])
    expected = [[0.9, 0.1, 0.1], [0.1, 0.1, 0.9], [0.1, 0.9, 0.1]]
    assert color.mean.tolist() == [pytest.approx(mean) for mean in expected]
    assert not color.spread.any()
    data = training_set(world)
    counts = dict(zip(range(8), data.combination.bincount(minlength=8).tolist(), strict=True))
    assert counts == {0: 1500, 1: 10, 2: 1500, 3: 0, 4: 1500, 5: 0, 6: 0, 7: 0}
    size = place("size", world.config.concepts["size"])
    ratio = (
        (size.mean[0] - size.spread[0]) / size.mean[1],
        (size.mean[0] + size.spread[0]) / size.mean[1],
    )
    assert ratio == (pytest.approx(2.6 / 1.6), pytest.approx(2.7 / 1.6))


def test_underspecified_captions_drop_one_color():
    world = shapes("p2_underspecified")
    data = training_set(world)
    words = [data.captions[i] for i in data.caption.tolist()]
    red_triangle = world.space.index(("triangle", "red"))
    said = [w for w, c in zip(words, data.combination.tolist(), strict=True) if c == red_triangle]
    assert said.count("a triangle") / len(said) == pytest.approx(0.6, abs=0.03)
    assert words.count("a circle") == 0


def test_p4_worlds_have_the_published_tilings():
    bands, both, torus = (
        BumpWorld(read(f"bumps_{n}").terms.terms) for n in ("bands", "both", "torus")
    )
    assert all(isinstance(world, BumpWorld) for world in (bands, both, torus))
    assert len(bands.select("train")) == 25**2 and len(bands.select("intersection")) == 7**2
    assert both.config.margin * 2 + both.config.image_size_px == 44
    assert len(torus.select("train")) == 512


@pytest.mark.parametrize(
    "change, message",
    [
        ({"wrld": 3}, "wrld: unknown key .did you mean 'world'..; allowed: name, world, quest"),
        (
            {"world": {"kind": "shape"}},
            "world.kind: got 'shape' .did you mean 'shapes'.*bumps, photos",
        ),
        (
            {"world": None},
            "world: got None, allowed a mapping",
        ),
        (
            {"world": {"kind": ["shapes"]}},
            "world.kind: got .'shapes'. .did you mean 'shapes'.., allowed shapes",
        ),
        (
            {"world": {"kind": "bumps", "dz": 1}},
            "world.dz: unknown key; allowed: kind, seed, image_size_px",
        ),
    ],
)
def test_mistakes_in_world_files(tmp_path, change, message):
    import yaml

    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({"name": "a", **change}))
    with pytest.raises(Mistake, match=message):
        read_world_file(path)


def test_the_world_of_an_experiment_is_read_alone(root):
    file = read_world_file(root / "configs" / "quickstart.yaml")
    assert len(file.terms.terms.split.held_out) == 6
