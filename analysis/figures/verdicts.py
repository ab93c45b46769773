"""Verdicts of one claim: the effect of every part with its interval, a row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.style import figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"holds": "#009E73", "fails": "#D55E00"}
OPEN = "#777777"  # of what is undecided or only informs
MOST_LETTERS = 90  # of what a row is


def verdict_figure(title: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the effect of every part with its 95 % interval, colored by the word of its decision;
    parts that only inform are hollow.

    rows: of variant, what, verdict, rule, effect, low, high; unknown numbers are None.
    """
    with figure_style():
        figure = new_figure(0.9 + 0.22 * len(rows))
        axes = figure.subplots()
        for place, row in enumerate(rows):
            _draw(axes, place, row)
        names = [f"{row['variant']}: {row['what']}"[:MOST_LETTERS] for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=6)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("effect, 95 % interval")
        axes.set_title(title)
    return figure


def _draw(axes: Axes, place: int, row: Mapping[str, Any]) -> None:
    word = row["verdict"].partition(" ")[0] if row["rule"] else ""
    color, style = COLORS.get(word, OPEN), "full" if row["rule"] else "none"
    effect, *ends = (np.nan if row[key] is None else row[key] for key in ("effect", "low", "high"))
    axes.plot(ends, [place, place], color=color, linewidth=1.5)
    axes.plot(effect, place, "o", color=color, markersize=4, fillstyle=style)
