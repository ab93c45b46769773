"""Cross-fitted swing: how far a coordinate falls, on images that did not choose where it does.

The largest fall of a noisy curve is above 0 though nothing falls. So half of the images, those of
even number, choose the pair of snapshots i < j with the largest fall c(i) − c(j); the others
measure that fall; then they swap. R is the mean of both. Of a flat curve it is 0 on average,
whatever the noise and however it hangs together in time.

A coordinate is a ratio of sums over units, such as the images of one number or scenes: a mean,
where each counts as 1; a mean over sure images, where the others count as 0; obedience.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

SWING, CERTAIN = 0.15, 0.05  # least R, and what its lower bound must exceed


class CrossFittedSwing(NamedTuple):
    """Result of `cross_fitted_swing`. fall: R. low, high: its 95 % interval over units. start, end:
    places of the largest fall by all units."""

    fall: float
    low: float
    high: float
    start: int
    end: int

    @property
    def swings(self) -> bool:
        """Whether the coordinate turns back: R ≥ .15, and its lower bound > .05."""
        return self.fall >= SWING and self.low > CERTAIN


def cross_fitted_swing(
    sums: Float[ndarray, "times units"],
    counts: Float[ndarray, "times units"],
    *,
    rng: np.random.Generator,
    num_draws: int = 499,
) -> CrossFittedSwing:
    """Swing R of the coordinate Σ sums / Σ counts, and its interval.

    The units of either half are redrawn, one draw for all times; the chosen places stay. Units
    start from the same noise at all times. Raises ValueError for fewer than two times or four
    units.
    """
    times, units = sums.shape
    if times < 2 or units < 4:
        raise ValueError(f"got {times} times and {units} units; allowed are 2 and 4, or more")
    halves = [_curves(sums[:, i::2], counts[:, i::2], rng, num_draws) for i in (0, 1)]
    with np.errstate(invalid="ignore"):  # not known where nothing counts
        whole = sums.sum(1) / counts.sum(1)
    return _cross_fitted(halves, whole[None])


def cross_fitted_rise(
    coordinates: Float[ndarray, "concepts times units"],
    *,
    rng: np.random.Generator,
    num_draws: int = 499,
) -> CrossFittedSwing:
    """Rise of the mean squared distance from 1 of several coordinates, each a mean over the same
    units, as `cross_fitted_swing` measures a fall; `fall` is the rise. Raises ValueError as there.
    """
    _, times, units = coordinates.shape
    if times < 2 or units < 4:
        raise ValueError(f"got {times} times and {units} units; allowed are 2 and 4, or more")
    halves = [-_distances(coordinates[..., i::2], rng, num_draws) for i in (0, 1)]
    return _cross_fitted(halves, -((coordinates.mean(-1) - 1) ** 2).mean(0, keepdims=True))


def _cross_fitted(halves: list[ndarray], whole: ndarray) -> CrossFittedSwing:
    """halves: curves of either, as `_curves` gives them. whole: that of all units, (1, times)."""
    falls = (_falls(*halves) + _falls(*halves[::-1])) / 2
    known = falls[1:][np.isfinite(falls[1:])]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    start, end = largest_falls(whole)
    return CrossFittedSwing(float(falls[0]), float(low), float(high), int(start[0]), int(end[0]))


def _curves(sums: ndarray, counts: ndarray, rng: np.random.Generator, num_draws: int) -> ndarray:
    """(1 + draws, times): the coordinate by all units, then as they are drawn."""
    weights = _weights(sums.shape[1], rng, num_draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((weights @ sums.T) / (weights @ counts.T))


def _distances(values: ndarray, rng: np.random.Generator, num_draws: int) -> ndarray:
    """(1 + draws, times): the mean squared distance from 1 of the means over units."""
    weights = _weights(values.shape[-1], rng, num_draws)
    means = np.einsum("du,ktu->kdt", weights / weights.sum(1, keepdims=True), values)
    return np.asarray(((means - 1) ** 2).mean(0))


def _weights(units: int, rng: np.random.Generator, num_draws: int) -> ndarray:
    """(1 + draws, units): all units once, then as they are drawn."""
    draws = rng.multinomial(units, np.full(units, 1 / units), size=num_draws)
    return np.concatenate([np.ones((1, units)), draws])


def _falls(choosing: ndarray, measuring: ndarray) -> ndarray:
    """How far the curves of one half fall between the places where that of the other falls most."""
    start, end = largest_falls(choosing[:1])
    return np.asarray(measuring[:, start[0]] - measuring[:, end[0]])


def largest_falls(curves: Float[ndarray, "n times"]) -> tuple[ndarray, ndarray]:
    """Places i < j between which each curve falls most or, if it only rises, rises least.

    Values that are not known (NaN) are passed over.
    """
    highest = np.fmax.accumulate(curves[:, :-1], axis=1)
    end = np.nan_to_num(highest - curves[:, 1:], nan=-np.inf).argmax(1)
    peak = np.take_along_axis(highest, end[:, None], 1)
    return (curves[:, :-1] == peak).argmax(1), end + 1
