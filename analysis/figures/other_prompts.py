"""Joint accuracy under sets of prompts other than the captions, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.style import PALETTE, figure_style, images_seen_axis, panels_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = {
    "held_out": "held-out combinations",
    "train": "training combinations",
    "partial": "partial prompts",
}


def prompt_figure(curves: pd.DataFrame) -> Figure:
    """Joint accuracy against training images seen: a panel per split, a line per set of prompts.

    curves: as `other_prompts.prompt_curves` returns them.
    """
    splits = [split for split in _PANELS if split in set(curves["split"])]
    looks = dict(zip(curves["prompts"].unique(), zip(cycle(PALETTE), cycle("osD^v")), strict=False))
    with figure_style():
        figure, panels = panels_of(len(splits), columns=3, panel_height_in=2.15)
        for panel, split in zip(panels, splits, strict=True):
            shown = curves[curves["split"] == split]
            for name, own in shown.groupby("prompts", sort=False):
                _draw(panel, own.sort_values("images_seen"), *looks[name])
            panel.set(title=_PANELS[split], ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            images_seen_axis(panel, shown["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("joint accuracy", fontsize=8)
        handles = _legend(looks)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5))
    return figure


def _draw(panel: Axes, curves: pd.DataFrame, colour: str, marker: str) -> None:
    x = curves["images_seen"]
    panel.fill_between(x, curves["low"], curves["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(x, curves["accuracy"], color=colour, marker=marker, markersize=3.5, linewidth=1.4)


def _legend(looks: Mapping[str, tuple[str, str]]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=name)
        for name, (colour, marker) in looks.items()
    ]
    return [*lines, Patch(color="0.3", alpha=0.2, linewidth=0, label="95 % interval")]
