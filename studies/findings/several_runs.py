"""The page on which several runs are explored, one after the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.report.several import write_several
from analysis.tables.trajectory import final_accuracy, in_reading_order
from studies.findings.explored_run import explored_run
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.scoring.units import planned_parts

MOST_RUNS = 12  # on a page: each has its numbers of every snapshot there


def is_whole(experiment: Experiment) -> bool:
    """Return whether all that is explored of a run is there: tables and samples."""
    samples = (plan.samples_file(experiment.run) for plan in shown_plans(experiment.config))
    return all(file.is_file() for file in [*planned_parts(experiment), *samples])


def write_runs_page(path: Path, experiments: Sequence[Experiment], curves: pd.DataFrame) -> str:
    """Write the page of runs that are evaluated and have their samples; return a sentence that says
    how large it is. Of very many the first are there.

    curves: as `accuracy_curves` returns them, of all runs.
    """
    shown = experiments[:MOST_RUNS]
    runs = {one.label: explored_run(one, len(shown)) for one in shown}
    left_out = len(experiments) - len(shown)
    notes = [f"{left_out} more runs are left out."] if left_out else []
    write_several(path, ", ".join(runs), runs, accuracy_rows(curves, [*runs]), notes)
    return f"{path}: {len(runs)} runs to explore on one page, {path.stat().st_size / 1e6:.1f} MB"


def accuracy_rows(curves: pd.DataFrame, runs: Sequence[str]) -> list[dict[str, str]]:
    """Return the joint accuracy of each run at its last snapshot, with its interval, as text."""
    final = final_accuracy(curves)
    joint = final[final["measure"] == "joint"]
    cells = {(row["run"], row["split"]): _cell(row) for row in joint.to_dict("records")}
    splits = in_reading_order(joint["split"].unique())
    names = {split: f"{split.replace('_', '-')}, joint" for split in splits}
    return [
        {"run": run, **{names[split]: cells.get((run, split), "–") for split in splits}}
        for run in runs
    ]


def _cell(row: Mapping[Any, Any]) -> str:
    return f"{row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
