"""Scores of forecasts, of curves whose answers are known."""

import numpy as np
import pytest

from analysis.measures.dynamics import largest_rise
from analysis.measures.forecasts import (
    first_above,
    predicted_turn,
    root_mean_square,
    same_order,
    scatter,
    scatter_fall,
    seen_turn,
    skill,
    stays,
    straight_line,
)

X = np.geomspace(1, 100, 9)


def test_baselines_go_on_as_they_say():
    e = np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.1]])
    np.testing.assert_array_equal(stays(e, X[3:5]), [[0.3, 0.3], [0.1, 0.1]])
    line = 0.1 + 0.2 * np.log(X)
    found = straight_line(np.append(0, X[:4]), np.append(-9, line[:4]), np.ones(5), X[4:])
    np.testing.assert_allclose(found, line[4:])


def test_a_straight_line_leans_to_the_values_that_are_known_best():
    x, e = np.array([1.0, np.e, np.e**2]), np.array([0.0, 1.0, 0.0])
    weak = straight_line(x, e, np.array([1.0, 1.0, 1e3]), np.array([np.e**3]))
    assert weak[0] == pytest.approx(3, rel=1e-3)


def test_skill_is_1_for_perfect_0_for_the_baseline_and_below_for_worse():
    error = root_mean_square(np.array([[3.0, 4.0]]))
    assert error == pytest.approx(np.sqrt(12.5))
    assert [skill(e, 2.0) for e in (0.0, 2.0, 3.0)] == [1, 0, -0.5]
    assert np.isnan(skill(1.0, 0.0))


def test_crossings_are_linear_in_ln_x_and_the_first_ones():
    curves = np.array([[0, 0, 0.4, 0.6, 0.2, 0.9, 1, 1, 1], np.zeros(9), np.ones(9)])
    found = first_above(X, curves, 0.5)
    assert found[0] == pytest.approx(np.sqrt(X[2] * X[3]))
    assert np.isinf(found[1]) and found[2] == X[0]


def test_a_predicted_turn_begins_at_its_peak():
    curves = np.array([[0, 0.5, 0.9, 0.8, 0.7, 0.8, 1, 1, 1], np.linspace(0, 1, 9)])
    turn = predicted_turn(X, curves)
    assert turn.turns.tolist() == [True, False]
    assert turn.peak[0] == X[2] and np.isnan(turn.peak[1])


def test_a_turn_is_seen_if_it_is_more_than_noise_of_scenes():
    """On 41 snapshots: so few as nine would call the curve's own bends noise of snapshots."""
    x = np.geomspace(1, 100, 41)
    curve = np.interp(np.log(x), np.log(X), [0, 0.5, 0.9, 0.8, 0.75, 0.8, 1, 1, 1])
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, 41))
    drawn = np.stack([[curve, *(curve + sd * noise)] for sd in (0.005, 0.1)])
    turn = seen_turn(x, drawn, rng=rng)
    assert turn.turns.tolist() == [True, False] and turn.peak[0] == pytest.approx(X[2])


def test_noise_of_snapshots_is_no_turn_but_a_fall_beside_it_is():
    """Of 400 flat curves with such noise 4 to 8 % are called turning."""
    rng, x = np.random.default_rng(0), np.arange(1.0, 31)
    flat = 0.5 + 0.1 * rng.normal(size=(200, 30))
    falling = flat - 0.8 * (x > 15)
    turns = [
        seen_turn(x, np.repeat(curves[:, None], 100, axis=1), rng=rng).turns.mean()
        for curves in (flat, falling)
    ]
    assert turns[0] < 0.12 and turns[1] > 0.95


def test_scatter_is_that_of_noise_and_not_of_the_curve_beneath():
    rng = np.random.default_rng(0)
    curves = np.linspace(0, 3, 40) ** 2 / 9 + 0.05 * rng.normal(size=(300, 40))
    assert scatter(curves).mean() == pytest.approx(0.05, rel=0.1)
    assert (scatter(np.ones((2, 2))) == 0).all()


@pytest.mark.parametrize(
    ("predicted", "measured", "answer"),
    [
        ((1, 2, 3), (10, 20, 30), True),
        ((1, 3, 2), (10, 20, 30), False),
        ((1, 1, 3), (10, 20, 30), False),
        ((1, 2, np.inf), (10, np.inf, np.inf), True),
        ((np.inf, np.inf), (10, 20), None),
        ((1, 2), (np.inf, np.inf), None),
    ],
)
def test_an_order_is_right_if_every_pair_is(predicted, measured, answer):
    assert same_order(*(np.array(t, float) for t in (predicted, measured))) is answer


def test_one_of_twenty_curves_of_noise_falls_beyond_its_scatter():
    """Of 400: .095 is four standard errors above .05. A step of 8 errors down is beyond."""
    rng = np.random.default_rng(0)
    flat = 0.1 * rng.normal(size=(400, 27))
    falling = flat - 0.8 * (np.arange(27) > 15)
    beyond = [
        np.mean([largest_rise(-c).height > scatter_fall(c, rng=rng) for c in curves])
        for curves in (flat, falling)
    ]
    assert beyond[0] <= 0.095 and beyond[1] > 0.95
