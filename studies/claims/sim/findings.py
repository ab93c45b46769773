"""From measures over seeds to verdicts: what a claim's function is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.measures.intervals import FEWEST_SEEDS, Interval, mean_over_seeds, newcombe
from analysis.measures.verdicts import Verdict, Word, more, same, share, together
from studies.claims.sim.config import SimConfig
from studies.claims.sim.rules import Rules
from studies.claims.sim.runs import Paths

DRAWS = 1 << 13  # seed of the bootstrap

Part = tuple[str, Verdict]  # what was measured, and what it says


@dataclass(frozen=True)
class Study:
    """Runs of a config with what they did, and the rules."""

    config: SimConfig
    paths: Mapping[str, Paths]
    rules: Rules

    def of(self, measure: Callable, name: str) -> np.ndarray:
        """measure(run, paths, rules) of one variant."""
        return measure(self.config.runs[name], self.paths[name], self.rules)

    def margin(self, claim: str) -> float:
        return self.rules.claims[claim].margin


@dataclass(frozen=True)
class Finding:
    """A claim in one variant. Parts whose verdicts have the rule "" only inform."""

    claim: str
    variant: str
    parts: Sequence[Part]

    @property
    def word(self) -> Word:
        """Of the parts that decide."""
        words = [verdict.word for _, verdict in self.parts if verdict.rule]
        return together(words) if words else "undecided"


def count(rule: str, what: np.ndarray) -> Verdict:
    return share(rule, int(what.sum()), len(what))


def mean_beyond(delta: float, values: np.ndarray) -> Verdict:
    return more(delta, float(values.mean()), interval(values))


def mean_within(delta: float, values: np.ndarray) -> Verdict:
    inner = interval(values, confidence=0.9)
    return same(delta, float(values.mean()), interval(values), inner)


def share_difference(delta: float, first: np.ndarray, second: np.ndarray) -> Verdict:
    yes, runs = (int(first.sum()), int(second.sum())), (len(first), len(second))
    return more(delta, float(first.mean() - second.mean()), newcombe(yes, runs))


def mean_of_finite(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of the runs that have a value, and the ends of its interval."""
    finite = values[np.isfinite(values)]
    return (finite.mean() if len(finite) else np.nan, *interval(finite))


def interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Unknown, and so undecided, where a run diverged or has not got there, or of too few."""
    if len(values) < FEWEST_SEEDS or not np.isfinite(values).all():
        return Interval(float("nan"), float("nan"))
    return mean_over_seeds(values, rng=_rng(), confidence=confidence)


def _rng() -> np.random.Generator:
    return np.random.default_rng(DRAWS)


def twice(
    claim: str, variant: str, label: str, what: np.ndarray, more: Sequence[Part] = ()
) -> list[Finding]:
    """Whether it is typical, and whether it occurs at all."""
    return [
        Finding(f"{claim}.typical", variant, [(label, count("MOST", what)), *more]),
        Finding(f"{claim}.occurs", variant, [(label, count("SOME", what))]),
    ]


def informs(values: np.ndarray) -> Verdict:
    """A number that decides nothing: the mean, or a share of yes."""
    if values.dtype == bool:
        found = count("MOST", values)
        return Verdict("undecided", found.effect, found.interval, "")
    mean = float(values.mean()) if len(values) else float("nan")
    return Verdict("undecided", mean, interval(values), "")
