"""Crossings with a known place; fits against Student's interval; coverage with censoring."""

import numpy as np
import pytest
from scipy import stats

from analysis.measures.learning_times import (
    learning_time_interval,
    learning_times,
    signal_law,
    typical_time,
)

T = np.geomspace(10, 1000, 25)


def logistic(times: np.ndarray, steepness: float = 4.0) -> np.ndarray:
    """Accuracy curves that pass .8 at `times`."""
    return 1 / (1 + np.exp(-steepness * np.log(T / times[..., None])) / 4)


def brackets(times: np.ndarray, t: np.ndarray = T) -> tuple[np.ndarray, np.ndarray]:
    edges = np.concatenate([[0], t, [np.inf]])
    after = np.searchsorted(edges, times)
    return edges[after - 1], edges[after]


def test_the_time_is_where_a_rising_curve_crosses():
    times = np.array([[30, 100], [320, 47.3]])
    found = learning_times(T, logistic(times))
    np.testing.assert_allclose(found.time, times, rtol=0.01)
    np.testing.assert_array_equal((found.low, found.high), brackets(times))


def test_interpolation_is_linear_in_log_time():
    curve = np.log(T) / np.log(T[-1])
    assert learning_times(T, curve, 0.7).time == pytest.approx(1000**0.7)


def test_dips_are_pooled_and_noise_moves_it_little():
    curve = np.array([0.0, 0.5, 0.9, 0.6, 1.0])
    found = learning_times(np.array([1.0, 2, 4, 8, 16]), curve)
    assert (found.low, found.high) == (8, 16)  # .9 and .6 pool to .75
    noisy = np.random.default_rng(0).binomial(64, logistic(np.full(400, 100.0))) / 64
    assert np.log(learning_times(T, noisy).time / 100).mean() == pytest.approx(0, abs=0.03)


def test_censored_on_both_sides():
    found = learning_times(T, np.stack([np.full(25, 0.9), np.full(25, 0.7)]))
    assert np.isnan(found.time).all()
    assert found.low.tolist() == [0, T[-1]] and found.high.tolist() == [T[0], np.inf]


def test_the_interval_of_one_run_comes_from_its_images():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(60):
        right = (rng.random((25, 100)) < logistic(np.array(120.0))[:, None]).astype(float)
        low, high = learning_time_interval(T, right, rng=rng, num_draws=199)
        covered.append(low <= 120 <= high)
    assert np.mean(covered) >= 0.85
    never = np.zeros((25, 40))
    assert learning_time_interval(T, never, rng=rng) == (np.inf, np.inf)


def test_fine_brackets_give_students_interval():
    log_t = np.random.default_rng(2).normal(5, 0.4, 12)
    fit = typical_time(np.exp(log_t - 1e-4), np.exp(log_t + 1e-4))
    expected = stats.t.interval(0.95, 11, log_t.mean(), stats.sem(log_t))
    assert np.log(fit.estimate) == pytest.approx(log_t.mean(), abs=1e-5)
    np.testing.assert_allclose(np.log(fit.interval), expected, atol=1e-4)
    assert (fit.runs, fit.censored) == (12, 0)


def test_fine_brackets_give_the_line_of_least_squares():
    rng = np.random.default_rng(3)
    signal = rng.uniform(0.1, 1, 15)
    log_t = 4 - 0.7 * np.log(signal) + rng.normal(0, 0.2, 15)
    fit = signal_law(np.exp(log_t - 1e-4), np.exp(log_t + 1e-4), signal)
    line = stats.linregress(np.log(signal), log_t)
    half = stats.t.ppf(0.975, 13) * line.stderr
    assert fit.estimate == pytest.approx(line.slope, abs=1e-4)
    np.testing.assert_allclose(fit.interval, [line.slope - half, line.slope + half], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("median, censored", [(100.0, 0.0), (700.0, 0.2)])
def test_the_interval_over_runs_covers(median, censored):
    times = median * np.exp(np.random.default_rng(4).normal(0, 0.4, (50, 6)))
    fits = [typical_time(*brackets(row)) for row in times]
    fits = [fit for fit in fits if np.isfinite(fit.estimate)]
    covered = np.mean([fit.interval.low <= median <= fit.interval.high for fit in fits])
    assert 0.87 <= covered <= 1 and len(fits) > 45
    assert np.mean([fit.censored / 6 for fit in fits]) == pytest.approx(censored, abs=0.06)
    assert np.mean(np.log([fit.estimate for fit in fits])) == pytest.approx(np.log(median), abs=0.1)


def test_equal_brackets_still_give_an_interval():
    fit = typical_time(np.full(5, 10.0), np.full(5, 20.0))
    assert 10 < fit.interval.low < fit.estimate < fit.interval.high < 20


def test_too_much_censoring_gives_no_estimate():
    fit = typical_time(*brackets(np.array([50.0, 2000, 3000])))
    assert np.isnan([fit.estimate, *fit.interval]).all() and fit.censored == 2


def test_a_run_that_says_nothing_counts_as_censored_and_moves_nothing():
    low, high = brackets(np.array([50.0, 60, 80, 110]))
    without = typical_time(low, high)
    beside = typical_time(np.append(low, 0), np.append(high, np.inf))
    assert (beside.runs, beside.censored) == (5, 1)
    assert (beside.estimate, beside.interval) == (without.estimate, without.interval)


def test_wrong_times_are_refused():
    with pytest.raises(ValueError, match="increasing times above 0"):
        learning_times(np.array([0.0, 1]), np.zeros(2))
    with pytest.raises(ValueError, match="not finite"):
        learning_times(np.array([1.0, 2]), np.array([0, np.nan]))
