"""Verdicts on an effect and its interval: holds, fails or undecided.

Four rules for shares of runs, by their 95 % Clopper–Pearson interval:

    MOST  more than half     SOME  more than 5 %     ALL  more than 90 %     RARE  less than 5 %

Two for differences: MORE than δ (95 % interval beyond it), the SAME within δ (two one-sided tests:
90 % interval within; fails if the 95 % interval lies wholly outside).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.measures.intervals import Interval, clopper_pearson

Word = Literal["holds", "fails", "undecided"]
BARS = {"MOST": 0.5, "SOME": 0.05, "ALL": 0.9, "RARE": 0.05}


@dataclass(frozen=True)
class Verdict:
    """What was found, and what it says. interval: 95 %."""

    word: Word
    effect: float
    interval: Interval
    rule: str


def share(rule: str, successes: int, runs: int) -> Verdict:
    """A share of runs against the bar of MOST, SOME, ALL or RARE; undecided without runs.

    Diverged runs count among the runs, not among the successes. Raises ValueError otherwise.
    """
    if rule not in BARS:
        raise ValueError(f"rule: got {rule!r}, allowed are {', '.join(BARS)}")
    interval = clopper_pearson(successes, runs)
    above, below = interval.low > BARS[rule], interval.high < BARS[rule]
    word = _word(below, above) if rule == "RARE" else _word(above, below)
    return Verdict(word, successes / runs if runs else float("nan"), interval, rule)


def more(delta: float, effect: float, interval: Interval) -> Verdict:
    """MORE(δ): a difference beyond δ. interval: 95 %."""
    word = _word(interval.low > delta, interval.high < delta)
    return Verdict(word, effect, interval, f"MORE({delta:g})")


def same(delta: float, effect: float, interval: Interval, inner: Interval) -> Verdict:
    """SAME(δ): a difference from 0 within ±δ. interval: 95 %; inner: 90 %. Raises ValueError for a
    δ that is not above 0, within which nothing lies."""
    if not delta > 0:
        raise ValueError(f"SAME: δ is {delta:g}, it must be above 0")
    within = -delta < inner.low and inner.high < delta
    outside = interval.low > delta or interval.high < -delta
    return Verdict(_word(within, outside), effect, interval, f"SAME({delta:g})")


def bars_of(rule: str) -> tuple[float, ...]:
    """Return the numbers that a rule, as verdicts name it, holds an effect against: (δ,) of
    MORE(δ), (−δ, δ) of SAME(δ), and nothing of a rule without numbers."""
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", rule)]
    numbers += [bar for word, bar in BARS.items() if word in rule.split()]
    both = [-number for number in numbers] if "SAME" in rule else []
    return (*both, *numbers)


def together(words: Sequence[Word]) -> Word:
    """A claim of several parts: holds if all hold, fails if any fails."""
    return _word(set(words) == {"holds"}, "fails" in words)


def in_each(words: Sequence[Word]) -> Word:
    """EACH: one rule in every seed; holds if it holds in all of them, fails if it fails in all."""
    return _word(set(words) == {"holds"}, set(words) == {"fails"})


def _word(holds: bool, fails: bool) -> Word:
    return "holds" if holds else "fails" if fails else "undecided"
