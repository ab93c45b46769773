"""Worlds at random: none crashes, leaves its range, leaks, or depends on how it is cut."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from data_gen.captions import CaptionConfig
from data_gen.concepts import Concept
from data_gen.dataset import images_of, leak_check, training_set
from data_gen.factors import FACTORS
from data_gen.scene_sets import training_scenes
from data_gen.world import Nuisance, World, WorldConfig
from ground.endings import Mistake

KINDS = tuple(name for name, factor in FACTORS.items() if not factor.channels)


@st.composite
def concepts(draw, name: str) -> Concept:
    factor = FACTORS[name]
    words = draw(st.lists(st.sampled_from(list(factor.words)), min_size=1, max_size=3, unique=True))
    if name == "size" and {"large", "big"} <= set(words):
        words.remove("big")
    if not factor.channels:
        return Concept(tuple(words))
    room = factor.high - factor.centre
    signal = draw(st.floats(0.05, 0.6)) * room
    return Concept(tuple(words), signal, draw(st.floats(0, 0.15)) * room)


@st.composite
def nuisances(draw, name: str) -> Nuisance:
    factor = FACTORS[name]
    if not factor.channels:
        words = st.lists(st.sampled_from(list(factor.words)), min_size=1, unique=True)
        return Nuisance((), tuple(draw(words)))
    low = factor.floor or factor.low
    ends = sorted(draw(st.lists(st.floats(low, factor.high), min_size=2, max_size=2)))
    return Nuisance(tuple(ends))


def _middle(low: float, high: float) -> tuple[float, float] | None:
    """The middle third of a range that is wide enough to have one."""
    third = (high - low) / 3
    return (low + third, high - third) if third > 0.01 else None


@st.composite
def configs(draw) -> tuple[WorldConfig, CaptionConfig]:
    names = draw(st.lists(st.sampled_from(list(FACTORS)), min_size=1, max_size=4, unique=True))
    rate = st.floats(0, 0.9)
    chosen = {name: draw(concepts(name)) for name in names}
    sizes = [len(concept.values) for concept in chosen.values()]
    share = draw(st.integers(1, 2)) / math.prod(sizes)
    possible = min(sizes) > 1 and math.prod(sizes) >= 4
    held_out = (f"random({share:.6f}, seed {draw(st.integers(0, 9))})",) if possible else ()
    others = {n: draw(nuisances(n)) for n in FACTORS if n not in names and draw(st.booleans())}
    ranged = {n: _middle(*v.range) for n, v in others.items() if FACTORS[n].channels == 1}
    world = WorldConfig(
        concepts=chosen,
        held_out=held_out if draw(st.booleans()) else (),
        held_out_ranges={n: r for n, r in ranged.items() if r and draw(st.booleans())},
        seed=draw(st.integers(0, 2**63 - 1)),
        image_size_px=draw(st.sampled_from([8, 13])),
        num_images=16,
        exact_counts=draw(st.booleans()),
        nuisances=others,
        triangle=draw(st.sampled_from(["equilateral", "isosceles"])),
        blur_px=draw(st.sampled_from([0.0, 0.7, 3.0])),
        pixel_noise=draw(st.sampled_from([0.0, 0.2])),
    )
    captions = CaptionConfig(
        drop_article=draw(rate),
        drop_word={names[0]: draw(rate)},
        wrong_word={names[-1]: draw(rate)} if len(world.concepts[names[-1]].values) > 1 else {},
        shuffled=draw(st.booleans()),
    )
    return world, captions


def check_world(pair: tuple[WorldConfig, CaptionConfig]) -> bool:
    """Draw a world and check all that must hold; False if the config is refused, a line each."""
    try:
        world = World(*pair)
        data = training_set(world)
    except Mistake as mistake:
        assert all(line.startswith(("world.", "captions.")) for line in mistake.lines)
        return False
    leak_check(world, data)
    for name, factor in FACTORS.items():
        if factor.channels:
            low = factor.floor or factor.low
            assert data.numbers[name].min() >= low - 1e-5
            assert data.numbers[name].max() <= factor.high + 1e-5
    order = torch.tensor([5, 0, 11])
    part = images_of(world, training_scenes(world), order)
    assert torch.equal(part.images, data.images[order])
    if not world.captions.shuffled:
        named = [data.captions[i] for i in data.caption[order].tolist()]
        assert [part.captions[i] for i in part.caption.tolist()] == named
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(configs())
def test_random_worlds(pair):
    check_world(pair)


@pytest.mark.slow
@pytest.mark.full
def test_ten_thousand_random_worlds():
    """Drawn, not refused. Many short searches: a long one dwells on what it has seen."""
    drawn: list[bool] = []
    while sum(drawn) < 10_000:

        @seed(len(drawn))
        @settings(
            max_examples=500,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(configs())
        def run(pair):
            drawn.append(check_world(pair))

        run()
        assert len(drawn) < 40_000, "too many worlds are refused"
