"""Tables of a study of how concepts are learned: of each run by each instrument, and over seeds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables.coordinates import DENOISER
from analysis.tables.emergence import growth_table
from analysis.tables.emergence_over_seeds import (
    distance_differences,
    distances_over_seeds,
    emergence_over_seeds,
    growth_over_seeds,
)
from analysis.tables.obedience_over_seeds import obedience_over_seeds, refusals
from analysis.tables.swing_counts import concept_orders, swing_counts
from analysis.tables.terminal_rates import terminal_laws
from analysis.tables.variants import signal_laws, typical_times
from ground.endings import Mistake
from studies.findings.seed_runs import tables_of_runs
from studies.findings.study_tables import StudyTables
from studies.run.measured import denoiser_parts, read_measured
from studies.run.opened import Experiment
from studies.run_sets.run_set import RunSet

CLOCK = ("level", "measure")


@dataclass(frozen=True)
class SeedTables:
    """Tables of what is held out, by run.

    Attributes:
        study: the tables that they add to.
        swings, curves: as `coordinates.swing_table` and `coordinates.coordinate_curves` give them.
        terminal: as `terminal_rates.terminal_table` gives it.
        distances, means, cells, emergence: as `emergence.distance_curves`, `distance_means`,
            `emergence_cells` and `emergence_row` give them.
        obedience: as `obedience_over_seeds.obedience_over_seeds` gives it.
        clock: as `obedience_over_seeds.obedience_times` gives it.
        refused: levels and concepts without numbers, with the reason.
        unread: runs whose denoiser was measured and cannot be read, with the reason.
    """

    study: StudyTables
    swings: pd.DataFrame
    curves: pd.DataFrame
    terminal: pd.DataFrame
    distances: pd.DataFrame
    means: pd.DataFrame
    cells: pd.DataFrame
    emergence: pd.DataFrame
    obedience: pd.DataFrame
    clock: pd.DataFrame
    refused: Mapping[tuple[float, str], str]
    unread: Mapping[str, str]

    @classmethod
    def of(cls, run_set: RunSet, study: StudyTables, folder: Path) -> "SeedTables | None":
        """Measure all runs, but for those whose tables are kept in `folder`; None where nothing is
        held out of what trains."""
        if not {"train", "held_out"} <= {*study.curves["split"]}:
            return None
        rows, unread = _denoiser_rows(run_set)
        distances, means, cells, emergence, swings, curves, terminal, clock = tables_of_runs(
            run_set, study, rows, folder
        )
        obedience, refused = _of_denoiser(rows, study)
        return cls(
            study=study,
            swings=swings,
            curves=curves,
            terminal=terminal,
            distances=distances,
            means=means,
            cells=cells,
            emergence=emergence,
            obedience=obedience,
            clock=clock,
            refused=refused,
            unread=unread,
        )

    @property
    def about(self) -> pd.DataFrame:
        return self.study.about

    @cached_property
    def swing_counts(self) -> pd.DataFrame:
        return swing_counts(self.swings, self.curves, self.about)

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Return which concept comes first on what is held out: is learned, by the probe, or is
        obeyed, by level."""
        times = self.study.times
        learned = times[(times["split"] == "held_out") & (times["measure"] != "joint")]
        obeyed = self.clock.assign(
            instrument=[f"{DENOISER} {level:g}" for level in self.clock["level"]]
        )
        both = pd.concat([learned.assign(instrument="probe"), obeyed], ignore_index=True)
        return concept_orders(both, self.about, ["instrument"])

    @cached_property
    def typical_clock(self) -> pd.DataFrame:
        return typical_times(self.clock, self.about, CLOCK)

    @cached_property
    def clock_laws(self) -> pd.DataFrame:
        """Return how the clock depends on the one numeric setting that varies; empty if there is no
        such."""
        setting = self.study.one_setting
        known = bool(setting) and len(self.clock) > 0
        return signal_laws(self.clock, self.about, str(setting), CLOCK) if known else pd.DataFrame()

    @cached_property
    def distances_over_seeds(self) -> pd.DataFrame:
        return distances_over_seeds(self.distances, self.about)

    @cached_property
    def distance_differences(self) -> pd.DataFrame:
        return distance_differences(self.means, self.about)

    @cached_property
    def emergence_over_seeds(self) -> pd.DataFrame:
        return emergence_over_seeds(self.emergence, self.about)

    @cached_property
    def growth(self) -> pd.DataFrame:
        return _joined([growth_table(own) for _, own in self.study.curves.groupby("run")])

    @cached_property
    def growth_over_seeds(self) -> pd.DataFrame:
        return growth_over_seeds(self.growth, self.about)

    @cached_property
    def terminal_laws(self) -> pd.DataFrame:
        return terminal_laws(self.terminal, self.about)

    def named(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the tables that are kept beside the report, by their names, if they have rows."""
        tables = {
            **{"swings": self._with_about(self.swings), "swing_counts": self.swing_counts},
            **{"coordinates": self.curves, "orders": self.orders},
            "obedience": self.obedience,
            "obedience_times": self._with_about(self.clock),
            "typical_obedience_times": self.typical_clock,
            "obedience_laws": self.clock_laws,
            **{
                "distances": self.distances_over_seeds,
                "distance_orders": self.distance_differences,
            },
            **{"emergence_cells": self.cells, "emergence": self.emergence_over_seeds},
            **{"growth": self.growth_over_seeds, "terminal": self._with_about(self.terminal)},
            "terminal_laws": self.terminal_laws,
        }
        yield from ((name, table) for name, table in tables.items() if len(table))

    def _with_about(self, table: pd.DataFrame) -> pd.DataFrame:
        return self.about.merge(table, on="run")


def _joined(tables: Any) -> pd.DataFrame:
    return pd.concat([*tables], ignore_index=True)


def _denoiser_rows(run_set: RunSet) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Return the rows of `denoiser` of the runs that have all of them, by run; and of those whose
    rows cannot be read, why."""
    rows, unread = {}, {}
    for experiment in map(run_set.experiment, run_set.members):
        try:
            own = _rows_of(experiment)
        except Mistake as mistake:
            unread[experiment.label] = str(mistake)
            continue
        if len(own):
            rows[experiment.label] = own
    return rows, unread


def _rows_of(experiment: Experiment) -> pd.DataFrame:
    parts = denoiser_parts(experiment.config, experiment.run)
    whole = all(part.is_file() for part in parts.values())
    return read_measured(parts if whole else {}, experiment.run, experiment.label)


def _of_denoiser(
    rows: Mapping[str, pd.DataFrame], study: StudyTables
) -> tuple[pd.DataFrame, dict[tuple[float, str], str]]:
    """Return obedience over seeds, and what is refused."""
    variants: dict[str, list[pd.DataFrame]] = {}
    refused: dict[tuple[float, str], str] = {}
    for run, own in rows.items():
        variants.setdefault(study.variants[run], []).append(own)
        refused |= refusals(own)
    curves = [obedience_over_seeds(runs, name) for name, runs in variants.items()]
    return _joined(curves or [pd.DataFrame()]), refused
