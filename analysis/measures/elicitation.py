"""Elicited before prompted: is a capability there before plain prompts show it, how much sooner?

Many ways of eliciting are tried, and the best of them would look good by chance. So which is best
at a snapshot is decided on half of the images and read off the other half, and the other way round;
both halves are pooled (cross-fitting). All ways start from the same noise, so images are pairs.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from analysis.measures.intervals import Interval
from analysis.measures.learning_times import LearningTimes, learning_times


class Elicitation(NamedTuple):
    """Result of `elicited_before_prompted`.

    Attributes:
        t: (times,), as they were given.
        prompted_accuracy, elicited_accuracy: (times,), of plain prompts and of the best way of
            eliciting, cross-fitted.
        prompted, elicited: when each accuracy crosses the threshold, with its bracket.
        ratio, ratio_interval: the time of plain prompts by that of eliciting; above 1: elicited
            sooner. A time after the last snapshot counts as that one, and one before the first as
            the first, so that a ratio is further from 1 than it says, if at all. NaN if neither
            is learned by the last.
        gap, gap_interval: the difference of the same two times.
        before: whether the interval of the ratio lies above 1; None if neither is learned.
    """

    t: ndarray
    prompted_accuracy: ndarray
    elicited_accuracy: ndarray
    prompted: LearningTimes
    elicited: LearningTimes
    ratio: float
    ratio_interval: Interval
    gap: float
    gap_interval: Interval
    before: bool | None


def elicited_before_prompted(
    t: Float[ndarray, " times"],
    prompted: Bool[ndarray, "times images"],
    elicited: Bool[ndarray, "ways times images"],
    half: Int[ndarray, " images"],
    *,
    rng: np.random.Generator,
    threshold: float = 0.8,
    num_draws: int = 999,
) -> Elicitation:
    """Compare when images are right by plain prompts and by the best of some ways of eliciting.

    The interval (95 %) redraws images within each half, the same for all times and ways, and picks
    the best way again in each draw.

    t: increasing, above 0. half: 0 or 1, to which half an image belongs. Raises ValueError for an
    empty half.
    """
    halves = [np.flatnonzero(half == side) for side in (0, 1)]
    if not all(map(len, halves)):
        raise ValueError("half: allowed are two halves with images")
    weights = np.concatenate([np.ones((1, len(half))), _redrawn(halves, num_draws, rng)])
    best = cross_fitted(elicited, halves, weights)
    plain = weights @ prompted.T / len(half)
    first, second = (learning_times(t, curves, threshold) for curves in (plain, best))
    known = (_in_time(first) | _in_time(second))[0]
    earlier, later = (_within(times, t) for times in (second, first))
    ratio, gap = later / earlier, later - earlier
    interval = _interval(ratio[1:]) if known else Interval(np.nan, np.nan)
    return Elicitation(
        t=t,
        prompted_accuracy=plain[0],
        elicited_accuracy=best[0],
        prompted=LearningTimes(*(part[0] for part in first)),
        elicited=LearningTimes(*(part[0] for part in second)),
        ratio=float(ratio[0]) if known else np.nan,
        ratio_interval=interval,
        gap=float(gap[0]) if known else np.nan,
        gap_interval=_interval(gap[1:]) if known else interval,
        before=bool(interval.low > 1) if known else None,
    )


def cross_fitted(
    right: Bool[ndarray, "ways times images"],
    halves: list[ndarray],
    weights: Float[ndarray, "draws images"],
) -> Float[ndarray, "draws times"]:
    """Accuracy of the best way at each time: picked by one half, read off the other, pooled over
    both. Of equally good ways the first counts.

    halves: numbers of the images of each. weights: of every image, how often it is drawn.
    """
    counts = [np.einsum("wti,di->dwt", right[..., own], weights[:, own]) for own in halves]
    picked = [count.argmax(axis=1)[:, None] for count in counts]
    read = zip(counts, reversed(picked), strict=True)
    total = sum(np.take_along_axis(count, place, axis=1)[:, 0] for count, place in read)
    pooled: ndarray = np.asarray(total) / weights.sum(axis=1, keepdims=True)
    return pooled


def _redrawn(halves: list[ndarray], num_draws: int, rng: np.random.Generator) -> ndarray:
    """(num_draws, images): how often each image is drawn."""
    weights = np.empty((num_draws, sum(map(len, halves))))
    for own in halves:
        chance = np.full(len(own), 1 / len(own))
        weights[:, own] = rng.multinomial(len(own), chance, size=num_draws)
    return weights


def _in_time(times: LearningTimes) -> ndarray:
    """Whether it is learned by the last snapshot."""
    return np.isfinite(times.high)


def _within(times: LearningTimes, t: ndarray) -> ndarray:
    """Times, where they are after the last snapshot that one, and before the first the first."""
    ends = np.where(_in_time(times), t[0], t[-1])
    return np.where(np.isnan(times.time), ends, times.time)


def _interval(drawn: ndarray) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(low), float(high))
