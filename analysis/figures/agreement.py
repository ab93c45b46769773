"""Figures of where two instruments say the same, and pictures of where they do not."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.figures.fonts import width_of
from analysis.figures.style import PALETTE, WIDTH_IN, figure_style, images_seen_axis, panels_of
from analysis.tables.agreement import not_as_asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PICTURES = 24
_CHARACTER_IN, _LINE_IN = 0.062, 0.15  # of 8 pt text, at most


def agreement_figure(table: pd.DataFrame) -> Figure:
    """Agreement over training images seen: how often probe and oracle say the same where neither is
    unsure, with the 95 % interval of "joint", and how often each is unsure.

    table: as `agreement.agreement` returns it, of one run. Snapshots at which one of them is unsure
    of everything leave a gap.
    """
    with figure_style():
        figure, (same, unsure) = panels_of(2, 2, 2.1, one_y_axis=False)
        _draw_agreement(same, table)
        _draw_unsure(unsure, table[table["measure"] == "joint"])
        for panel in (same, unsure):
            images_seen_axis(panel, table["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        handles, _ = same.get_legend_handles_labels()
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _draw_agreement(panel: Axes, table: pd.DataFrame) -> None:
    groups = table.groupby("measure", sort=False)
    for colour, style, (measure, rows) in zip(cycle(PALETTE), cycle(("-", "--", "-.")), groups):
        x, share = rows["images_seen"], rows["agreement"]
        panel.plot(x, share, style, color=colour, label=measure, linewidth=1.4, marker=".")
    joint = table[table["measure"] == "joint"]
    bounds = (joint["images_seen"], joint["low"], joint["high"])
    label = "joint, 95 % interval"
    some = joint["count"] > 0
    panel.fill_between(*bounds, where=some, color=PALETTE[0], alpha=0.25, linewidth=0, label=label)
    panel.set(title="say the same", ylabel="share where neither is unsure")
    panel.set_ylim(min(0.9, table["agreement"].min()) - 0.005, 1.005)


def _draw_unsure(panel: Axes, joint: pd.DataFrame) -> None:
    for name, colour, style in (("probe", PALETTE[0], "-"), ("oracle", PALETTE[1], "--")):
        share = joint[f"{name}_unsure"]
        panel.plot(joint["images_seen"], share, style, color=colour, label=name, marker=".")
    panel.set(title="are unsure", ylabel="share of images", ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
    panel.legend(loc="best")


def disagreement_figure(apart: pd.DataFrame, images: np.ndarray) -> Figure:
    """Images in which the instruments read different values, each over what was asked and what
    either reads otherwise.

    apart: as `agreement.disagreements` returns it, one row or more; images: uint8 [0, 255]
    (rows, H, W, 3), theirs. Of more than MOST_PICTURES, so many at even distances are shown.
    """
    shown = np.unique(np.linspace(0, len(apart) - 1, MOST_PICTURES).round().astype(int))
    labels = [_label(apart.iloc[i]) for i in shown]
    longest = max(width_of(line) for label in labels for line in label.splitlines())
    columns = max(1, min(6, int(WIDTH_IN / (_CHARACTER_IN * longest))))
    with figure_style():
        figure, panels = panels_of(len(shown), columns, 0.8 + 4 * _LINE_IN)
        for panel, i, label in zip(panels, shown, labels, strict=True):
            panel.imshow(images[i], interpolation="nearest")
            panel.set(xticks=(), yticks=(), xlabel=label)
            panel.spines[:].set_visible(False)
        title = f"{len(shown)} of the {len(apart)} images in which probe and oracle part"
        figure.suptitle(title, fontsize=9)
    return figure


def _label(row: pd.Series) -> str:
    read = [f"{name}: {not_as_asked(row['asked'], row[name])}" for name in ("probe", "oracle")]
    return "\n".join((f"asked: {row['combination']}", *read))
