"""Confidence intervals: shares, differences of shares, means over seeds."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats


class Interval(NamedTuple):
    low: float
    high: float


def clopper_pearson(successes: int, runs: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a share: covers it at least that often. Without runs, [0, 1]."""
    if not 0 <= successes <= runs:
        raise ValueError(f"successes: got {successes}, allowed are 0 to {runs}, the runs")
    tail, failures = (1 - confidence) / 2, runs - successes
    low = stats.beta.ppf(tail, successes, failures + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, failures) if failures else 1.0
    return Interval(float(low), float(high))


def newcombe(
    successes: tuple[int, int], runs: tuple[int, int], confidence: float = 0.95
) -> Interval:
    """Interval of the first share minus the second (Newcombe 1998, method 10: Wilson's scores)."""
    share, low, high = np.empty(2), np.empty(2), np.empty(2)
    for i in range(2):
        share[i] = successes[i] / runs[i]
        test = stats.binomtest(successes[i], runs[i])
        low[i], high[i] = test.proportion_ci(confidence, method="wilson")
    difference = share[0] - share[1]
    return Interval(
        float(difference - np.hypot(share[0] - low[0], high[1] - share[1])),
        float(difference + np.hypot(high[0] - share[0], share[1] - low[1])),
    )


def mean_over_seeds(
    values: Float[ndarray, " seeds"],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    num_draws: int = 9999,
) -> Interval:
    """Interval of the mean of one value per seed (or paired difference), BCa bootstrap of seeds.

    Raises ValueError for fewer than 8 seeds, too few to stand for others, and for values that are
    not finite: say what a diverged run counts as. Equal values give an interval without width;
    values too far apart for the bootstrap's squares and cubes give NaN.
    """
    if len(values) < 8:
        raise ValueError(f"got {len(values)} seeds; fewer than 8 are not resampled")
    if not np.isfinite(values).all():
        raise ValueError(f"got {(~np.isfinite(values)).sum()} values that are not finite")
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (values,), np.mean, confidence_level=confidence, n_resamples=num_draws, rng=rng
        ).confidence_interval
    return Interval(float(found.low), float(found.high))
