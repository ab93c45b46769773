"""Combinations from their concepts: rules that hold exactly, and growth that is planted."""

import numpy as np
import pytest

from analysis.measures.emergence import constant_rate, emergence

P = np.random.default_rng(0).uniform(0.4, 0.95, (1, 40, 3))
T = np.geomspace(10, 2000, 20)


def test_a_product_is_a_product_and_no_minimum():
    found = emergence(P, P.prod(-1))
    counting = ((P.prod(-1) >= 0.1) & (P.prod(-1) <= 0.9)).sum()
    assert found.cells == counting > 10
    assert found.excess[0] == found.product_error[0] == 0 and found.minimum_error[0] > 0.1


def test_a_minimum_is_a_minimum_and_no_product():
    found = emergence(P, P.min(-1))
    assert found.minimum_error[0] == 0 and found.product_error[0] > 0.1
    assert found.excess[0] > 0.1


def test_cells_that_tell_nothing_do_not_count():
    """Of which ten are needed."""
    near_one = np.full((1, 30, 2), 0.99)
    found = emergence(np.concatenate([near_one, P[:, :9, :2]], axis=1), np.ones((1, 39)))
    assert found.cells <= 9 and np.isnan([found.excess[0], found.minimum_error[0]]).all()


def test_the_measured_cells_count_in_every_draw():
    single = np.concatenate([P, np.full_like(P, 0.99)])
    found = emergence(single, np.zeros((2, 40)))
    counting = (P.prod(-1) >= 0.1) & (P.prod(-1) <= 0.9)
    assert counting.sum() == found.cells
    assert found.excess[1] == pytest.approx(-(0.99**3))


@pytest.mark.parametrize("time, n", [(100, 1), (300, 3), (60, 8)])
def test_growth_is_found(time, n):
    found = constant_rate(T, (1 - np.exp(-T / time)) ** n, np.full(20, 64.0))
    assert found.time == pytest.approx(time, rel=0.01) and found.n == pytest.approx(n, rel=0.02)
    assert found.error < 1e-3


def test_noise_moves_growth_little():
    rng = np.random.default_rng(1)
    curve = (1 - np.exp(-T / 200)) ** 3
    fits = [constant_rate(T, rng.binomial(64, curve) / 64, np.full(20, 64.0)) for _ in range(20)]
    assert np.mean(np.log([fit.n for fit in fits])) == pytest.approx(np.log(3), abs=0.1)
    assert np.mean(np.log([fit.time for fit in fits])) == pytest.approx(np.log(200), abs=0.1)


@pytest.mark.parametrize("curve", [0.4 * T / T[-1], 0.5 + 0.5 * T / T[-1]])
def test_a_curve_that_does_not_pass_a_half_is_refused(curve):
    with pytest.raises(ValueError, match="begin below .5 and end above it"):
        constant_rate(T, curve, np.full(20, 64.0))
