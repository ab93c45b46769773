"""What happens along a curve or path: rises, turns, swings, who is first. Arrays in, arrays out.

Curves are float arrays whose last axis is time, the same times in each run; axes before it (runs,
settings) are kept. A curve with a value that is not finite has diverged: its measures are NaN, its
counts 0, its swing False.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


class Rise(NamedTuple):
    """Rise of each curve. height: how much, ≥ 0. start, end: places in time; equal where nothing
    rises."""

    height: ndarray
    start: ndarray
    end: ndarray


class Turns(NamedTuple):
    rises: ndarray
    falls: ndarray


class Swing(NamedTuple):
    """Swing of each curve. swings: whether. height: largest fall from a peak, 0 without one. peak,
    trough: places."""

    swings: ndarray
    height: ndarray
    peak: ndarray
    trough: ndarray


def largest_rise(curves: Float[ndarray, "*runs times"]) -> Rise:
    """Largest rise L_j − L_i over i ≤ j, with the first such i and j."""
    lowest = np.minimum.accumulate(curves, axis=-1)
    with np.errstate(invalid="ignore"):
        above = curves - lowest
    end = above.argmax(-1)
    start = (curves == _at(lowest, end)[..., None]).argmax(-1)
    finite = np.isfinite(curves).all(-1)
    return Rise(np.where(finite, _at(above, end), np.nan), start, end)


def relative_rise(losses: Float[ndarray, "*runs times"]) -> Rise:
    """Relative rise ρ = max_{i≤j}(L_j − L_i) / L_0: how non-monotone a loss is, as a share of its
    start.

    Raises ValueError for curves that start at 0 or below, which have no such share.
    """
    _check_starts(losses)
    rise = largest_rise(losses)
    return rise._replace(height=rise.height / losses[..., 0])


def count_turns(losses: Float[ndarray, "*runs times"], threshold: float = 0.01) -> Turns:
    """Rises by more than `threshold` · L_0, separated by falls by more than that, and those falls.

    "Triple descent" is three falls with two rises between them. Raises ValueError for curves that
    start at 0 or below.
    """
    _check_starts(losses)
    finite = np.isfinite(losses).all(-1)
    losses = np.where(finite[..., None], losses, 0)
    band = threshold * losses[..., 0]
    low = high = losses[..., 0]
    rising = falling = np.zeros(low.shape, bool)
    rises = falls = np.zeros(low.shape, int)
    for now in np.moveaxis(losses, -1, 0):
        low, high = np.minimum(low, now), np.maximum(high, now)
        up, down = ~rising & (now - low > band), ~falling & (high - now > band)
        rises, falls = rises + up, falls + down
        rising, falling = (rising & ~down) | up, (falling & ~up) | down
        low, high = np.where(down, now, low), np.where(up, now, high)
    return Turns(rises, falls)


def swing(
    coordinates: Float[ndarray, "*runs times"], growth: float = 0.05, fall: float = 0.05
) -> Swing:
    """A coordinate that grows by `growth` above its start, then falls by `fall` from that peak."""
    highest = np.maximum.accumulate(coordinates, axis=-1)
    grown = highest >= coordinates[..., :1] + growth
    with np.errstate(invalid="ignore"):
        drop = np.where(grown, highest - coordinates, 0)
    trough = drop.argmax(-1)
    peak = (coordinates == _at(highest, trough)[..., None]).argmax(-1)
    height = np.where(np.isfinite(coordinates).all(-1), _at(drop, trough), np.nan)
    return Swing(height >= fall, height, peak, trough)


def bow(paths: Float[ndarray, "*runs times 2"], arrived: float = 0.95) -> Float[ndarray, "*runs"]:
    """Bow B: mean of c_2 − c_1 up to the first time with both ≥ `arrived`, or over all times."""
    finite = np.isfinite(paths).all((-2, -1))
    paths = np.where(finite[..., None, None], paths, 0)
    there = (paths >= arrived).all(-1)
    used: ndarray = np.cumsum(there, axis=-1) - there == 0
    return np.where(finite, np.mean(paths[..., 1] - paths[..., 0], axis=-1, where=used), np.nan)


def ordered_pairs(corners: Int[ndarray, "corners s"]) -> Int[ndarray, "pairs 2"]:
    """Index pairs (u, v) of 0/1 corners with u ≤ v in every concept and u ≠ v; 3^s − 2^s in all."""
    below = (corners[:, None] <= corners).all(-1)
    return np.argwhere(below & ~np.eye(len(corners), dtype=bool))


class OrderViolations(NamedTuple):
    """Violations of an order. share: of the ordered pairs violated. largest: max of L(u) − L(v) −
    slack; ≤ 0 if none is."""

    share: ndarray
    largest: ndarray


def order_violations(
    losses: Float[ndarray, "*runs corners"],
    corners: Int[ndarray, "corners s"],
    slack: Float[ndarray, "*runs"] | float = 0.0,
) -> OrderViolations:
    """Pairs u ≤ v of the hypercube whose losses are not in that order: L(u) > L(v) + slack.

    Leave the row 0…0 out of both arguments to leave the origin out.
    """
    u, v = ordered_pairs(corners).T
    losses = np.where(np.isfinite(losses).all(-1)[..., None], losses, np.nan)
    excess = losses[..., u] - losses[..., v] - np.asarray(slack)[..., None]
    largest = excess.max(-1)
    return OrderViolations(np.where(np.isnan(largest), np.nan, (excess > 0).mean(-1)), largest)


def _check_starts(losses: ndarray) -> None:
    if (losses[..., 0] <= 0).any():
        raise ValueError("losses: allowed are curves that start above 0")


def _at(curves: ndarray, place: ndarray | np.integer) -> ndarray:
    """The value of each curve at its own place."""
    return np.take_along_axis(curves, np.asarray(place)[..., None], -1)[..., 0]
