"""Section of a study's report: what theories expected before any training, and what came."""

from collections.abc import Sequence

import numpy as np

from analysis.measures.intervals import FEWEST_SEEDS
from analysis.measures.rank_agreement import RankAgreement
from analysis.report.study import Section
from ground.endings import Mistake
from studies.findings.seed_tables import SeedTables
from studies.prediction.against import Comparison, compare
from studies.prediction.prediction import THEORIES, first
from studies.run.opened import Experiment

TITLE = "What was expected before any training?"
NOTES = (
    "Each theory says from the images alone which concept is learned first "
    "(scripts/render.py --predict). Measured: which word is obeyed by half first, on held-out "
    "combinations, in most seeds.",
    "Rank correlation: Spearman's, of expected and measured times, over all concepts of all runs; "
    f"its interval is a bootstrap of runs, from {FEWEST_SEEDS} runs on.",
)


def expected_section(
    experiments: Sequence[Experiment], tables: SeedTables, level: float
) -> Section:
    """Return the section, of the runs whose denoiser was measured at `level`."""
    measured = {*tables.clock[tables.clock["level"] == level]["run"]}
    own = [experiment for experiment in experiments if experiment.label in measured]
    try:
        comparison = compare(own, [level], "denoiser")
    except Mistake as mistake:
        return Section(TITLE, answer=f"Not known: {mistake}")
    variants: dict[str, int] = {}
    for i, experiment in enumerate(own):
        variants.setdefault(tables.study.variants[experiment.label], i)
    rows = [_expected(theory, comparison, level, variants) for theory in THEORIES]
    rows.append({"theory": "measured", "rank correlation": "", **_came(tables, level, variants)})
    return Section(TITLE, rows=rows, notes=NOTES, answer=_answer(comparison, level))


def _expected(
    theory: str, comparison: Comparison, level: float, variants: dict[str, int]
) -> dict[str, str]:
    firsts = {
        name: f"{first(theory, comparison.predictions[i])} first" for name, i in variants.items()
    }
    return {
        "theory": theory,
        "rank correlation": _told(comparison.agreement(theory, level)),
        **firsts,
    }


def _came(tables: SeedTables, level: float, variants: dict[str, int]) -> dict[str, str]:
    orders = tables.orders[tables.orders["instrument"] == f"denoiser {level:g}"]
    told = {
        row["variant"]: f"{row['first']} before {row['then']} in {row['earlier']} of {row['runs']}"
        for row in orders.to_dict("records")
    }
    return {name: told.get(name, "–") for name in variants}


def _answer(comparison: Comparison, level: float) -> str:
    found = {theory: comparison.agreement(theory, level).estimate for theory in THEORIES}
    known = {theory: value for theory, value in found.items() if np.isfinite(value)}
    if not known:
        return "No theory tells the concepts apart."
    best = max(known, key=lambda theory: known[theory])
    at = f"at level {level:g}"
    return f"Nearest to the order that came is {best}: rank correlation {known[best]:.2f} {at}."


def _told(agreement: RankAgreement) -> str:
    if np.isnan(agreement.estimate):
        return "none, all are equal"
    low, high = agreement.interval
    interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
    return f"{agreement.estimate:.2f}{interval}"
