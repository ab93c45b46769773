"""How far one order agrees with another: rank correlation over runs and what each has measured."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import rankdata

from analysis.measures.intervals import FEWEST_SEEDS, Interval


class RankAgreement(NamedTuple):
    """Spearman's ρ and its 95 % interval, NaN where there is none."""

    estimate: float
    interval: Interval


def rank_agreement(
    predicted: Float[ndarray, "runs k"],
    measured: Float[ndarray, "runs k"],
    *,
    rng: np.random.Generator,
    num_draws: int = 9999,
) -> RankAgreement:
    """Rank correlation over all k values of all runs; equal values share the mean of their ranks.

    Infinite values are later than all others, and equal. NaN if either side has one value alone.
    The interval is a percentile bootstrap of runs; fewer than 8 runs cannot stand for others and
    have none. Raises ValueError for values that are NaN.
    """
    if np.isnan(predicted).any() or np.isnan(measured).any():
        raise ValueError("predicted and measured: allowed are numbers, and infinity for never")
    runs = len(predicted)
    estimate = float(_spearman(predicted.reshape(1, -1), measured.reshape(1, -1))[0])
    if runs < FEWEST_SEEDS or np.isnan(estimate):
        return RankAgreement(estimate, Interval(np.nan, np.nan))
    drawn = rng.integers(runs, size=(num_draws, runs))
    found = _spearman(*(side[drawn].reshape(num_draws, -1) for side in (predicted, measured)))
    low, high = np.nanquantile(found, [0.025, 0.975])
    return RankAgreement(estimate, Interval(float(low), float(high)))


def _spearman(
    first: Float[ndarray, "draws n"], second: Float[ndarray, "draws n"]
) -> Float[ndarray, " draws"]:
    """Pearson's correlation of the ranks of every draw; NaN where a side has none."""
    x, y = (rankdata(side, axis=1) - (side.shape[1] + 1) / 2 for side in (first, second))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
