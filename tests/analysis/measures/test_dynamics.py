"""Measures of curves against slow definitions, and on curves whose truth is planted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.measures.decay import power_law_penalty, terminal_rate
from analysis.measures.dynamics import (
    bow,
    count_turns,
    order_violations,
    ordered_pairs,
    relative_rise,
    swing,
)

CURVES = arrays(float, st.tuples(st.integers(1, 4), st.integers(2, 9)), elements=st.integers(1, 20))
BROKEN = np.array([[1, 0.5, np.nan, 3], [1, 0.5, np.inf, 3]])


@given(CURVES)
@settings(max_examples=150, deadline=None)
def test_the_rise_is_the_largest_over_all_pairs(losses):
    height, start, end = relative_rise(losses)
    for curve, rho, i, j in zip(losses, height, start, end, strict=True):
        pairs = itertools.combinations_with_replacement(range(len(curve)), 2)
        assert rho == max((curve[b] - curve[a]) / curve[0] for a, b in pairs)
        assert i <= j and rho == (curve[j] - curve[i]) / curve[0]


def slow_turns(curve: np.ndarray, threshold: float) -> tuple[int, int]:
    """From turning point to turning point: each the most extreme since the last."""
    kinds, extreme, band = "", {"up": curve[0], "down": curve[0]}, threshold * curve[0]
    for now in curve:
        extreme = {"up": min(extreme["up"], now), "down": max(extreme["down"], now)}
        if not kinds.endswith("u") and now - extreme["up"] > band:
            kinds, extreme["down"] = kinds + "u", now
        elif not kinds.endswith("d") and extreme["down"] - now > band:
            kinds, extreme["up"] = kinds + "d", now
    return kinds.count("u"), kinds.count("d")


@given(CURVES, st.sampled_from([0.01, 0.2, 0.5]))
@settings(max_examples=150, deadline=None)
def test_turns_are_those_counted_one_by_one(losses, threshold):
    rises, falls = count_turns(losses, threshold)
    assert [slow_turns(curve, threshold) for curve in losses] == list(
        zip(rises, falls, strict=True)
    )


@pytest.mark.parametrize(
    "curve, rises, falls",
    [
        ([1, 0.5, 0.2], 0, 1),
        ([1, 0.5, 0.6, 0.2], 1, 2),
        ([1, 0.5, 0.6, 0.2, 0.25, 0.1], 2, 3),
        ([1, 0.5, 0.505, 0.2], 0, 1),
        ([1, 0.5, 0.505, 0.511, 0.2], 1, 2),
        ([1, 0.5, 0.6, 0.595, 0.7, 0.1], 1, 2),
        ([1, 1.2, 1.4], 1, 0),
        ([1, 1, 1], 0, 0),
    ],
)
def test_turns_of_known_curves(curve, rises, falls):
    assert count_turns(np.array(curve, float)) == (rises, falls)


def test_rises_keep_their_place_among_settings_and_runs():
    losses = np.linspace(1, 0, 11) + np.zeros((2, 3, 1))
    losses[1, 2, 6] = 0.9
    rise = relative_rise(losses)
    assert rise.height.shape == (2, 3) and np.count_nonzero(rise.height) == 1
    assert rise.height[1, 2] == pytest.approx(0.4)
    assert (rise.start[1, 2], rise.end[1, 2]) == (5, 6)


@pytest.mark.parametrize(
    "coordinate, swings, height",
    [
        ([0.1, 0.5, 0.3, 1], True, 0.2),
        ([0.1, 0.5, 0.46, 1], False, 0.04),
        ([0.5, 0.3, 0.1, 1], False, 0),
        ([0.5, 0.54, 0.1, 1], False, 0),
        ([0.1, 0.5, 0.3, 1, 0.6], True, 0.4),
    ],
)
def test_a_swing_is_a_growth_and_a_fall_from_its_peak(coordinate, swings, height):
    found = swing(np.array([coordinate]))
    assert found.swings[0] == swings and found.height[0] == pytest.approx(height)
    if swings:
        fall = coordinate[found.peak[0]] - coordinate[found.trough[0]]
        assert fall == pytest.approx(height) and found.peak[0] < found.trough[0]


def test_the_bow_ends_where_both_have_arrived():
    c_1, c_2 = [0, 0.1, 0.5, 0.97, 0], [0, 0.4, 0.96, 0.95, 1]
    paths = np.stack([c_1, c_2], -1)
    expected = (0.3 + 0.46 - 0.02) / 4
    found = bow(np.stack([paths, paths[:, ::-1], 0.5 * paths]))
    np.testing.assert_allclose(found, [expected, -expected, 0.5 * (0.74 + 1) / 5])


def test_diverged_curves_count_as_no():
    assert np.isnan(relative_rise(BROKEN).height).all()
    assert not np.any(count_turns(BROKEN)) and not swing(BROKEN).swings.any()
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert np.isnan(order_violations(BROKEN, corners)).all()


@pytest.mark.parametrize("s, pairs", [(2, 5), (3, 19), (4, 65)])
def test_the_pairs_of_the_hypercube(s, pairs):
    corners = np.array(list(itertools.product([0, 1], repeat=s)))
    found = ordered_pairs(corners)
    assert len(found) == pairs
    assert all((corners[u] <= corners[v]).all() and u != v for u, v in found)


def test_order_violations_are_the_planted_ones():
    corners = np.array(list(itertools.product([0, 1], repeat=4)))
    losses = np.stack([corners.sum(1), corners.sum(1)]).astype(float)
    losses[1, 0] = 1.5  # 0000 above its four neighbors, by .5
    share, largest = order_violations(losses, corners)
    np.testing.assert_allclose(share, [0, 4 / 65])
    np.testing.assert_allclose(largest, [-1, 0.5])
    assert order_violations(losses, corners, np.array([0.0, 0.5])).share[1] == 0
    assert order_violations(losses[:, 1:], corners[1:]).share[1] == 0
    shuffled = np.random.default_rng(0).permutation(16)
    assert order_violations(losses[:, shuffled], corners[shuffled]).share[1] == 4 / 65


def test_terminal_rates_are_those_of_the_decay_between_the_bounds():
    t = np.linspace(0, 10, 101)
    rates = np.array([0.5, 1.3])
    residual = np.exp(-rates[:, None] * t)
    residual[:, residual[0] > 0.9] += 5e-3  # outside the bounds nothing is looked at
    residual += np.where(residual < 0.05, 0.04, 0)
    np.testing.assert_allclose(terminal_rate(t, residual * 7), rates, rtol=0.03)
    exact = np.exp(-rates[:, None] * t)
    np.testing.assert_allclose(terminal_rate(t, exact), rates, rtol=1e-12)
    assert np.isnan(terminal_rate(t, np.exp(-0.1 * t)))


def test_power_laws_and_exponentials_are_told_apart():
    rng, t = np.random.default_rng(1), np.arange(60.0)
    residual = np.stack([np.exp(-0.1 * t), (1 + t) ** -1.5]) * np.exp(rng.normal(0, 0.05, (2, 60)))
    used = np.broadcast_to(t >= 10, residual.shape)
    exponential, power = power_law_penalty(t, residual, used)
    assert exponential > 40 and power < -40
    assert np.isnan(power_law_penalty(t, residual, used & (t < 24))).all()
    residual[0, 30] = -0.1  # past its target: left out
    assert power_law_penalty(t, residual, used)[0] > 40


def test_a_path_that_diverges_has_no_bow():
    """Also if both coordinates were above the threshold before."""
    path = np.array([[0.0, 0.0], [0.5, 0.9], [1.0, 1.0], [np.inf, 2.0]])
    assert np.isnan(bow(path))
    assert bow(path[:3]) == pytest.approx(0.4 / 3)


@pytest.mark.parametrize("measure", [relative_rise, count_turns])
@pytest.mark.parametrize("start", [0.0, -1.0])
def test_a_share_of_a_start_that_is_not_above_zero_is_refused(measure, start):
    with pytest.raises(ValueError, match="losses: allowed are curves that start above 0"):
        measure(np.array([[start, 1.0, 0.5]]))
