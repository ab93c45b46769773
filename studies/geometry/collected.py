"""Rows of every table, collected from snapshots one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from diffusion.activations import main_sites
from diffusion.pipeline import ConceptPipeline
from diffusion.precision import allow_tf32
from diffusion.snapshots import find_snapshot
from studies.geometry.asked import Asked
from studies.geometry.holes import has_surface, homology_row
from studies.geometry.maps import map_rows
from studies.geometry.measured import (
    displacement_rows,
    geometry_rows,
    ideal_rows,
    left_out_rows,
    readouts,
    spectrum_rows,
)
from studies.geometry.projections import Basis, basis_of, held_rows, projection_rows
from studies.geometry.readings import Readings, ReadingSettings, read_snapshot
from studies.geometry.steers import Steers
from studies.geometry.swaps import Swaps
from studies.run.opened import Experiment
from studies.worlds.condition_grid import ConditionGrid

Rows = Sequence[dict[str, Any]]


@dataclass
class Collected:
    """Rows by table.

    Attributes:
        asked: what is measured.
        grid: conditions that are read.
        steps: of all runs, in order; the last one gives the basis of all, and has ideal codes and
            edits.
        out: folder for activations while they are read.
        rows: by table, of every run the last step first.
    """

    asked: Asked
    grid: ConditionGrid
    steps: Sequence[int]
    out: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return tables with a row or more, by their names, in the order of steps."""
        return {
            name: pd.DataFrame(rows).sort_values("step", kind="stable", ignore_index=True)
            for name, rows in self.rows.items()
            if rows
        }

    def add_run(self, experiment: Experiment, progress: Callable[[int], object]) -> None:
        """Measure all snapshots of a run."""
        bases: dict[tuple[str, float], Basis] = {}
        for step in (self.steps[-1], *self.steps[:-1]):
            self._add_snapshot(experiment, step, bases, progress)

    def _add(self, name: str, rows: Rows, about: dict[str, Any], **more: Any) -> None:
        self.rows.setdefault(name, []).extend({**about, **more, **row} for row in rows)

    def _add_snapshot(
        self,
        experiment: Experiment,
        step: int,
        bases: dict[tuple[str, float], Basis],
        progress: Callable[[int], object],
    ) -> None:
        config, asked = experiment.config, self.asked
        directory = find_snapshot(experiment.run.snapshots, step)
        allow_tf32(config.train.tf32)
        model = ConceptPipeline.load(directory, config.evaluate.weights)
        sites = tuple(asked.sites) or tuple(main_sites(model.denoiser()))
        about = {
            "run": experiment.label,
            "step": step,
            "images_seen": step * config.train.batch_size,
            "weights": config.evaluate.weights,
        }
        own = (asked.levels, asked.noise_seeds, asked.pooled, asked.memory_mb)
        settings = ReadingSettings(sites, *own, config.evaluate.seed)
        with TemporaryDirectory(dir=self.out, prefix=".activations.") as folder:
            readings = read_snapshot(model, self.grid.prompts, settings, Path(folder), progress)
            for site in sites:
                for level in readings.levels:
                    self._add_code(readings, site, level, bases, about)
            if step == self.steps[-1]:
                self._add_edits(experiment, model, readings, sites, about)

    def _add_code(
        self,
        readings: Readings,
        site: str,
        level: float,
        bases: dict[tuple[str, float], Basis],
        about: dict[str, Any],
    ) -> None:
        codes, grid, last = readings.codes(site, level), self.grid, about["step"] == self.steps[-1]
        about = {**about, "site": site, "level": level}
        about["alpha_bar"] = readings.levels[level].alpha_bar
        noise = self._add_pairs(codes, about)
        r2 = [{"feature": name, "r2": value} for name, value in readouts(codes, grid).items()]
        self._add("readouts", r2, about)
        self._add("spectra", spectrum_rows(codes), about)
        self._add("displacements", displacement_rows(codes, grid), about)
        if last and noise == noise:  # nan: nothing but noise
            ideals = ideal_rows(grid, len(codes), codes.shape[2], noise)
            self._add("displacements", ideals, about)
        if self.asked.homology and has_surface(grid):
            self._add("homology", [homology_row(codes)], about)
        basis = bases.setdefault((site, level), basis_of(codes, grid) if last else {})
        self._add("projections", projection_rows(codes, basis, grid), about)
        self._add("held", held_rows(codes, basis, grid), about)
        if last and self.asked.umap:
            self._add("umap", map_rows(codes, grid), about)

    def _add_pairs(self, codes: Any, about: dict[str, Any]) -> float:
        """Add what is measured of every pair of features; return the noise of the first."""
        measured = list(geometry_rows(codes, self.grid))
        shape = {"noise_seeds": len(codes), "conditions": codes.shape[1], "width": codes.shape[2]}
        for row, found in measured:
            self._add("geometry", [row], about, **shape)
            pair = {"first": row["first"], "second": row["second"]}
            self._add("left_out", left_out_rows(found), about, **pair)
        return measured[0][1].noise

    def _add_edits(
        self,
        experiment: Experiment,
        model: ConceptPipeline,
        readings: Readings,
        sites: Sequence[str],
        about: dict[str, Any],
    ) -> None:
        seed = experiment.config.evaluate.seed
        if self.asked.swap:
            swaps = Swaps(experiment, model, self.grid, seed)
            for site in sites:
                self._add("swaps", swaps.rows(site, readings), about)
        if self.asked.steer:
            steers = Steers(experiment, model, self.grid, seed)
            for site in sites:
                self._add("steers", steers.rows(site, readings, self.asked.steer), about)
