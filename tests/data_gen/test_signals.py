"""Signals through the renderer against what can be worked out by hand; the two dials."""

import math
from dataclasses import replace

import pytest
import torch

from data_gen.concepts import Concept, place
from data_gen.dataset import training_set
from data_gen.scenes import class_tables
from data_gen.signals import match_signal, mean_gap, pixel_gaps, sensitivity
from data_gen.vectors import class_vector, coordinates, one_hot, vector
from data_gen.world import Nuisance, World, WorldConfig
from ground.endings import Mistake

PLAIN = WorldConfig(
    concepts={
        "color": Concept(("red", "blue"), signal=0.4, jitter=0.0),
        "size": Concept(("small", "large"), signal=0.2, jitter=0.0),
    },
    image_size_px=64,
)


def dialled(**concepts: Concept) -> World:
    return World(replace(PLAIN, concepts={**PLAIN.concepts, **concepts}))


def test_the_gap_of_colors_is_signal_times_the_root_of_twice_the_area():
    """Two channels differ by the signal on π r² · (64 / 2)² pixels; r is .35 or .55."""
    roots = [math.sqrt(2 * math.pi) * r * 32 for r in (0.35, 0.55)]
    expected = 0.4 * sum(roots) / 2
    (gap,) = pixel_gaps(World(PLAIN), "color")
    assert (gap.first, gap.second) == ("red", "blue")
    assert gap.mean == pytest.approx(expected, rel=0.02)


def test_the_sensitivity_to_size_is_the_root_of_the_edge():
    """The edge, 2 π r · 32 pixels long, moves 32 pixels a half-frame: contrast · 32 · √(2π r · 32),
    as every pixel on it goes from the background's color to the disc's within a pixel."""
    world = World(
        replace(
            PLAIN,
            concepts={"size": Concept(("small", "large"), 0.2, 0.0)},
            nuisances={"color": Nuisance((0.0, 0.0)), "background": Nuisance((1.0, 1.0))},
        )
    )
    expected = sum(math.sqrt(3) * 32 * math.sqrt(2 * math.pi * r * 32) for r in (0.35, 0.55)) / 2
    assert sensitivity(world, "size") == pytest.approx(expected, rel=0.03)


def test_signal_and_diversity_move_alone():
    low, high = Concept(("red", "blue"), 0.2, 0.03), Concept(("red", "blue"), 0.6, 0.03)
    wide = replace(low, jitter=0.1)
    assert mean_gap(dialled(color=high), "color") == pytest.approx(
        3 * mean_gap(dialled(color=low), "color"), rel=0.02
    )
    assert mean_gap(dialled(color=wide), "color") == pytest.approx(
        mean_gap(dialled(color=low), "color"), rel=0.02
    )
    means, spreads = zip(
        *((p.mean, p.spread) for p in (place("color", low), place("color", wide))), strict=True
    )
    assert (means[0] == means[1]).all() and (spreads[0] != spreads[1]).all()


def test_matched_signals_have_equal_gaps():
    world = World(PLAIN)
    gap = mean_gap(world, "color")
    signal = match_signal(world, "size", gap)
    matched = dialled(size=replace(PLAIN.concepts["size"], signal=signal))
    assert mean_gap(matched, "size") == pytest.approx(gap, rel=0.01)
    with pytest.raises(
        Mistake, match="color reaches a pixel gap of .* at its largest signal 1, ask"
    ):
        match_signal(world, "color", 1e6)


def test_one_value_has_no_signal():
    world = dialled(shape=Concept(("circle",)))
    with pytest.raises(Mistake, match="world.concepts.shape: has one value; a signal needs two"):
        mean_gap(world, "shape")
    with pytest.raises(Mistake, match="--match: shape has no signal to move"):
        match_signal(world, "shape", 1.0)


def test_conditions_say_what_is_shown():
    world = World(replace(PLAIN, num_images=100))
    data = training_set(world)
    hot = one_hot(world.space, data.combination)
    assert hot.shape == (100, 4) and (hot.sum(1) == 2).all()
    red_small = world.space.index(("red", "small"))
    assert hot[data.combination == red_small][0].tolist() == [1, 0, 1, 0]
    z = coordinates(world, data)
    assert z.shape == (100, 4)  # three of the color, one of the size
    assert torch.equal(z[:, :3], data.numbers["color"])


def test_the_vector_of_the_paper_has_eleven_entries(tiny_world):
    """[circle, square, x, y, r, g, b, size, background r, g, b]; what is no concept is 0."""
    data = training_set(tiny_world)
    v = vector(tiny_world, data)
    assert v.shape == (256, 11)
    circle = torch.tensor(
        [tiny_world.space.combinations[c][0] == "circle" for c in data.combination]
    )
    assert torch.equal(v[:, 0] == 1, circle) and torch.equal(v[:, :2].sum(1), torch.ones(256))
    assert torch.equal(v[:, 4:7], data.numbers["color"])
    assert torch.equal(v[:, 7:8], data.numbers["size"])
    assert not v[:, 2:4].any() and not v[:, 8:].any()


def test_held_out_prompts_are_class_means(tiny_world):
    held_out = tiny_world.space.index(("square", "blue", "small"))
    expected = [0, 1, 0, 0, 0.15, 0.15, 0.85, 0.3, 0, 0, 0]
    assert class_vector(tiny_world)[held_out].tolist() == pytest.approx(expected)
    assert class_tables(tiny_world)["size"][0][held_out].item() == pytest.approx(0.3)
