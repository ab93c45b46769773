"""Sections of a study's report on bumps: which variants compose, which interpolate, on how much?"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.figures.outcomes import outcome_figure
from analysis.report.study import Section
from analysis.tables.outcomes import BARS, GATED, outcomes_over_seeds
from studies.findings.data_section import data_needed_of, data_section, named
from studies.findings.study_sections import OVER_SEEDS

TITLE = "Which variants compose, which interpolate?"
SAYS = {
    "composes": {"yes": "composes", "no": "does not compose"},
    "interpolates": {"yes": "interpolates", "no": "does not interpolate"},
}
NOTES = (
    "Trained: what training shows is drawn right. Composes: of what it never shows, the coordinate "
    "is right whose value it shows, beside one whose value it does not; where it shows both "
    "values, though never together, both are right. Interpolates: the coordinate is right whose "
    "value no two-dimensional example shows. Where both values are new, an image counts for "
    "neither.",
    "Right is within 1 px, also in images of which the probe is unsure.",
    "Yes and no: the interval lies above or below .8 to compose, .5 to interpolate. Gate: in a "
    "seed less than .9 of what training shows is right, so nothing is said of the rest. In each "
    "seed: by the interval over noise of every single seed, which speaks of these seeds alone.",
    OVER_SEEDS,
)


def outcome_tables(outcomes: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables that are kept beside the report, by their names; none without rows.

    outcomes: as `outcomes.outcomes_of_runs` returns them.
    """
    if len(outcomes):
        yield "outcomes", outcomes
        yield "outcomes_over_seeds", outcomes_over_seeds(outcomes, outcomes)
        yield from named(data_needed_of(outcomes))


def outcome_sections(outcomes: pd.DataFrame, refused: dict[str, str]) -> Iterator[Section]:
    """Yield the sections; none without rows. outcomes, refused: as `outcomes.outcomes_of_runs`
    returns them."""
    if len(outcomes):
        yield outcome_section(outcomes, refused)
        needed = data_needed_of(outcomes)
        yield from [data_section(needed)] if needed is not None else []


def outcome_section(outcomes: pd.DataFrame, refused: dict[str, str]) -> Section:
    """Return the section on what is composed and interpolated."""
    over_seeds = outcomes_over_seeds(outcomes, outcomes)
    caption = (
        "Share of right images at the last snapshot, mean over the seeds of each variant and its "
        "interval; small, single seeds. Dashed: the bar."
    )
    notes = [*NOTES, *(f"{run}: left out. {why}" for run, why in refused.items())]
    figures = [(caption, outcome_figure(over_seeds, outcomes))]
    return Section(TITLE, figures, [*_rows(over_seeds)], notes, _answer(over_seeds))


def _rows(over_seeds: pd.DataFrame) -> Iterator[dict[str, str]]:
    for variant, own in over_seeds.groupby("variant", sort=False):
        told = {str(found["question"]): _told(found) for found in own.to_dict("records")}
        yield {"variant": str(variant), **told, "seeds": str(own["seeds"].max())}


def _told(found: Any) -> str:
    share = f"{found['accuracy']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
    if found["question"] == GATED:
        return share
    return f"{share}: {found['word']}; in each seed: {found['each']}"


def _answer(over_seeds: pd.DataFrame) -> str:
    """Say of every variant what is decided of it."""
    told = []
    for variant, own in over_seeds.groupby("variant", sort=False):
        words = dict(zip(own["question"], own["word"], strict=True))
        said = [SAYS[name].get(words.get(name, ""), "") for name in BARS]
        why = "not trained to the gate" if "gate" in words.values() else "undecided"
        told.append(f"{variant}: {', '.join(filter(None, said)) or why}")
    return f"{'; '.join(told)}."
