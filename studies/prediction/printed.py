"""Predictions in words and as plain data, and how far runs agree with them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from analysis.measures.intervals import FEWEST_SEEDS
from analysis.measures.rank_agreement import RankAgreement
from studies.prediction.against import Comparison
from studies.prediction.moments import WorldMoments
from studies.prediction.prediction import LINEAR, THEORIES, ConceptPrediction, first, ranks

LEGEND = (
    "2 lr steps: 2 · learning rate · steps until obedience stays above half its limit; limit: 1 "
    "moves an image as far as is asked; the rest: along the concept's axis, in [−1, 1] pixels"
)
HEAD = ("concept", "2 lr steps", "rank", "limit", "a_k", "variance", "between", "within")
SHOWN = 12  # names in a list
REACHES = {"probe": "accuracy reaches .8", "denoiser": "obedience reaches .5"}


def prediction_lines(world: WorldMoments, found: Sequence[ConceptPrediction]) -> list[str]:
    """Return a table per noise level, with the concept that each theory expects first."""
    pixels, others = world.moments.num_pixels, len(world.combinations) - SHOWN
    numbers = len(world.moments.second) - pixels - 1
    named = ", ".join(world.combinations[:SHOWN]) + f" and {others} others" * (others > 0)
    lines = [
        f"linear denoiser: {pixels} pixels and channels, told {world.told}, {numbers} numbers",
        f"asked for: {named}",
        LEGEND,
    ]
    for alpha_bar in dict.fromkeys(one.alpha_bar for one in found):
        level = [one for one in found if one.alpha_bar == alpha_bar]
        lines += ["", f"signal fraction {alpha_bar:g}", *_table(level), _first(level)]
    return lines


def _table(level: Sequence[ConceptPrediction]) -> list[str]:
    rows = [HEAD, *(_row(one, rank) for one, rank in zip(level, ranks(LINEAR, level), strict=True))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _row(one: ConceptPrediction, rank: int) -> tuple[str, ...]:
    time = "never" if math.isnan(one.time) else f"{one.time:.3g}"
    variances = one.a_k, one.variance, one.between_classes, one.within_classes
    return (one.concept, time, str(rank), f"{one.limit:.2f}", *(f"{x:.3g}" for x in variances))


def _first(level: Sequence[ConceptPrediction]) -> str:
    """Return a sentence that names the concept that each theory expects first."""
    theories: dict[str, list[str]] = {}
    for theory in THEORIES:
        theories.setdefault(first(theory, level), []).append(theory)
    expected = [f"{concept} by {', '.join(names)}" for concept, names in theories.items()]
    return f"learned first: {'; '.join(expected)}"


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return when runs learned what, and how far their order is that of every theory."""
    lines = []
    for level in _told_levels(comparison):
        at = f", signal fraction {level:g}" if comparison.by == "denoiser" else ""
        lines += ["", f"steps at which {REACHES[comparison.by]}{at}"]
        lines += [f"{run.run}: {_steps(run.steps)}" for run in comparison.learned[level]]
    runs = len(comparison.predictions)
    concepts = len(comparison.concepts)
    lines += ["", f"rank correlation with the order of {concepts} concepts in {runs} runs"]
    for theory, alpha_bar, agreement in _agreements(comparison):
        varies = theory == LINEAR or comparison.by == "denoiser"
        at = f", signal fraction {alpha_bar:g}" if varies else ""
        lines.append(f"{theory}{at}: {_with_interval(agreement)}")
    few = f"no intervals: {runs} runs, allowed are {FEWEST_SEEDS} and more"
    return [*lines, few] if runs < FEWEST_SEEDS else lines


def _told_levels(comparison: Comparison) -> list[float]:
    """Return the levels at which the instrument reads differently."""
    return comparison.levels[: None if comparison.by == "denoiser" else 1]


def _steps(steps: Mapping[str, float]) -> str:
    words = {0.0: "by the first", math.inf: "not by the last"}
    return ", ".join(f"{name} {words.get(step, f'{step:.0f}')}" for name, step in steps.items())


def _agreements(comparison: Comparison) -> Iterator[tuple[str, float, RankAgreement]]:
    """Yield the linear denoiser at every level, then the others, at those where runs differ."""
    for theory in THEORIES:
        levels = comparison.levels if theory == LINEAR else _told_levels(comparison)
        for alpha_bar in levels:
            yield theory, alpha_bar, comparison.agreement(theory, alpha_bar)


def _with_interval(agreement: RankAgreement) -> str:
    if math.isnan(agreement.estimate):
        return "none, all are equal"
    low, high = agreement.interval
    interval = "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{agreement.estimate:.2f}{interval}"


def prediction_data(
    world: WorldMoments, found: Sequence[ConceptPrediction], comparison: Comparison | None
) -> dict[str, Any]:
    """Return all that is printed as plain data; null: not a number, or infinite."""
    data = {
        "told": world.told,
        "combinations": [*world.combinations],
        "predictions": [
            {name: _plain(value) for name, value in asdict(one).items()} for one in found
        ],
    }
    if comparison is None:
        return data
    varies = comparison.by == "denoiser"
    rows = [
        {
            "theory": theory,
            "alpha_bar": alpha_bar if theory == LINEAR or varies else None,
            "rank_correlation": _plain(agreement.estimate),
            "low": _plain(agreement.interval.low),
            "high": _plain(agreement.interval.high),
        }
        for theory, alpha_bar, agreement in _agreements(comparison)
    ]
    learned = [
        {
            "run": run.run,
            "alpha_bar": level if varies else None,
            **{name: _plain(step) for name, step in run.steps.items()},
        }
        for level in _told_levels(comparison)
        for run in comparison.learned[level]
    ]
    return {**data, "by": comparison.by, "learned": learned, "rank_correlations": rows}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
