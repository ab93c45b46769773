"""Limits beyond which an instrument is unsure: what a stated share of further images exceeds.

The share holds for any distribution and any number of images: of n + 1 values drawn alike, the
last is as likely at any of the n + 1 ranks (split conformal prediction, Vovk et al. 2005). A plain
quantile promises too little where images are few: at 20 of them, 5.7 % are beyond that of 99 %.
"""

import math

from jaxtyping import Float
from torch import Tensor


def limit_of(values: Float[Tensor, " n"], rate: float) -> Float[Tensor, ""]:
    """Limit that one more value is beyond with probability `expected_rate(n, rate)`: one of the
    values, at most the largest, whatever the rate: without a limit, noise would pass too."""
    return values.sort().values[-_ranks_beyond(len(values), rate)]


def expected_rate(count: int, rate: float) -> float:
    """Rate kept by `limit_of`: to within 1 / (count + 1) the one asked for, or, of fewer values
    than `least(rate)`, 1 / (count + 1)."""
    return _ranks_beyond(count, rate) / (count + 1)


def least(rate: float) -> int:
    """The number of values from which on `limit_of` keeps the rate."""
    return math.ceil(1 / rate) - 1


def _ranks_beyond(count: int, rate: float) -> int:
    """Of the count + 1 that one more value may have: ranks above that of the limit, one at least.
    With rank r of the limit it is count + 1 − r, so the limit is the r-th smallest value."""
    return max(math.floor((count + 1) * rate), 1)
