"""Runs on images as claims read them: tables of each, whether they lie in a run or were kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ground.endings import Mistake
from studies.experiment.config import Config
from studies.many.study import PlannedRun
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.worlds.prompt_sets import PLAIN

TABLES = ("scores", "oracle", "denoiser", "copies", "geometry")


@dataclass(frozen=True)
class ImageRun:
    """Run of a study, with what was measured of it.

    Attributes:
        study: its name.
        planned: what the study says of it.
        tables: of TABLES those that it has; none of a run that diverged.
        certificate: of its probe: num_images, and the accuracy of each concept on clean renders.
        diverged: whether its training ended so. It counts as "no".
    """

    study: str
    planned: PlannedRun
    tables: Mapping[str, pd.DataFrame]
    certificate: Mapping[str, float]
    diverged: bool = False

    @property
    def name(self) -> str:
        return self.planned.name

    @property
    def seed(self) -> int:
        return self.planned.seed

    @property
    def config(self) -> Config:
        return self.planned.config

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings in which the runs of its study differ, by dotted field."""
        return self.planned.settings

    @cached_property
    def experiment(self) -> Experiment:
        """Experiment of its config; nothing of it needs to be there."""
        return Experiment(self.config, RunDir(Path(self.name)))

    def table(self, name: str) -> pd.DataFrame:
        """Return one of TABLES. Raises Mistake if the run does not have it."""
        if name not in self.tables:
            there = ", ".join(self.tables) or "none"
            raise Mistake(f"{self.study}, {self.name}: has no table {name}; it has {there}")
        return self.tables[name]

    @cached_property
    def denoiser(self) -> pd.DataFrame:
        """Rows of the table denoiser. Products, which only coordinates need, are not kept."""
        rows = self.table("denoiser")
        return rows.assign(products=np.full(len(rows), None, dtype=object))

    @cached_property
    def plain(self) -> pd.DataFrame:
        """Rows of scores for the captions alone."""
        scores = self.table("scores")
        return scores[scores["intervention"] == PLAIN]

    @cached_property
    def last(self) -> pd.DataFrame:
        """Rows of the last snapshot for the captions alone."""
        return self.plain[self.plain["step"] == self.plain["step"].max()]


@dataclass(frozen=True)
class Gates:
    """Gates of a file of rules, which every run must pass.

    Attributes:
        probe: least accuracy of each concept on clean renders.
        probe_images: of how many at least.
        trained: least joint accuracy on the run's own training conditions, at the last snapshot.
    """

    probe: float
    probe_images: int
    trained: float


@dataclass(frozen=True)
class ImageRuns:
    """Runs of one study or several.

    Attributes:
        runs: in the order of their studies.
        gates: that each run must pass.
        told: where they are from, for people.
        measure_code: adds the table geometry to a run; None where only tables are there.
    """

    runs: Sequence[ImageRun]
    gates: Gates
    told: str = ""
    measure_code: Callable[[ImageRun], ImageRun] | None = None

    def where(self, **settings: Any) -> list[ImageRun]:
        """Return the runs with these settings, in the order of seeds. A name stands for the dotted
        field that ends with it, with _ for every dot and space. Raises Mistake for a name or value
        that no run has."""
        for name, asked in settings.items():
            _check_setting(name, asked, self.runs)
        found = [run for run in self.runs if _has(run.settings, settings)]
        return sorted(found, key=lambda run: run.seed)

    def of_study(self, name: str) -> "ImageRuns":
        """Return the runs of one study."""
        return replace(self, runs=[run for run in self.runs if run.study == name])

    def with_code(self, run: ImageRun) -> ImageRun:
        """Return a run with the geometry of its code, measured now if it was not before. A run that
        diverged has none. Raises Mistake where there is nothing to measure."""
        if run.diverged or "geometry" in run.tables:
            return run
        if self.measure_code is None:
            raise Mistake(f"{run.name}: the geometry of its code was not measured")
        return self.measure_code(run)


def paired(
    first: Sequence[ImageRun], second: Sequence[ImageRun]
) -> list[tuple[ImageRun, ImageRun]]:
    """Return runs of equal seed, in the order of the first."""
    by_seed = {run.seed: run for run in second}
    return [(run, by_seed[run.seed]) for run in first if run.seed in by_seed]


def _has(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    fields = _fields(settings).items()
    return all(
        any(key.endswith(name) and value == asked for key, value in fields)
        for name, asked in wanted.items()
    )


def _fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace(".", "_").replace(" ", "_"): value for key, value in settings.items()}


def _check_setting(name: str, asked: Any, runs: Sequence[ImageRun]) -> None:
    """Raise Mistake for a setting, or a value of it, that none of some runs has."""
    fields = [_fields(run.settings) for run in runs]
    values = [own[key] for own in fields for key in own if key.endswith(name)]
    if not values:
        known = ", ".join(dict.fromkeys(key for own in fields for key in own)) or "none"
        raise Mistake(f"where: {name}: no run has this setting; there are {known}")
    if asked not in values:
        there = ", ".join(dict.fromkeys(map(str, values)))
        raise Mistake(f"where: {name}: got {asked!r}, the runs have {there}")
