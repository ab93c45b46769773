"""Sets of scenes: what is drawn lies in them, exact counts, ranges held out."""

from dataclasses import replace

import pytest
import torch

from data_gen.concepts import Concept
from data_gen.dataset import images_of, leak_check, training_set
from data_gen.scene_sets import (
    InRanges,
    InTurn,
    held_out_scenes,
    training_scenes,
    unseen_numbers,
)
from data_gen.scenes import Scenes
from data_gen.world import Nuisance, World, WorldConfig, held_out_share
from ground.endings import Mistake

SPACED = {"small": (0.2, 0.3), "medium": (0.3, 0.45), "large": (0.45, 0.6)}
CONTINUOUS = WorldConfig(
    concepts={
        "shape": Concept(("circle", "square")),
        "size": Concept(("small", "medium", "large"), spans=SPACED),
    },
    held_out=("square large",),
    held_out_ranges={"size": (0.4, 0.5), "x": (-0.1, 0.1)},
    num_images=3000,
)


def test_training_and_held_out_scenes_exclude_each_other():
    world = World(CONTINUOUS)
    index = torch.arange(3000)
    train, held_out = training_scenes(world), held_out_scenes(world)
    shown, tested = train.sample(0, "scene", index), held_out.sample(0, "scene", index)
    assert train.contains(shown).all() and not held_out.contains(shown).any()
    assert held_out.contains(tested).all() and not train.contains(tested).any()
    assert not InRanges(CONTINUOUS.held_out_ranges).contains(shown).any()
    unseen = unseen_numbers(world)
    new = unseen.sample(0, "unseen", index)
    assert unseen.contains(new).all() and not train.contains(new).any()
    assert InTurn(world).contains(new).all()


def test_what_is_not_held_out_is_still_shown_evenly():
    """The sizes of `medium` fill .3 to .4 as before; only .4 to .45 is gone."""
    scenes = training_scenes(World(CONTINUOUS)).sample(0, "scene", torch.arange(30_000))
    medium = scenes.size[(scenes.size >= 0.3) & (scenes.size < 0.45)]
    counts = torch.histc(medium, bins=5, min=0.3, max=0.4)
    assert counts.sum() == len(medium)
    assert (counts / len(medium)).tolist() == pytest.approx([0.2] * 5, abs=0.02)


def test_a_scene_drawn_again_depends_on_its_index_alone():
    scenes = training_scenes(World(CONTINUOUS))
    whole = scenes.sample(5, "scene", torch.arange(200))
    order = torch.tensor([7, 3, 199, 0])
    part = scenes.sample(5, "scene", order)
    assert torch.equal(part.size, whole.size[order]) and torch.equal(part.x, whole.x[order])


def test_leak_reports_say_which_way_a_range_must_be_reached():
    world = World(CONTINUOUS)
    report = leak_check(world, training_set(world))
    assert report.ranges == {
        "size": "[0.4, 0.5] (interpolation)",
        "x": "[-0.1, 0.1] (interpolation)",
    }
    beyond = World(replace(CONTINUOUS, held_out=(), held_out_ranges={"size": (0.5, 1.0)}))
    assert (
        "no size in [0.5, 1] (extrapolation)" in leak_check(beyond, training_set(beyond)).lines()[0]
    )


TURNED = WorldConfig(
    concepts={"shape": Concept(("square", "triangle", "star", "circle"))},
    held_out_ranges={"rotation": (60.0, 85.0)},
    nuisances={"rotation": Nuisance((-170.0, 200.0)), "x": Nuisance((0.0, 0.0))},
    num_images=2000,
)
SAME_AFTER = {"square": 90.0, "triangle": 120.0, "star": 72.0}


def looks_held_out(world: World, scenes: Scenes) -> list[bool]:
    """Whether some whole number of turns takes the angle into the range; a disc's never."""
    low, high = world.config.held_out_ranges["rotation"]
    found = []
    for combination, angle in zip(
        scenes.combination.tolist(), scenes.rotation.tolist(), strict=True
    ):
        turn = SAME_AFTER.get(world.space.combinations[combination][0])
        turns = range(-6, 7) if turn else ()
        found.append(any(low <= angle + k * turn <= high for k in turns))
    return found


def test_rotations_are_held_out_by_how_a_shape_looks():
    world = World(TURNED)
    shown = training_scenes(world).sample(0, "scene", torch.arange(2000))
    assert not any(looks_held_out(world, shown))
    circles = shown.combination == world.space.index(("circle",))
    inside = (shown.rotation[circles] >= 60) & (shown.rotation[circles] <= 85)
    assert inside.any()  # a disc looks as at any other angle, so none of it is held out
    unseen = unseen_numbers(world).sample(0, "unseen", torch.arange(600))
    assert all(looks_held_out(world, unseen))
    assert {world.space.combinations[i][0] for i in unseen.combination.tolist()} == {*SAME_AFTER}
    data = training_set(world)
    assert leak_check(world, data).ranges == {"rotation": "[60, 85] (interpolation)"}
    for angle, leaks in ((-25.0, True), (156.0, False)):  # 65 and 66 degrees, less 90
        square = data.combination.tolist().index(0)
        planted = data.numbers["rotation"].clone()
        planted[square] = angle
        changed = replace(data, numbers={**data.numbers, "rotation": planted})
        if leaks:
            with pytest.raises(Mistake, match=f"training image {square} has rotation .65.0., held"):
                leak_check(world, changed)
    # five times 25 of its 370 degrees
    share = held_out_share(world, "rotation", ("star",))
    assert share == pytest.approx(25 * 5 / 370, abs=1e-6)


