"""Emergence of combinations: is a combination shown as often as the product of its concepts says?

If concepts are learned apart, a combination is right as often as the product of their accuracies;
if one waits for all, as often as the rarest of them. If each of n concepts is learned at a constant
rate r, all are after t with probability

    P(t) = (1 − (1 − p)^t)^n = (1 − e^(−rt))^n,  p = 1 − e^(−r)

(Okawa et al., 2023, arXiv:2310.09336): the more concepts, the later and the more suddenly.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize

WITHIN = (0.1, 0.9)  # products of cells that tell one rule from the other
FEWEST_CELLS = 10


class Emergence(NamedTuple):
    """Emergence of combinations over cells, a value per draw; NaN of fewer than 10 cells. excess:
    mean of joint − product. product_error, minimum_error: root mean square of joint minus either.
    cells: how many count."""

    excess: ndarray
    product_error: ndarray
    minimum_error: ndarray
    cells: int


def emergence(
    single: Float[ndarray, "draws cells concepts"], joint: Float[ndarray, "draws cells"]
) -> Emergence:
    """Compare joint accuracies with the product and with the minimum of those of single concepts.

    A cell is a combination at a snapshot. Those with a product within [.1, .9] in the first draw,
    which is the measured one, count in all draws: near 0 and 1 the two rules say the same.
    """
    product, minimum = single.prod(-1), single.min(-1)
    counting = (product[0] >= WITHIN[0]) & (product[0] <= WITHIN[1])
    cells = int(counting.sum())
    if cells < FEWEST_CELLS:
        nothing = np.full(len(joint), np.nan)
        return Emergence(nothing, nothing, nothing, cells)
    apart = np.stack([joint - product, joint - minimum])[..., counting]
    product_error, minimum_error = np.sqrt((apart**2).mean(-1))
    return Emergence(apart[0].mean(-1), product_error, minimum_error, cells)


class ConstantRate(NamedTuple):
    """Fit of (1 − e^(−t/time))^n. time: 1/r, in the unit of t. error: root mean square."""

    time: float
    n: float
    error: float


def constant_rate(
    t: Float[ndarray, " times"], right: Float[ndarray, " times"], trials: Float[ndarray, " times"]
) -> ConstantRate:
    """Likeliest rate and number of concepts of an accuracy that grows as P(t).

    t: above 0. right: shares in [0, 1], of `trials` images each. Raises ValueError for a curve that
    does not pass a half between its ends: of such the rate and n are not told apart.
    """
    if not right[0] < 0.5 <= right[-1]:
        raise ValueError("right: allowed are curves that begin below .5 and end above it")
    half = t[(right >= 0.5).argmax()]
    starts = [
        (np.log(half / np.log(1 / (1 - 0.5 ** (1 / n)))), np.log(n)) for n in (1.0, 4.0, 16.0)
    ]
    fits = [
        minimize(_loss, start, args=(t, right, trials), method="Nelder-Mead") for start in starts
    ]
    log_time, log_n = min(fits, key=lambda fit: fit.fun).x
    error = np.sqrt(np.mean((np.exp(_log_rate(log_time, log_n, t)) - right) ** 2))
    return ConstantRate(float(np.exp(log_time)), float(np.exp(log_n)), float(error))


def _log_rate(log_time: float, log_n: float, t: ndarray) -> ndarray:
    return np.asarray(np.exp(log_n) * np.log(-np.expm1(-t * np.exp(-log_time)) + 1e-300))


def _loss(parameters: ndarray, t: ndarray, right: ndarray, trials: ndarray) -> float:
    """Minus the log-likelihood of the counts, but for a constant."""
    log_p = np.minimum(_log_rate(parameters[0], parameters[1], t), -1e-12)
    return -float(trials @ (right * log_p + (1 - right) * np.log(-np.expm1(log_p))))
