"""Verdicts of one claim: the effect of every part with its interval, a row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.style import figure_style, new_figure
from analysis.measures.verdicts import bars_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"holds": "#009E73", "fails": "#D55E00"}
OPEN = "#777777"  # of what is undecided or only informs
MOST_LETTERS = 90  # of what a row is
TITLE_LETTERS = 100  # of a line of the title
TOP_IN, ROW_IN = 1.1, 0.22


def verdict_figure(title: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the effect of every part with its 95 % interval and the numbers that its rule holds it
    against. Color and the right edge tell the word of the decision; parts that only inform are
    hollow.

    rows: of variant, what, verdict, rule, effect, low, high; unknown numbers are None.
    """
    with figure_style():
        figure = new_figure(TOP_IN + ROW_IN * len(rows))
        axes = figure.subplots()
        rule = ""
        for place, row in enumerate(rows):
            rule = row["rule"] or (rule if rule.startswith("EACH") else "")
            _draw(axes, place, row, bars_of(rule))
        names = [f"{row['variant']}: {row['what']}"[:MOST_LETTERS] for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=6)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("effect, 95 % interval; black: what the rule holds it against")
        _tell_words(axes, rows)
        figure.suptitle(fill(title, TITLE_LETTERS), fontsize=9)
    return figure


def _draw(axes: Axes, place: int, row: Mapping[str, Any], bars: Sequence[float]) -> None:
    color, style = COLORS.get(_word(row), OPEN), "full" if row["rule"] else "none"
    effect, *ends = (np.nan if row[key] is None else row[key] for key in ("effect", "low", "high"))
    axes.vlines(bars, place - 0.4, place + 0.4, color="black", linewidth=0.8)
    axes.plot(ends, [place, place], color=color, linewidth=1.5)
    axes.plot(effect, place, "o", color=color, markersize=4, fillstyle=style)


def _tell_words(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the word of each row at the right edge, or that its effect is unknown."""
    edge = axes.secondary_yaxis("right")
    words = [_word(row) or ("unknown" if row["effect"] is None else "") for row in rows]
    edge.set_yticks(range(len(rows)), words, fontsize=6)
    edge.tick_params(length=0)
    edge.spines["right"].set_visible(False)


def _word(row: Mapping[str, Any]) -> str:
    """Return holds, fails or undecided, and nothing for a row that only informs."""
    return row["verdict"].partition(" ")[0] if row["rule"] else ""
