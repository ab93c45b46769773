"""Verdicts from measures over seeds: what the decision of a claim is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from analysis.measures.intervals import FEWEST_SEEDS, Interval, mean_over_seeds, newcombe
from analysis.measures.verdicts import Verdict, in_each, more, same, share
from studies.claims.claim import Part

DRAWS = 1 << 13  # seed of the bootstrap


def count(rule: str, what: np.ndarray) -> Verdict:
    """Judge the share of runs where `what`, bool (seed,), is true, by MOST, SOME, ALL or RARE."""
    return share(rule, int(what.sum()), len(what))


def mean_beyond(delta: float, values: np.ndarray) -> Verdict:
    """Judge whether the mean of values (seed,) is MORE than `delta`."""
    return more(delta, float(values.mean()), interval(values))


def mean_within(delta: float, values: np.ndarray) -> Verdict:
    """Judge whether the mean of values (seed,) is the SAME as 0, within ±`delta`."""
    inner = interval(values, confidence=0.9)
    return same(delta, float(values.mean()), interval(values), inner)


def share_difference(delta: float, first: np.ndarray, second: np.ndarray) -> Verdict:
    """Judge whether the share of the first runs is MORE than `delta` above that of the second."""
    yes, runs = (int(first.sum()), int(second.sum())), (len(first), len(second))
    return more(delta, float(first.mean() - second.mean()), newcombe(yes, runs))


def mean_of_finite(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of the runs that have a value, and the ends of its interval."""
    finite = values[np.isfinite(values)]
    return (finite.mean() if len(finite) else np.nan, *interval(finite))


def interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Return the interval of the mean over seeds.

    It is unknown, and its claim undecided, where a run diverged or has not got there, or of too
    few runs.
    """
    if len(values) < FEWEST_SEEDS or not np.isfinite(values).all():
        return Interval(float("nan"), float("nan"))
    return mean_over_seeds(values, rng=_rng(), confidence=confidence)


def _rng() -> np.random.Generator:
    return np.random.default_rng(DRAWS)


def informs(values: np.ndarray) -> Verdict:
    """Return a number that decides nothing: the mean, or a share of yes."""
    if values.dtype == bool:
        found = count("MOST", values)
        return Verdict("undecided", found.effect, found.interval, "")
    mean = float(values.mean()) if len(values) else float("nan")
    return Verdict("undecided", mean, interval(values), "")


def each(what: str, verdicts: Mapping[int, Verdict]) -> Iterator[Part]:
    """Yield a part that holds if the verdict of every seed does and fails if all fail, then the
    seeds, which only inform.

    Its effect is the mean over these seeds; its interval holds those of all of them and says
    nothing of other seeds. verdicts: by seed, of one rule, with intervals from within the seed.
    """
    found = [*verdicts.values()]
    effect = float(np.mean([one.effect for one in found])) if found else float("nan")
    lows, highs = ([one.interval[end] for one in found] or [float("nan")] for end in (0, 1))
    rule = f"EACH {found[0].rule}" if found else "EACH"
    word = in_each([one.word for one in found]) if found else "undecided"
    yield what, Verdict(word, effect, Interval(min(lows), max(highs)), rule)
    for seed, one in verdicts.items():
        yield f"{what}, seed {seed}", replace(one, rule="")


def diverged(rule: str) -> Verdict:
    """Return the verdict of a run that diverged: it counts as "no"."""
    unknown = float("nan")
    return Verdict("fails", unknown, Interval(unknown, unknown), rule)


def beyond(bar: float, value: float, ends: Interval, sign: int = 1) -> Verdict:
    """Judge whether a value is MORE than a bar (sign 1), or less (sign −1): the effect is how far
    it lies beyond."""
    low, high = sorted(sign * (end - bar) for end in ends)
    return more(0.0, sign * (value - bar), Interval(low, high))
