"""Strips under panels: of how many images an instrument is unsure, snapshot by snapshot."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.figures.style import images_seen_axis, new_figure
from analysis.tables.trajectory import MOST_UNSURE, mean_over_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRIP_IN = 0.5  # height, with its labels
STRIP = "unsure"  # label of the axes of a strip


def panels_over_strips(
    count: int, columns: int, panel_height_in: float
) -> tuple[Figure, list[Axes], list[Axes]]:
    """Make a figure of `count` panels, each over its strip, in as even rows of at most `columns` as
    there can be. Return the figure, the panels and the strips."""
    rows = math.ceil(count / columns)
    columns = math.ceil(count / rows)
    figure = new_figure(rows * (panel_height_in + STRIP_IN) + 0.5)
    ratios = [panel_height_in, STRIP_IN] * rows
    axes = figure.subplots(2 * rows, columns, height_ratios=ratios, squeeze=False)
    panels, strips = [*axes[::2].flat], [*axes[1::2].flat]
    for unused in (*panels[count:], *strips[count:]):
        unused.remove()
    for i, strip in enumerate(strips[:count]):
        frame_strip(strip, first=i % columns == 0)
    return figure, panels[:count], strips[:count]


def frame_strip(strip: Axes, first: bool = True) -> None:
    """Make a panel a strip of shares of unsure images. first: of its row, which is labelled."""
    strip.set(ylim=(-0.08, 1.08), yticks=(0, 1), label=STRIP)
    strip.axhline(MOST_UNSURE, color="0.6", linewidth=0.6, linestyle=":")
    if first:
        strip.set_ylabel("unsure")
    strip.tick_params(labelleft=first)


def draw_unsure(strip: Axes, rows: pd.DataFrame, color: Any, linestyle: str = "-") -> None:
    """Draw the share of unsure images against training images seen: a line, or of several runs a
    thin line each and a thick mean over the snapshots that all have.

    rows: run, images_seen, unsure; a row per run and snapshot.
    """
    several = rows["run"].nunique() > 1
    for _, run in rows.groupby("run"):
        run, width = run.sort_values("images_seen"), 0.4 if several else 1.0
        strip.plot(run["images_seen"], run["unsure"], linestyle, color=color, linewidth=width)
    if several:
        mean = mean_over_runs(rows, ["images_seen"], "unsure")
        strip.plot(mean.index, mean, linestyle, color=color, linewidth=1.4)


def share_axis(panel: Axes, strip: Axes, images_seen: pd.Series) -> None:
    """Give a panel and its strip the same axis of images seen, with numbers below the strip."""
    for axes in (panel, strip):
        images_seen_axis(axes, images_seen)
    panel.tick_params(labelbottom=False)


def most_unsure(rows: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """Return the largest share of unsure images among the concepts: `keys` and unsure."""
    return rows.groupby([*keys], sort=False)["unsure"].max().reset_index()
