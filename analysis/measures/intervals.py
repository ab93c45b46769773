"""Confidence intervals: shares, differences of shares, means over seeds."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

FEWEST_SEEDS = 8  # that stand for others
MANY_SEEDS = 30  # from which a bootstrap of seeds covers as Student's interval does, or better


class Interval(NamedTuple):
    low: float
    high: float


def binomial_bounds(
    successes: Float[ndarray, "*n"], trials: Float[ndarray, "*n"], confidence: float = 0.95
) -> tuple[Float[ndarray, "*n"], Float[ndarray, "*n"]]:
    """Low and high ends of shares by Clopper and Pearson (1934), which cover at least as often as
    they say.

    successes: counts, or sums of values in [0, 1]: no such value spreads more than a yes or no of
    its mean, so the interval is too wide rather than too narrow. The same is true where trials have
    unlike chances (Hoeffding 1956). Without trials, [0, 1].
    """
    tail, failures = (1 - confidence) / 2, trials - successes
    low = stats.beta.ppf(tail, successes, failures + 1)
    high = stats.beta.ppf(1 - tail, successes + 1, failures)
    return np.where(successes > 0, low, 0.0), np.where(failures > 0, high, 1.0)


def clopper_pearson(successes: int, runs: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a share: covers it at least that often. Without runs, [0, 1]."""
    if not 0 <= successes <= runs:
        raise ValueError(f"successes: got {successes}, allowed are 0 to {runs}, the runs")
    low, high = binomial_bounds(np.array(float(successes)), np.array(float(runs)), confidence)
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


def from_independent(estimates: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the first estimate minus the second, which are independent: distances to the ends
    of theirs are squared and added (Zou and Donner 2008). NaN and infinite ends stay so."""
    (a, b), (of_a, of_b) = estimates, intervals
    return Interval(
        float(a - b - np.hypot(a - of_a.low, of_b.high - b)),
        float(a - b + np.hypot(of_a.high - a, b - of_b.low)),
    )


def mean_over_seeds(
    values: Float[ndarray, " seeds"],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    num_draws: int = 9999,
) -> Interval:
    """Interval of the mean of one value per seed, or of one paired difference per seed.

    Student's t for fewer than MANY_SEEDS, where a bootstrap is too narrow (of 8 normal values it
    covers .87 instead of .95); from there on a BCa bootstrap of seeds, which follows their skew.

    Raises ValueError for fewer than 8 seeds, too few to stand for others, and for values that are
    not finite: say what a diverged run counts as. Equal values give an interval without width;
    values too far apart for squares and cubes give NaN.
    """
    if len(values) < FEWEST_SEEDS:
        raise ValueError(f"got {len(values)} seeds; allowed are {FEWEST_SEEDS} and more")
    if not np.isfinite(values).all():
        raise ValueError(f"got {(~np.isfinite(values)).sum()} values that are not finite")
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]))
    with np.errstate(all="ignore"):
        if len(values) < MANY_SEEDS:
            return _student(values, confidence)
        return _bca(values, confidence, num_draws, rng)


def _student(values: Float[ndarray, " seeds"], confidence: float) -> Interval:
    mean, error = float(values.mean()), float(stats.sem(values))
    half = error * float(stats.t.ppf((1 + confidence) / 2, len(values) - 1))
    return Interval(mean - half, mean + half) if np.isfinite(half) else Interval(np.nan, np.nan)


def _bca(
    values: Float[ndarray, " seeds"], confidence: float, num_draws: int, rng: np.random.Generator
) -> Interval:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (values,), np.mean, confidence_level=confidence, n_resamples=num_draws, rng=rng
        ).confidence_interval
    return Interval(float(found.low), float(found.high))