def test_an_isosceles_triangle_looks_the_same_after_a_whole_turn_alone():
    ranges = {"rotation": (-30.0, -10.0)}
    config = WorldConfig(
        concepts={"shape": Concept(("triangle",))},
        held_out_ranges=ranges,
        nuisances={"rotation": Nuisance((0.0, 360.0))},
        triangle="isosceles",
        num_images=1000,
    )
    angle = training_scenes(World(config)).sample(0, "scene", torch.arange(1000)).rotation
    assert not ((angle >= 330) & (angle <= 350)).any()
    assert ((angle >= 90) & (angle <= 110)).any()


@pytest.mark.parametrize(
    "shapes, limits, message",
    [
        (("square",), (0.0, 90.0), r"hides rotation of square \(-180 . 180\) completely, by what"),
        (("circle", "ring"), (10.0, 30.0), "holds out nothing of rotation, which is of circle"),
    ],
)
def test_rotations_that_look_alike_cannot_be_held_out(shapes, limits, message):
    config = WorldConfig(
        concepts={"shape": Concept(shapes)},
        held_out_ranges={"rotation": limits},
        nuisances={"rotation": Nuisance((-180.0, 180.0))},
    )
    with pytest.raises(Mistake, match=message):
        World(config)


def test_a_planted_number_is_caught():
    world = World(CONTINUOUS)
    data = images_of(world, InTurn(world), torch.arange(64))
    kept = torch.tensor([c != 5 for c in data.combination.tolist()])  # square large is held out
    data = replace(
        data,
        images=data.images[kept],
        combination=data.combination[kept],
        captions=("a small circle",),
        caption=torch.zeros(int(kept.sum()), dtype=torch.int64),
        numbers={name: numbers[kept] for name, numbers in data.numbers.items()},
    )
    with pytest.raises(Mistake, match=r"leak: training image \d+ has size .*, held out"):
        leak_check(world, data)


def test_exact_counts_are_exact_and_dealt_at_random(tiny_config):
    config = replace(
        tiny_config, frequencies={"all": 100.0, "circle red small": 10.0}, num_images=610
    )
    world = World(replace(config, exact_counts=True))
    counts = training_set(world).combination.bincount(minlength=8).tolist()
    assert counts == [100, 10, 100, 100, 100, 100, 100, 0]
    drawn = training_set(World(config)).combination.bincount(minlength=8)
    assert drawn.tolist() != counts and drawn[1] < 30
    first_half = training_set(world).combination[:305].bincount(minlength=8)
    assert (first_half[[0, 2, 3, 4, 5, 6]] - 50).abs().max() < 20


def test_validation_images_follow_the_training_images(tiny_config):
    whole = training_set(World(tiny_config))
    part = training_set(World(replace(tiny_config, validation=0.25)))
    assert len(part) == 192 and torch.equal(part.images, whole.images[:192])


@pytest.mark.parametrize(
    "ranges, message",
    [
        ({"shape": (0.0, 1.0)}, "held_out_ranges.shape: unknown; allowed size, x, y, rotation"),
        ({"size": (0.5, 0.4)}, r"size: got \[0.5, 0.4\], allowed \[low, high\] in 0 to 1"),
        ({"x": (0.8, 0.9)}, "x: .0.8, 0.9. holds out nothing of x, which is -0.3 . 0.3"),
        ({"x": (0.1, 0.1)}, r"x: got \[0.1, 0.1\], allowed"),
        ({"size": (0.25, 0.46)}, r"hides size medium \(0.3 . 0.45\) completely"),
        ({"x": (-0.3, 0.3)}, r"hides x \(-0.3 . 0.3\) completely"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, message):
    with pytest.raises(Mistake, match=message):
        World(replace(CONTINUOUS, held_out_ranges=ranges))


def test_ranges_that_leave_next_to_nothing_together_are_refused():
    """Each leaves 7 % of its number, all three a three-thousandth of the scenes."""
    config = replace(
        CONTINUOUS,
        concepts={"shape": Concept(("triangle",))},
        held_out=(),
        held_out_ranges={"x": (-0.3, 0.258), "y": (-0.3, 0.258), "rotation": (-180.0, 154.8)},
        nuisances={"rotation": Nuisance((-180.0, 180.0))},
        triangle="isosceles",
    )
    with pytest.raises(
        Mistake, match="x, y, rotation together leave 0.0% of the scenes of 'triangle"
    ):
        World(config)


def test_a_held_out_floor_takes_what_is_raised_to_it():
    """small is .15 ± .225: 39 % of its scenes lie at the floor of .1."""
    concepts = {"size": Concept(("small", "large"), 0.6)}
    config = WorldConfig(concepts, held_out_ranges={"size": (0.05, 0.1)}, num_images=500)
    world = World(config)
    assert training_set(world).numbers["size"].min() > 0.1
    small = World(replace(config, held_out_ranges={})).space.index(("small",))
    shown = training_scenes(World(replace(config, held_out_ranges={})))
    scenes = shown.sample(0, "scene", torch.arange(4000))
    floored = (scenes.size == 0.1)[scenes.combination == small].float().mean()
    assert floored.item() == pytest.approx(0.175 / 0.45, abs=0.03)


def test_there_must_be_held_out_scenes_to_draw_some(tiny_config):
    with pytest.raises(Mistake, match="world.held_out: is empty"):
        held_out_scenes(World(replace(tiny_config, held_out=())))
