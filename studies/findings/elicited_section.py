"""Section of a study's report: is what is held out elicited before it is prompted?"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.intervals import clopper_pearson
from analysis.report.study import Section
from analysis.tables.elicitation import elicitation_table
from ground.endings import Mistake
from studies.findings.elicitation_findings import elicited
from studies.run.opened import Experiment

TITLE = "Is it elicited before it is prompted?"
NOTES = (
    "Elicited: joint accuracy on held-out combinations under the best intervention of a kind, "
    "picked on half of the images and read off the other half, crosses .8 (isotonic fit, linear in "
    "ln(images seen)). Times: images seen by prompts over images seen by eliciting, geometric mean "
    "over seeds. A time after the last snapshot counts as that one.",
    "Sooner: in how many seeds the 95 % interval of that ratio, over noise, lies above 1. Runs of "
    "which neither reaches .8 are not judged.",
)


def elicited_of_runs(
    experiments: Sequence[Experiment], about: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return `elicitation_table` of every run that interventions were made on, with the columns of
    `about`; and of those whose images cannot be read, by name, why not."""
    found, refused = [pd.DataFrame(columns=["run"])], {}
    for experiment in experiments:
        try:
            made = elicited(experiment)
        except Mistake as mistake:
            refused[experiment.label] = str(mistake)
            continue
        if made:
            found.append(elicitation_table(made).assign(run=experiment.label))
    return about.merge(pd.concat(found, ignore_index=True), on="run"), refused


def elicited_section(table: pd.DataFrame, refused: dict[str, str]) -> Section:
    """Return the section. table, refused: as `elicited_of_runs` returns them, with rows."""
    rows = [*_rows(table)]
    sooner = [row for row in rows if row["sooner"].split(" of ")[0] != "0"]
    told = "; ".join(f"{row['variant']}, {row['by']}: {row['sooner']} seeds" for row in sooner)
    answer = f"Sooner in {told}." if told else "That anything is elicited sooner is not shown."
    notes = [*NOTES, *(f"{run}: left out. {why}" for run, why in refused.items())]
    return Section(TITLE, rows=rows, notes=notes, answer=answer)


def _rows(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (variant, kind), own in table.groupby(["variant", "kind"], sort=False):
        judged = own[own["before"].notna()]
        count = int(judged["before"].astype(bool).sum())
        yield {
            "variant": str(variant),
            "by": str(kind),
            "sooner": f"{count} of {len(judged)}{_share(count, len(judged))}",
            "not judged": str(len(own) - len(judged)),
            "times": f"{np.exp(np.log(judged['ratio']).mean()):.2f}" if len(judged) else "–",
            "of each seed": "; ".join(_ratio(row) for row in judged.to_dict("records")) or "–",
        }


def _share(count: int, runs: int) -> str:
    if not runs:
        return ""
    low, high = clopper_pearson(count, runs)
    return f" [{low:.2f}, {high:.2f}]"


def _ratio(row: Any) -> str:
    return f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
