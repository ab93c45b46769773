"""Size and power of the swing test by simulation, on flat, falling and rising curves."""

import numpy as np
import pytest
from scipy import stats

from analysis.measures.intervals import clopper_pearson
from analysis.measures.swing_test import chance_of_count, mean_swing_test, rising_runs

J = 40


def noise(rng: np.random.Generator, rho: float, *shape: int) -> np.ndarray:
    """AR(1) of standard deviation .03 along the last axis."""
    e = rng.normal(0, 0.03, (*shape, J))
    for j in range(1, J):
        e[..., j] = rho * e[..., j - 1] + np.sqrt(1 - rho**2) * e[..., j]
    return e


def rejected(truth: np.ndarray, runs: int, rho: float, repeats: int) -> tuple[float, float]:
    rng = np.random.default_rng(5)
    curves = truth + noise(rng, rho, repeats, runs)
    p = [mean_swing_test(c, rng=rng, num_draws=199).p for c in curves]
    return clopper_pearson(sum(x <= 0.05 for x in p), repeats)


FLAT = np.full(J, 0.5)
FALLING = np.exp(-np.linspace(0, 3, J))
BUMP = 0.5 + 0.1 * np.exp(-(((np.arange(J) - 20) / 4) ** 2))


@pytest.mark.parametrize("truth", [FLAT, FALLING], ids=["flat", "falling"])
@pytest.mark.parametrize("runs, rho", [(4, 0.0), (5, 0.0), (10, 0.8)])
def test_it_keeps_its_size(truth, runs, rho):
    assert rejected(truth, runs, rho, 150)[0] < 0.06


@pytest.mark.parametrize("runs", [5, 10])
def test_it_finds_a_planted_swing(runs):
    assert rejected(BUMP, runs, 0.8, 60)[0] > 0.5


def test_the_rise_has_its_place_and_its_share():
    curves = BUMP + np.array([0, 1e-4, 2e-4, 3e-4])[:, None]
    found = mean_swing_test(curves, rng=np.random.default_rng(0))
    assert found.end == 20 and found.start == 0
    assert found.rise == pytest.approx(0.1, rel=0.01)
    assert found.relative == pytest.approx(0.2, rel=0.01) and found.p < 0.001
    below = mean_swing_test(curves - 1, rng=np.random.default_rng(0))
    assert below.rise == pytest.approx(found.rise) and np.isnan(below.relative)


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_too_few_runs_are_refused(runs):
    with pytest.raises(ValueError, match=f"got {runs} runs; a test over runs needs 4"):
        mean_swing_test(np.stack([BUMP] * runs), rng=np.random.default_rng(0))


def test_runs_that_turn_at_different_times_are_found_one_by_one():
    rng = np.random.default_rng(6)
    places = np.linspace(5, 35, 8)
    bumps = np.exp(-(((np.arange(J) - places[:, None]) / 2) ** 2))
    truth = np.concatenate([0.5 + 0.2 * bumps, np.full((40, J), 0.5)])
    values = truth[..., None] + rng.normal(0, 0.2, (48, J, 64))
    found = rising_runs(values, rng=rng, num_draws=199)
    assert found[:8].mean() >= 0.75 and found[8:].mean() <= 0.15


def test_curves_without_noise_rise_by_their_share():
    values = np.array([[1, 0.5, 0.505], [1, 0.5, 0.52]])[..., None]
    assert rising_runs(values, rng=np.random.default_rng(0)).tolist() == [False, True]


def test_what_starts_below_zero_rises_by_a_share_of_its_scale():
    """Minus a coordinate: any rise at all exceeds a share of a negative start."""
    values = -np.array([[0.2, 0.505, 0.5], [0.2, 0.52, 0.5]])[..., None]
    rng = np.random.default_rng(0)
    assert rising_runs(values, rng=rng, scale=1.0).tolist() == [False, True]
    with pytest.raises(ValueError, match="scale: needed of curves that do not start above 0"):
        rising_runs(values, rng=rng)


def test_the_chance_of_a_count():
    assert chance_of_count(0, 10) == 1
    assert chance_of_count(2, 10) == pytest.approx(1 - stats.binom.cdf(1, 10, 0.05))
