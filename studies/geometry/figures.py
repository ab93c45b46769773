"""Figures of the tables of scripts/geometry.py."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.figures.codes import (
    homology_figure,
    map_figure,
    projection_figure,
    spectrum_figure,
)
from analysis.figures.geometry import (
    displacement_figure,
    numbers_figure,
    steer_figure,
    swap_figure,
    verdict_figure,
)
from studies.worlds.condition_grid import ConditionGrid

Frames = Mapping[str, pd.DataFrame]
Figures = dict[str, Any]


def geometry_figures(frames: Frames, grid: ConditionGrid) -> Figures:
    """Return figures by name. Verdicts, their numbers and spectra are of all runs; all others are
    of the first one, and those of one level of the middle one."""
    return {
        **_of_pairs(frames),
        "spectra": spectrum_figure(frames["spectra"]),
        **_of_codes(frames, grid),
        **_of_edits(frames),
    }


def _of_pairs(frames: Frames) -> Figures:
    """Return, of every pair of features, verdicts, numbers, and displacements at the last step."""
    found = {}
    for (first, second), own in frames["verdicts"].groupby(["first", "second"], sort=False):
        name = f"{first}_{second}"
        found[f"verdicts_{name}"] = verdict_figure(own)
        found[f"numbers_{name}"] = numbers_figure(own)
        steps = _middle(_last(_first_run(frames["displacements"])))
        steps = steps[(steps["first"] == first) & (steps["second"] == second)]
        level = steps["level"].iloc[0]
        found[f"displacements_{name}_{level:g}"] = displacement_figure(steps)
    return found


def _of_codes(frames: Frames, grid: ConditionGrid) -> Figures:
    """Return where codes lie along training, by feature; their holes; maps."""
    rows = _middle(_first_run(frames["projections"]))
    found = {
        f"projections_{feature.name}_{rows['level'].iloc[0]:g}": projection_figure(
            rows, feature.name
        )
        for feature in grid.features
    }
    if "homology" in frames and "holes" in frames["homology"]:
        found["homology"] = homology_figure(_first_run(frames["homology"]))
    if "umap" in frames:
        rows = _middle(_first_run(frames["umap"]))
        names = [feature.name for feature in grid.features]
        found[f"umap_{rows['level'].iloc[0]:g}"] = map_figure(rows, names)
    return found


def _of_edits(frames: Frames) -> Figures:
    """Return what moves at the last step, of swaps and of every number of places steered."""
    found = {}
    if "swaps" in frames:
        found["swaps"] = swap_figure(_last(_first_run(frames["swaps"])))
    if "steers" in frames:
        for count, own in _last(_first_run(frames["steers"])).groupby("places", sort=False):
            found[f"steers_{count}"] = steer_figure(own)
    return found


def _first_run(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["run"] == rows["run"].iloc[0]]


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["step"] == rows["step"].max()]


def _middle(rows: pd.DataFrame) -> pd.DataFrame:
    levels = sorted(rows["level"].unique())
    return rows[rows["level"] == levels[len(levels) // 2]]
