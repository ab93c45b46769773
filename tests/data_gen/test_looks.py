"""Scenes that look the same: symmetries against the renderer, overlaps against plain counting."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_gen.concepts import Concept
from data_gen.dataset import check_training, images_of, leak_check, training_set
from data_gen.factors import FACTORS
from data_gen.looks import as_seen, period, seen_share
from data_gen.render import Canvas, coverage
from data_gen.scene_sets import InTurn, held_out_scenes
from data_gen.world import Nuisance, World, WorldConfig
from ground.endings import Mistake

SHAPES = tuple(FACTORS["shape"].words)


@pytest.mark.parametrize("triangle", ["equilateral", "isosceles"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_period_is_the_least_turn_that_changes_no_pixel(shape, triangle):
    world = World(WorldConfig(concepts={"shape": Concept((shape,))}, triangle=triangle))
    one = InTurn(world).sample(0, "test", torch.arange(1))
    one = replace(one, x=torch.zeros(1), y=torch.zeros(1))

    def turned(degrees: float) -> torch.Tensor:
        return coverage(replace(one, rotation=torch.tensor([degrees])), Canvas(64, triangle))

    turn = period(shape, triangle)
    same = (17.0, 90.0, 211.0) if math.isnan(turn) else (turn, -2 * turn)
    others = () if math.isnan(turn) else (turn / 2, turn / 3, turn / 5)
    assert all((turned(degrees) - turned(0.0)).abs().max() < 1e-3 for degrees in same)
    assert all((turned(degrees) - turned(0.0)).abs().max() > 0.1 for degrees in others)


@pytest.mark.parametrize("turn", [72.0, 90.0, 360.0])
@pytest.mark.parametrize("low, high", [(60.0, 85.0), (-20.0, 10.0), (-300.0, -299.0)])
def test_angles_are_seen_in_a_range_if_some_number_of_turns_takes_them_there(turn, low, high):
    angle = np.linspace(-360, 360, 2881)
    turns = np.arange(-12, 13)[:, None] * turn
    inside = ((angle + turns >= low) & (angle + turns <= high)).any(0)
    seen = as_seen(angle, low, high, turn)
    assert np.array_equal((seen >= low) & (seen <= high), inside)
    assert np.array_equal(seen, as_seen(torch.from_numpy(angle), low, high, turn).numpy())
    whole = (seen - angle) / turn
    assert np.allclose(whole, whole.round())
    off = np.maximum(low - (angle + turns), (angle + turns) - high).clip(0).min(0)
    assert np.allclose(np.maximum(low - seen, seen - high).clip(0), off)
    share = seen_share((-360.0, 360.0), low, high, turn)
    assert share == pytest.approx(inside.mean(), abs=2 * 720 / turn / 2881)


def turned_world(shapes: tuple[str, ...], signal: float, held_out: str, jitter: float = 5.0):
    rotation = Concept(("upright", "tilted"), signal, jitter)
    concepts = {"shape": Concept(shapes), "rotation": rotation}
    return World(WorldConfig(concepts=concepts, held_out=(held_out,), num_images=4000))


@pytest.mark.parametrize(
    "shapes, signal, held_out, shown",
    [
        (("square", "triangle"), 90.0, "square tilted", "square upright"),
        (("triangle", "star"), 144.0, "star upright", "star tilted"),
        (("circle", "square"), 30.0, "circle tilted", "circle upright"),
    ],
)
def test_what_looks_exactly_as_training_does_cannot_be_held_out(shapes, signal, held_out, shown):
    with pytest.raises(Mistake, match=f"world.held_out: '{held_out}' looks exactly as '{shown}' d"):
        turned_world(shapes, signal, held_out)


def test_the_same_turn_of_another_shape_can_be_held_out():
    world = turned_world(("square", "triangle"), 90.0, "triangle tilted")
    assert leak_check(world, training_set(world)).looks == (
        "0 of 4000 training images have numbers of a held-out combination",
    )


def test_values_without_a_distance_cannot_be_held_out():
    concepts = {"shape": Concept(("circle", "square")), "color": Concept(("red", "blue"), 0.0, 0.1)}
    with pytest.raises(Mistake, match="'circle red' looks exactly as 'circle blue' does"):
        World(WorldConfig(concepts=concepts, held_out=("circle red",)))


def test_colors_that_overlap_are_counted():
    """Red ± .3 about (.6, .4, .4) has blue's red, at most .7, in two thirds, and its blue too."""
    concepts = {
        "color": Concept(("red", "blue"), 0.2, 0.3),
        "size": Concept(("small", "large"), 0.3, 0.04),
    }
    world = World(WorldConfig(concepts=concepts, held_out=("blue small",), num_images=4096))
    check = check_training(world)
    shown = check.shown["red", "small"]
    spread = math.sqrt(shown * 4 / 9 * 5 / 9)
    assert check.alike == pytest.approx(shown * 4 / 9, abs=5 * spread)
    (line,) = check.report().looks
    assert line == (
        f"{check.alike} of 4096 training images have numbers of a held-out combination; "
        f"{check.alike} of them 'red small' as 'blue small'"
    )
    assert leak_check(world, training_set(world)) == check.report()


def test_turned_squares_that_overlap_are_counted():
    """0 ± 30 and 70 ± 30, which a square shows as −20 ± 30: those up to 10 degrees are both."""
    world = turned_world(("square", "triangle"), 70.0, "square tilted", 30.0)
    data = training_set(world)
    angle = data.numbers["rotation"][:, 0]
    square = data.combination == world.space.index(("square", "upright"))
    expected = int((square & (angle <= 10)).sum())
    check = check_training(world)
    assert check.alike == expected > 500


def test_held_out_scenes_themselves_are_all_found():
    """What is drawn as held out lies, by its numbers, where that combination is drawn."""
    concepts = {
        "shape": Concept(("star", "circle")),
        "size": Concept(("small", "large"), 0.6),  # raised to its floor
        "rotation": Concept(("upright", "leaning"), 180.0, 15.0),  # half a star's turn apart
        "background": Concept(("dark", "light"), 0.5),
    }
    nuisances = {"color": Nuisance((0.0, 1.0)), "style": Nuisance((), ("filled", "outlined"))}
    config = WorldConfig(concepts=concepts, held_out=("star small leaning light",))
    world = World(replace(config, nuisances=nuisances))
    data = images_of(world, held_out_scenes(world), torch.arange(300))
    numbers = {name: part.numpy() for name, part in data.numbers.items()}
    own = data.combination.numpy()
    assert world.lookalikes.count(own, numbers, own[:1])[0] == 300
    other = np.array([world.space.index(("star", "small", "upright", "light"))])
    assert world.lookalikes.count(own, numbers, other)[0] == 0
