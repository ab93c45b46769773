"""Differences of paired shares and spreads: their intervals, and how much pairs that hang together
count.

Of n pairs, `first` are right in the first way alone and `second` in the second alone. The interval
is Bonett and Price's (2012, Journal of Educational and Behavioral Statistics 37:479–488), a Wald
interval with one pair more of each kind:

    p₁ − p₂ ± z √((p₁ + p₂ − (p₁ − p₂)²) / (n + 2)),  p₁ = (first + 1) / (n + 2), p₂ likewise

Images are drawn, not training runs: an interval says what other noise would have changed.
"""

from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from analysis.measures.intervals import Interval


def bonett_price_interval(
    first: int | float, second: int | float, n: int | float, level: float
) -> Interval:
    """Interval of the difference of two paired shares, in [−1, 1].

    first, second: counts of discordant pairs of n, whole or not. level: of coverage, in (0, 1),
    which is kept from below: intervals of few discordant pairs are too wide rather than too narrow.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    p1, p2 = (first + 1) / (n + 2), (second + 1) / (n + 2)
    half = z * sqrt((p1 + p2 - (p1 - p2) ** 2) / (n + 2))
    return Interval(max(p1 - p2 - half, -1.0), min(p1 - p2 + half, 1.0))


def design_effect(difference: np.ndarray) -> float:
    """How many times the variance of a mean is what independent pairs would give (Kish 1965).

    difference: (n, m), of image i at m snapshots. Images are independent, snapshots of one are not:
    they start from the same noise. From 1, never below, to m, where an image's differences are all
    the same; m too where all are, which tell nothing of it.
    """
    m, variance = difference.shape[1], difference.var()
    return max(1.0, float(m * difference.mean(1).var() / variance)) if variance else float(m)


def pitman_morgan_interval(
    first: Float[ndarray, " pairs"], second: Float[ndarray, " pairs"], level: float = 0.95
) -> Interval:
    """Interval of ln SD(first) − ln SD(second) of normal pairs, which may hang together (Pitman and
    Morgan, 1939). Raises ValueError for fewer than three pairs.

    Where the ratio of the variances is F and the correlation r, the ends for the ratio are
    F (K ± √(K² − 1)), K = 1 + 2 (1 − r²) t² / (n − 2), t Student's quantile with n − 2 degrees.
    """
    n = len(first)
    if n < 3:
        raise ValueError(f"got {n} pairs; allowed are 3 and more")
    ratio = float(first.var() / second.var())
    r = float(np.corrcoef(first, second)[0, 1])
    t = float(stats.t.ppf((1 + level) / 2, n - 2))
    k = 1 + 2 * (1 - r**2) * t**2 / (n - 2)
    half, middle = float(np.arccosh(k)) / 2, float(np.log(ratio)) / 2
    return Interval(middle - half, middle + half)
