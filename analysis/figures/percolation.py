"""Percolation as a figure: the largest cluster by what is kept, and thresholds by size of torus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.style import colors_of, figure_style, panels_of
from analysis.measures.finite_size import CORRECTION, Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "os^Dv"


def percolation_figure(
    kept: np.ndarray,
    shares: Mapping[str, np.ndarray],
    halves: Mapping[str, float],
    thresholds: Mapping[str, Threshold],
    known: Mapping[str, float],
) -> Figure:
    """Left: the largest cluster against the kept fraction; right: λ_L against the size of a torus.

    Lines on the left are means over runs, bands the middle 80 %; a dashed line stands where half of
    the runs span. On the right known thresholds are subtracted, and a line is the fit, whose value
    at 0 is the threshold of a torus without end.

    kept: (k,), ascending fractions. shares: (runs, k) by name, of all sites. halves: λ_½ by name.
    thresholds, known: by name.
    """
    with figure_style():
        figure, (left, right) = panels_of(2, 2, 2.6, one_y_axis=False)
        for color, (name, values) in zip(colors_of(len(shares)), shares.items(), strict=True):
            left.fill_between(kept, *np.quantile(values, (0.1, 0.9), 0), color=color, alpha=0.18)
            left.plot(kept, values.mean(0), color=color, linewidth=1.4, label=name)
            left.axvline(halves[name], color=color, linewidth=0.8, linestyle="--")
        left.set(xlabel="kept fraction λ", ylabel="largest group, share of all", xlim=(0, kept[-1]))
        _draw_scaling(right, thresholds, known)
        left.legend(loc="lower right")
        right.set_xlim(right=1.8 * right.get_xlim()[1])  # room for the legend
        right.legend(loc="upper right")
    return figure


def _draw_scaling(
    panel: Axes, thresholds: Mapping[str, Threshold], known: Mapping[str, float]
) -> None:
    looks = zip(colors_of(len(thresholds)), _MARKERS, thresholds.items(), strict=False)
    for color, marker, (name, found) in looks:
        x = 1000 * np.array([*found.at_size], float) ** CORRECTION
        y, error = np.array([*found.at_size.values()]).T
        panel.errorbar(
            x, y - known[name], 1.96 * error, color=color, marker=marker, markersize=3, linewidth=0,
            elinewidth=0.8, label=name,
        )  # fmt: skip
        ends = np.array([0, x.max()])
        fit = found.estimate + found.correction * ends / 1000 - known[name]
        panel.plot(ends, fit, color=color, linewidth=0.8)
    panel.axhline(0, color="0.6", linewidth=0.6)
    panel.set(xlabel="1000 · L^(−11/4), of L × L sites", ylabel="λ_L less the known threshold")
