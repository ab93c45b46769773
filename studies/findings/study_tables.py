"""Tables of a study: what was found in each run, read once, and over the seeds of each variant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables.learning import final_joint, learning_time_table, turn_table
from analysis.tables.trajectory import BASELINES, accuracy_curves, concept_trajectories
from analysis.tables.variants import (
    curves_over_seeds,
    differences_from_first,
    signal_laws,
    turn_counts,
    typical_times,
)
from ground.endings import Mistake
from studies.findings.found import found
from studies.findings.run_findings import Findings
from studies.run_sets.members import StudyRun
from studies.run_sets.run_set import RunSet

ABOUT = ("run", "variant", "seed")
CELL = ("variant", "split", "measure")
MEASURES = (accuracy_curves, concept_trajectories, learning_time_table, final_joint, turn_table)


@dataclass(frozen=True)
class StudyTables:
    """Tables of a study, a row or more per run.

    Attributes:
        about: run, variant, seed and the fields in which variants differ.
        curves: accuracy, as `trajectory.accuracy_curves` gives it.
        paths: as `trajectory.concept_trajectories` gives them.
        times: as `learning.learning_time_table` gives them.
        final: as `learning.final_joint` gives it.
        turns: as `learning.turn_table` gives them.
    """

    about: pd.DataFrame
    curves: pd.DataFrame
    paths: pd.DataFrame
    times: pd.DataFrame
    final: pd.DataFrame
    turns: pd.DataFrame

    @classmethod
    def of(cls, run_set: RunSet, folder: Path) -> tuple["StudyTables | None", dict[str, str]]:
        """Measure the runs that have scores, one at a time, but for those whose tables are kept.

        folder: where they are kept. Returns the tables, None if there are no scores, and of each
        run whose scores cannot be read, by its name, why not.
        """
        of_runs: dict[str, Sequence[pd.DataFrame]] = {}
        refused = {}
        for member in run_set.members:
            if any(member.run.scores.glob("[!.]*.parquet")):
                path = folder / f"{member.run.path.name}.arrows"
                measure = partial(_measured, run_set, member)
                try:
                    of_runs[member.name] = found(path, member.run, len(MEASURES), measure)
                except Mistake as mistake:
                    refused[member.name] = str(mistake)
        if not of_runs:
            return None, refused
        begun = run_set.only([member for member in run_set.members if member.name in of_runs])
        about = begun.settings.rename(columns={"name": "run"})
        joined = zip(*of_runs.values(), strict=True)
        return cls(about, *(pd.concat(each, ignore_index=True) for each in joined)), refused

    @property
    def fields(self) -> list[str]:
        return [str(name) for name in self.about if name not in ABOUT]

    @cached_property
    def over_seeds(self) -> pd.DataFrame:
        return curves_over_seeds(self.curves, self.about)

    @cached_property
    def typical(self) -> pd.DataFrame:
        return typical_times(self.times, self.about)

    @cached_property
    def laws(self) -> pd.DataFrame | None:
        """Return how learning times depend on the one numeric setting that varies; None if there is
        no such."""
        setting = self.one_setting
        return signal_laws(self.times, self.about, setting) if setting else None

    def laws_of(self, split: str) -> list[dict[str, Any]]:
        """Return the laws of one split, a row per measure."""
        if self.laws is None:
            return []
        rows: Any = self.laws[self.laws["split"] == split].to_dict("records")
        return list(rows)

    @property
    def variants(self) -> dict[str, str]:
        """Return the variant of each run."""
        return dict(zip(self.about["run"], self.about["variant"], strict=True))

    @property
    def last(self) -> pd.DataFrame:
        """Return the mean of each variant at its last snapshot."""
        return self.over_seeds.groupby([*CELL], sort=False).tail(1)

    @cached_property
    def differences(self) -> pd.DataFrame:
        return differences_from_first(self.final, self.about)

    @cached_property
    def turn_counts(self) -> pd.DataFrame:
        return turn_counts(self.turns, self.about)

    @property
    def axes(self) -> list[str]:
        """Return the fields that vary on their own; those that follow an earlier one do not."""
        axes: list[str] = []
        for name in self.fields:
            if not any(_follows(self.about, name, axis) for axis in axes):
                axes.append(name)
        return axes

    @property
    def one_setting(self) -> str | None:
        """Return the only field that varies on its own, if it is of numbers above 0."""
        axes = self.axes
        alone = len(axes) == 1 and _is_numeric(self.about[axes[0]])
        return axes[0] if alone and (self.about[axes[0]] > 0).all() else None

    @property
    def two_settings(self) -> tuple[str, str] | None:
        """Return the two fields of numbers that vary in all combinations, if those are all."""
        axes = self.axes
        if len(axes) != 2 or not all(_is_numeric(self.about[axis]) for axis in axes):
            return None
        sizes = [self.about[axis].nunique() for axis in axes]
        full = len(self.about[axes].drop_duplicates()) == sizes[0] * sizes[1]
        return (axes[0], axes[1]) if full else None

    def named(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the tables that are kept beside the report, by their names."""
        yield "curves", self.over_seeds
        yield "learning_times", self.about.merge(self.times, on="run")
        yield "typical_times", self._with_settings(self.typical)
        if self.laws is not None:
            yield "laws", self.laws
        if len(self.differences):
            yield "differences", self.differences
        if len(self.turn_counts):
            yield "turns", self.turn_counts

    def _with_settings(self, table: pd.DataFrame) -> pd.DataFrame:
        settings = self.about.drop(columns=["run", "seed"]).drop_duplicates("variant")
        return settings.merge(table, on="variant")

    def grid(self, measure: str, split: str) -> tuple[str, str, pd.DataFrame]:
        """Return the fields of rows and columns of a heat map, and its cells: accuracy at the last
        snapshot and images_seen until learned (NaN where most have not), by the second field.

        Asks for `two_settings`.
        """
        assert self.two_settings is not None
        row, column = self.two_settings
        cells = self.last.drop(columns="images_seen").merge(
            self.typical[[*CELL, "images_seen"]], on=[*CELL]
        )
        own = cells[(cells["measure"] == measure) & (cells["split"] == split)]
        settings = self.about[["variant", row, column]].drop_duplicates("variant")
        values = ["accuracy", "images_seen"]
        joined = settings.merge(own, on="variant", how="left")
        return row, column, joined.pivot(index=row, columns=column, values=values)


def _measured(run_set: RunSet, member: StudyRun) -> list[pd.DataFrame]:
    """Return the tables of one run. Raises Mistake for scores that must not be read, and if none is
    of an image that was drawn."""
    (scores,) = Findings.of(run_set.only([member])).of_each_run()
    if scores["run"].isin(BASELINES).all():
        raise Mistake("nothing that it drew is scored yet")
    return [measure(scores) for measure in MEASURES]


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _follows(about: pd.DataFrame, name: str, axis: str) -> bool:
    """Return whether the value of one field says that of another."""
    return len(about[[name, axis]].drop_duplicates()) == about[axis].nunique(dropna=False)
