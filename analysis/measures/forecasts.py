"""Forecasts of curves against what came: baselines, skill, crossings, order and turns.

Arrays in, arrays out. Curves are (concepts, times), or (draws, concepts, times); the first draw is
the curve itself.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from analysis.measures.dynamics import largest_rise

NORMAL_MEDIAN = 0.6745  # of the size of a standard normal number
NUM_DRAWS = 999
LEAST_FALL = 0.05  # of obedience or a coordinate: what `swing` asks of a turn


class Turn(NamedTuple):
    """Turn of each curve. turns: whether it falls. peak: the time from which it falls most, NaN
    without a turn."""

    turns: ndarray
    peak: ndarray


def stays(
    e: Float[ndarray, "*draws fitted"], later: Float[ndarray, " later"]
) -> Float[ndarray, "*draws later"]:
    """Baseline: every curve stays where it was last seen."""
    return np.repeat(e[..., -1:], len(later), axis=-1)


def straight_line(
    x: Float[ndarray, " fitted"],
    e: Float[ndarray, "*draws fitted"],
    errors: Float[ndarray, "*#draws fitted"],
    later: Float[ndarray, " later"],
) -> Float[ndarray, "*draws later"]:
    """Baseline: every curve goes on along a straight line in ln x, by weighted least squares.

    Times that are not above 0 are left out.
    """
    used = x > 0
    log_x, values, weights = np.log(x[used]), e[..., used], 1 / errors[..., used] ** 2
    total = weights.sum(-1, keepdims=True)
    middle, level = ((weights * v).sum(-1, keepdims=True) / total for v in (log_x, values))
    off = log_x - middle
    slope = (weights * off * (values - level)).sum(-1, keepdims=True)
    return level + slope / (weights * off**2).sum(-1, keepdims=True) * (np.log(later) - middle)


def root_mean_square(errors: Float[ndarray, "*any"]) -> float:
    """Root of the mean square of all errors."""
    return float(np.sqrt(np.mean(errors**2)))


def skill(error: float, baseline_error: float) -> float:
    """Skill 1 − error/baseline: 1 is perfect, 0 no better than the baseline, below 0 worse."""
    return 1 - error / baseline_error if baseline_error > 0 else np.nan


def first_above(
    x: Float[ndarray, " times"], curves: Float[ndarray, "*draws times"], level: float
) -> Float[ndarray, "*draws"]:
    """First x > 0 at which smooth curves are at or above a level, linear in ln x; infinite where
    they never are."""
    above = curves >= level
    after = above.argmax(-1)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(curves, i[..., None], -1)[..., 0] for i in (before, after))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(after > before, (level - low) / (high - low), 0)
    return np.where(above.any(-1), x[before] * (x[after] / x[before]) ** part, np.inf)


def predicted_turn(x: Float[ndarray, " times"], curves: Float[ndarray, "*draws times"]) -> Turn:
    """Whether smooth curves fall by .05 from a peak, and where that is."""
    fall = largest_rise(-curves)
    return _turn(x, fall.height >= LEAST_FALL, fall.start)


def seen_turn(
    x: Float[ndarray, " times"],
    drawn: Float[ndarray, "concepts draws times"],
    *,
    rng: np.random.Generator,
) -> Turn:
    """Whether measured curves fall by .05 more than noise alone makes them fall.

    Noise is of the scenes, as the draws' deviations have it, and of snapshots, independent and as
    large as `scatter` says. The 95 % quantile of its largest fall counts.
    """
    curves, deviations = drawn[:, 0], drawn[:, 1:] - drawn[:, :1]
    snapshots = scatter(curves)[:, None, None] * rng.normal(size=deviations.shape)
    fall, noise = largest_rise(-curves), largest_rise(deviations + snapshots).height
    return _turn(x, fall.height - np.quantile(noise, 0.95, axis=1) >= LEAST_FALL, fall.start)


def scatter(curves: Float[ndarray, "*runs times"]) -> Float[ndarray, "*runs"]:
    """Standard deviation of independent noise on smooth curves, from the median size of their
    second differences; 0 of fewer than three times."""
    if curves.shape[-1] < 3:
        return np.zeros(curves.shape[:-1])
    return np.median(np.abs(np.diff(curves, 2)), axis=-1) / (NORMAL_MEDIAN * np.sqrt(6))


def scatter_fall(curve: Float[ndarray, " times"], *, rng: np.random.Generator) -> float:
    """How far independent noise with the `scatter` of a curve falls by chance: 95 % of curves of
    nothing but such noise, whose scatter is estimated too, have no larger fall. Infinite for fewer
    than three times, whose scatter nothing tells."""
    if len(curve) < 3:
        return np.inf
    noise = rng.normal(size=(NUM_DRAWS, len(curve)))
    falls = largest_rise(-noise).height / scatter(noise)
    return float(scatter(curve[None])[0] * np.quantile(falls, 0.95))


def _turn(x: ndarray, turns: ndarray, start: ndarray) -> Turn:
    return Turn(turns, np.where(turns, x[start], np.nan))


def same_order(
    predicted: Float[ndarray, " concepts"], measured: Float[ndarray, " concepts"]
) -> bool | None:
    """Whether all pairs whose measured times differ come in the predicted order; None if there are
    none, or if no two of their predicted times differ. Infinite times are later than all others,
    and equal."""
    first, second = np.triu_indices(len(measured), 1)
    with np.errstate(invalid="ignore"):
        sides = [np.nan_to_num(np.sign(t[first] - t[second])) for t in (predicted, measured)]
    ours, theirs = (side[sides[1] != 0] for side in sides)
    return bool((ours == theirs).all()) if ours.any() else None
