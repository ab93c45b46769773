"""Figures over the settings in which variants differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.sim import interval_figure, phase_figure
from analysis.measures.intervals import FEWEST_SEEDS, clopper_pearson
from studies.claims.evidence import mean_of_finite
from studies.claims.sim import measures
from studies.claims.sim.axes import grid_of, one_at_a_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.claims.sim.runs import Study


def factors(study: Study) -> Figure:
    """Draw how often runs swing by, against what is varied: a panel per setting."""
    points = {
        words: {
            "loss rises": _shares(names, lambda name: _rising(study, name)),
            "c_1 swings": _shares(names, lambda name: study.of(measures.swings, name)),
        }
        for words, names in one_at_a_time(study.config).items()
    }
    return interval_figure(points, "", "share of runs")


def _shares(names: Mapping[float, str], seen: Callable[[str], np.ndarray]) -> np.ndarray:
    """Return the rows number, share of runs, and the ends of its interval."""
    columns = []
    for number, name in names.items():
        yes = seen(name)
        columns.append((number, yes.mean(), *clopper_pearson(int(yes.sum()), len(yes))))
    return np.array(columns).T


def phase(study: Study) -> Figure:
    """Draw over a grid how often losses rise, how high, how far c_1 falls, and which have ended."""
    grid = grid_of(study.config)
    cells = {
        what: np.array(
            [[value(grid.names[row, column]) for column in grid.columns] for row in grid.rows]
        )
        for what, value in _measured(study).items()
    }
    return phase_figure(cells, grid.rows, grid.columns, blank=f"< {FEWEST_SEEDS} rise")


def _measured(study: Study) -> dict[str, Callable[[str], float]]:
    """Return what a phase diagram shows of a variant."""
    return {
        "share whose loss rises": lambda name: _rising(study, name).mean(),
        "median rise of those / start": lambda name: _median_rise(study, name),
        "mean fall of c_1 from its peak": (
            lambda name: mean_of_finite(study.of(measures.swing_heights, name))[0]
        ),
        f"share ended (below {study.rules.left:g})": (
            lambda name: measures.ended(study.paths[name], study.rules).mean()
        ),
    }


def _rising(study: Study, name: str) -> np.ndarray:
    return measures.rising(study.paths[name], study.rules)


def _median_rise(study: Study, name: str) -> float:
    heights = measures.heights(study.paths[name])[_rising(study, name)]
    return float(np.median(heights)) if len(heights) >= FEWEST_SEEDS else np.nan
