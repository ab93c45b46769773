"""Asked centres against read ones, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.style import PALETTE, figure_style, panels_of
from analysis.tables.centres import last_asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WITHIN_PX = 1.0  # what counts as right in `scores`
_MARKERS = ("o", "^", "s")


def centre_figure(scores: pd.DataFrame, size_px: int) -> Figure:
    """Coordinates as they were read against those asked for, at the last step of all runs: a panel
    per split, a colour per concept, a grey band where what is read is right.

    Coordinates that are read as absent, or of which the probe is unsure, have no point; the title
    counts them.

    scores: rows with `target_value` and `predicted_value` in px, the second around a circle the
        nearest to the first.
    size_px: of the image.
    """
    asked = last_asked(scores)
    splits = list(asked["split"].unique())
    with figure_style():
        figure, panels = panels_of(len(splits), columns=4, panel_height_in=2.0)
        for panel, split in zip(panels, splits, strict=True):
            _draw(panel, asked[asked["split"] == split], size_px)
            panel.set_title(f"{split.replace('_', ' ')}\n{_unread(asked[asked['split'] == split])}")
        figure.supxlabel("asked for, px", fontsize=8)
        figure.supylabel("read, px", fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(handles))
    return figure


def _draw(panel: Axes, rows: pd.DataFrame, size_px: int) -> None:
    ends = [0, size_px]
    low, high = ([end + off for end in ends] for off in (-WITHIN_PX, WITHIN_PX))
    panel.fill_between(ends, low, high, color="0.85", linewidth=0, label="within 1 px")
    read = rows[rows["predicted"].notna()]
    looks = zip(rows["concept"].unique(), PALETTE, _MARKERS, strict=False)
    for concept, colour, marker in looks:
        points = read[read["concept"] == concept]
        panel.scatter(
            points["target_value"],
            points["predicted_value"],
            s=6,
            color=colour,
            marker=marker,
            alpha=0.5,
            linewidth=0,
            label=concept,
        )
    panel.set(xlim=(-0.04 * size_px, 1.04 * size_px), xticks=ends, yticks=ends)
    panel.tick_params(labelleft=True)


def _unread(rows: pd.DataFrame) -> str:
    unread = rows["predicted"].isna() | rows["predicted_value"].isna()
    return f"not read: {unread.sum()} of {len(rows)}"
