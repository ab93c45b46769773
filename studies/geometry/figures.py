"""Figures of the tables of scripts/geometry.py."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.figures.geometry import (
    displacement_figure,
    numbers_figure,
    swap_figure,
    verdict_figure,
)


def geometry_figures(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return figures by name: of every pair of features the verdicts, their numbers, and, of the
    last step and middle level, the displacements of the first run; its swaps too."""
    found = {}
    for (first, second), own in frames["verdicts"].groupby(["first", "second"], sort=False):
        name = f"{first}_{second}"
        found[f"verdicts_{name}"] = verdict_figure(own)
        found[f"numbers_{name}"] = numbers_figure(own)
        steps = _last_of_first(frames["displacements"])
        steps = steps[(steps["first"] == first) & (steps["second"] == second)]
        levels = sorted(steps["level"].unique())
        level = levels[len(levels) // 2]
        found[f"displacements_{name}_{level:g}"] = displacement_figure(
            steps[steps["level"] == level]
        )
    if "swaps" in frames:
        found["swaps"] = swap_figure(_last_of_first(frames["swaps"]))
    return found


def _last_of_first(rows: pd.DataFrame) -> pd.DataFrame:
    own = rows[rows["run"] == rows["run"].iloc[0]]
    return own[own["step"] == own["step"].max()]
