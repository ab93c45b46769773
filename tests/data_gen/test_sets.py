"""Set algebra against plain set operations, and every mistake's message."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.concepts import ConceptSpace
from data_gen.sets import hamming, read_set
from data_gen.splits import make_split, share_out, weigh
from ground.endings import Mistake

SPACE = ConceptSpace(
    {
        "shape": ("circle", "triangle", "square"),
        "color": ("red", "blue", "green"),
        "size": ("large", "small"),
    }
)
ALL = frozenset(SPACE.combinations)


def read(text: str) -> frozenset:
    return read_set(SPACE, text, "world.held_out")


def having(*values: str) -> frozenset:
    return frozenset(c for c in ALL if set(values) <= set(c))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("all", ALL),
        ("small circle red", frozenset([("circle", "red", "small")])),
        ("small circle red small", frozenset([("circle", "red", "small")])),
        ("blue small", having("blue", "small")),
        ("blue", having("blue")),
        ("circle|square red", having("circle", "red") | having("square", "red")),
        ('"blue small"', having("blue", "small")),
        ("'blue'", having("blue")),
        ('"circle|square red"', having("circle", "red") | having("square", "red")),
        ('all - "blue"', ALL - having("blue")),
        ('"blue" & "small" + "circle red"', having("blue", "small") | having("circle", "red")),
        ('"blue" & ("small" + "circle")', having("blue") & (having("small") | having("circle"))),
        ('all - "red" - "blue"', having("green")),
        ('hamming=0 from "circle red large"', frozenset([("circle", "red", "large")])),
    ],
)
def test_sets_are_what_they_say(text, expected):
    assert read(text) == expected


@given(st.sampled_from(SPACE.combinations), st.integers(0, 3))
def test_hamming_balls_and_spheres(centre, distance):
    near = {c for c in ALL if sum(a != b for a, b in zip(c, centre, strict=True)) <= distance}
    ball = read(f'hamming<={distance} from "{" ".join(centre)}"')
    assert ball == near and all(hamming(c, centre) <= distance for c in ball)
    sphere = read(f'hamming={distance} from "{" ".join(centre)}"')
    assert sphere == {c for c in ball if hamming(c, centre) == distance}


def test_the_distance_from_a_set_is_that_of_its_nearest():
    assert read('hamming<=1 from "circle red"') == {
        c for c in ALL if (c[0] != "circle") + (c[1] != "red") <= 1
    }


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 50))
def test_random_sets_have_their_size_and_leave_every_value(count, seed):
    drawn = read(f"random({count / 18:.4f}, seed {seed})")
    assert len(drawn) == count
    assert {value for c in ALL - drawn for value in c} == set(SPACE.words)
    assert drawn == read(f"random({count / 18:.4f}, seed {seed})")


def test_random_sets_differ_between_seeds():
    assert len({read(f"random(0.3, seed {seed})") for seed in range(20)}) > 10


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "world.held_out: got '', allowed values: shape: circle, triangle, square; color"),
        (" | ", "world.held_out: got ' . ', allowed values"),
        ("circle samll", "unknown value 'samll' .did you mean 'small'"),
        ('"bleu"', "unknown value 'bleu' .did you mean 'blue'"),
        ('"red blue"', "gives color twice; write a|b for either"),
        ('"red|small"', "mixes color and size"),
        ("all -", "unexpected 'its end'"),
        ("(all", r"expected \) before 'its end'"),
        ('all "blue"', "unexpected '\"blue\"'"),
        ("hamming<=1 from circle", "a combination in quotes before 'circle'"),
        ('hamming<=x from "circle"', "expected a whole number before 'x'"),
        ("random(0.95)", "random can take .* of the 18 combinations, not 17"),
        ("random(2)", "at least one and not all, and a seed below 2..63; got 2 and 0"),
        ("random(0.01)", "at least one and not all"),
        ("random(0.2, seed 99999999999999999999)", "got 0.2 and 99999999999999999999"),
        ("(" * 3000 + "all" + ")" * 3000, "unexpected '.'; allowed"),
        ("all % 3", "cannot read '% 3'"),
    ],
)
def test_mistakes_say_what_is_allowed(text, message):
    with pytest.raises(Mistake, match=message):
        read(text)


def test_splits_are_unions_of_sets_and_never_empty():
    split = make_split(SPACE, ['"blue small"', "circle red large"])
    assert set(split.held_out) == having("blue", "small") | {("circle", "red", "large")}
    assert len(split.train) + len(split.held_out) == 18
    with pytest.raises(Mistake, match="takes every combination"):
        make_split(SPACE, ["all"])


def test_frequencies_override_and_correlations_multiply():
    split = make_split(SPACE, ["circle blue small"])
    weights = dict(
        zip(split.train, weigh(SPACE, split, {"all": 3.0, '"red"': 0.5}, {}), strict=True)
    )
    assert weights["circle", "red", "small"] == 0.5 and weights["square", "blue", "small"] == 3
    strong = weigh(SPACE, split, {}, {"shape color": 0.999})
    shown = {c[:2] for c, w in zip(split.train, strong, strict=True) if w > 0.5}
    assert shown == {("circle", "red"), ("triangle", "blue"), ("square", "green")}
    weak = weigh(SPACE, split, {}, {"shape color": 0.5})
    ratios = {w / min(weak) for w in weak}
    assert sorted(ratios) == pytest.approx([1, 4])  # (.5 / 3 + .5) / (.5 / 3)


@pytest.mark.parametrize(
    "frequencies, correlations, message",
    [
        ({'"red"': -1.0}, {}, "frequencies.*: got -1.0, allowed 1e-9 to 1e9"),
        ({"circle blue small": 1.0}, {}, "names no training combination"),
        ({'"red"': 0.0}, {}, "got 0.0, .*world.held_out takes what is never shown"),
        ({}, {"shape": 0.5}, "must name two of the concepts shape, color, size"),
        ({}, {"shape color": 1.0}, "got 1.0, allowed 0 to below 1"),
    ],
)
def test_weights_that_cannot_be_are_refused(frequencies, correlations, message):
    split = make_split(SPACE, ["circle blue small"])
    with pytest.raises(Mistake, match=message):
        weigh(SPACE, split, frequencies, correlations)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9), st.integers(0, 10_000))
def test_shares_are_whole_exact_and_in_proportion(weights, total):
    weights = [*weights, 1.0]
    counts = share_out(weights, total)
    assert sum(counts) == total
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1


def test_every_pattern_agrees_with_a_filter():
    for values in itertools.product(("circle", ""), ("blue", ""), ("small", "")):
        named = [value for value in values if value]
        assert read(f'"{" ".join(named)}"') == having(*named)
