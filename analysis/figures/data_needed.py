"""Images that are needed against the size of the canvas, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.figures.style import colors_of, figure_style, panels_of, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def data_needed_figure(needed: Mapping[str, pd.DataFrame], size: str, group: str) -> Figure:
    """Images that are needed against the size, both logarithmic: a panel per way of counting them,
    a colour per group, a mark per seed; a bar is the bracket in which the number is known.

    A seed that is censored is an empty triangle at the number it stays below or above. Lines join
    the geometric means of the seeds that are not.

    needed: as `data_needed.data_needed` returns it, by what is counted.
    """
    from matplotlib.ticker import LogLocator

    tables = [*needed.values()]
    names, sizes = [*tables[0][group].unique()], sorted(tables[0][size].unique())
    with figure_style():
        figure, panels = panels_of(len(needed), 3, panel_height_in=2.3, one_y_axis=False)
        for panel, (title, table) in zip(panels, needed.items(), strict=True):
            for name, color in zip(names, colors_of(len(names)), strict=True):
                _draw(panel, table[table[group] == name], size, str(name), color)
            panel.set(xscale="log", yscale="log", title=title, xlabel=size)
            panel.set_xticks(sizes, [f"{value:g}" for value in sizes])
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(lambda count, _: short_count(count))
            panel.minorticks_off()
        panels[0].set_ylabel("images needed")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(handles))
    return figure


def _draw(panel: Axes, own: pd.DataFrame, size: str, label: str, color: str) -> None:
    known, late = own[own["needed"].notna()], own[np.isinf(own["by"])]
    early = own[own["after"] == 0]
    bars = np.abs(known[["after", "by"]].to_numpy().T - known["needed"].to_numpy())
    panel.errorbar(
        known[size], known["needed"], yerr=bars, fmt="o", color=color, markersize=4, linewidth=0.8
    )
    mean = np.exp(np.log(known["needed"]).groupby(known[size]).mean())
    panel.plot(mean.index, mean, color=color, linewidth=1.2, label=label)
    for rows, end, marker in ((late, "after", "^"), (early, "by", "v")):
        panel.scatter(rows[size], rows[end], s=18, marker=marker, facecolor="none", edgecolor=color)
