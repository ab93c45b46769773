"""What a study of how concepts are learned measures in each of its runs, before it has seeds."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.tables.coordinates import (
    Coordinate,
    coordinate_curves,
    denoiser_coordinates,
    oracle_coordinates,
    probe_coordinates,
    swing_table,
)
from analysis.tables.emergence import (
    distance_curves,
    distance_means,
    emergence_cells,
    emergence_row,
)
from analysis.tables.obedience_over_seeds import obedience_times
from analysis.tables.terminal_rates import terminal_table
from analysis.tables.trajectory import final_accuracy
from ground.endings import Mistake
from studies.findings.found import found
from studies.findings.run_findings import Findings
from studies.findings.study_tables import StudyTables
from studies.run.provenance import ORACLE
from studies.run_sets.run_set import RunSet, scores_by_run

OF_SCORES = (distance_curves, distance_means, emergence_cells, emergence_row)
OF_INSTRUMENTS = ("swings", "curves", "terminal", "clock")
CLOCK = ["run", "level", "measure", "images_seen", "after", "by", "low", "high"]
SUFFIX = "-seeds"  # of the file in which they are kept


def tables_of_runs(
    run_set: RunSet, study: StudyTables, rows: dict[str, pd.DataFrame], folder: Path
) -> list[pd.DataFrame]:
    """Return the tables of all runs, each joined over them: those of OF_SCORES, then those that
    OF_INSTRUMENTS names. What is kept of a run in `folder` is not measured again.

    rows: of `denoiser`, by run.
    """
    of_runs = []
    for member in run_set.members:
        path = folder / f"{member.run.path.name}{SUFFIX}.arrows"
        alone, own = run_set.only([member]), rows.get(member.name)
        measure = partial(_measured, alone, member.name, study, own)
        of_runs.append(found(path, member.run, len(OF_SCORES) + len(OF_INSTRUMENTS), measure))
    return [_joined(each) for each in zip(*of_runs, strict=True)]


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables as one; those without rows, whose columns have no types, are left out."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _measured(
    alone: RunSet, run: str, study: StudyTables, rows: pd.DataFrame | None
) -> list[pd.DataFrame]:
    (scores,) = Findings.of(alone).of_each_run()
    coordinates = [*probe_coordinates(scores), *_of_the_oracle(alone)]
    clock = pd.DataFrame(columns=CLOCK)
    if rows is not None:
        coordinates += denoiser_coordinates(rows)
        clock = obedience_times(rows)
    tables = [measure(scores) for measure in OF_SCORES]
    return [*tables, *_of_coordinates(coordinates, run, study), clock]


def _of_the_oracle(alone: RunSet) -> Iterator[Coordinate]:
    """Yield the oracle's coordinates of a run, if it has read it."""
    if any(alone.experiment(member).asks_the_oracle for member in alone.members):
        try:
            shown = alone.shown(ORACLE)
        except Mistake:
            return  # nothing is read by it yet, or by another version
        for scores in scores_by_run(shown):
            yield from oracle_coordinates(scores)


def _of_coordinates(
    coordinates: Sequence[Coordinate], run: str, study: StudyTables
) -> Iterator[pd.DataFrame]:
    """Yield swings, curves and terminal rates."""
    final = final_accuracy(study.curves[study.curves["run"] == run])
    joint = final[(final["split"] == "held_out") & (final["measure"] == "joint")]["accuracy"]
    times = study.times[study.times["run"] == run]
    swings = swing_table(coordinates, times, joint.iloc[0] if len(joint) else np.nan)
    yield swings
    yield coordinate_curves(coordinates)
    yield terminal_table(coordinates, swings)
