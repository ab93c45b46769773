"""What is known of the instruments that read the images, as a figure."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.style import PALETTE, figure_style, panels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def degradation_figure(curves: pd.DataFrame) -> Figure:
    """How each instrument reads images under noise and blur: a panel per instrument and kind.

    curves: a row per instrument, kind (noise or blur), level and concept, with `accuracy` (unsure
        counts as wrong) and `unsure`, shares in [0, 1].
    """
    groups = list(curves.groupby(["instrument", "kind"], sort=False))
    with figure_style():
        figure, panels = panels_of(len(groups), columns=4, panel_height_in=1.75)
        for panel, ((instrument, kind), rows) in zip(panels, groups, strict=True):
            _draw(panel, rows)
            panel.set(title=f"{instrument}: {kind}", ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            panel.locator_params(axis="x", nbins=5)
            panel.set_xlabel("px" if kind == "blur" else "standard deviation")
        figure.supylabel("share of images", fontsize=8)
        handles = panels[0].get_lines()
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    groups = rows.groupby("concept", sort=False)
    for colour, style, (concept, line) in zip(cycle(PALETTE), cycle(("-", "--", "-.")), groups):
        label = f"{concept} right"
        panel.plot(line["level"], line["accuracy"], style, color=colour, label=label, linewidth=1.4)
    unsure = rows.groupby("level")["unsure"].mean()
    panel.plot(unsure.index, unsure, ":", color="0.45", label="unsure", linewidth=1.2)
