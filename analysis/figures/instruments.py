"""Figure of four instruments beside each other over training: where they agree, and where not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.readouts import draw_counting
from analysis.figures.style import PALETTE, figure_style, images_seen_axis, new_figure
from analysis.figures.unsure import STRIP_IN, draw_unsure, frame_strip
from analysis.tables.readouts import (
    APART,
    ARGMAX,
    OBEDIENCE,
    ORACLE,
    SOFTMAX,
    four_instruments,
    readout_differences,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS: Mapping[str, tuple[str, Any]] = {
    SOFTMAX: (PALETTE[0], "-"),
    ARGMAX: (PALETTE[1], "--"),
    ORACLE: (PALETTE[2], "-."),
    OBEDIENCE: (PALETTE[6], "-"),
}
LABELS = {SOFTMAX: "probe, softmax", ARGMAX: "probe, argmax", ORACLE: "oracle, argmax"}
FIRST_MORE, SECOND_MORE, TOGETHER = PALETTE[4], PALETTE[5], "0.87"
COLUMNS, CURVES_IN, PAIR_IN = 3, 1.7, 0.16
FARTHEST = (-0.5, 1.6)  # of values that are drawn


def instruments_figure(curves: pd.DataFrame) -> Any:
    """What four instruments say over training, of one run: a panel per concept.

    Each panel has a line per instrument with its 95 % interval, faint where it does not count;
    below, how often probe and oracle are unsure; below that a row per pair of instruments, coloured
    where they part: where their difference is more than APART, its interval included.

    curves: as `readouts.readout_curves` returns them, by split, of one run and split.
    """
    shown = four_instruments(curves)
    differences = readout_differences(shown)
    pairs = [*dict.fromkeys(zip(differences["first"], differences["second"], strict=True))]
    concepts = [*shown["concept"].unique()]
    columns = min(COLUMNS, len(concepts))
    rows = math.ceil(len(concepts) / columns)
    heights = [CURVES_IN, STRIP_IN, PAIR_IN * len(pairs) + 0.4]
    with figure_style():
        figure = new_figure(rows * sum(heights) + 1.0)
        axes = figure.subplots(3 * rows, columns, height_ratios=heights * rows, squeeze=False)
        panels = axes.reshape(rows, 3, columns).swapaxes(1, 2).reshape(-1, 3)
        for i, (three, concept) in enumerate(zip(panels, concepts, strict=False)):
            own, apart = (table[table["concept"] == concept] for table in (shown, differences))
            _draw_concept(three, own, apart, pairs, first=i % columns == 0)
            three[0].set_title(concept)
        for unused in panels[len(concepts) :].flat:
            unused.remove()
        figure.legend(handles=_lines(shown), loc="outside upper center", ncols=4)
        figure.legend(handles=_patches(), loc="outside lower center", ncols=2)
    return figure


def _draw_concept(
    axes: Any,
    own: pd.DataFrame,
    differences: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    first: bool,
) -> None:
    panel, strip, below = axes  # array of three
    for readout, curve in own.groupby("readout", sort=False):
        draw_counting(panel, curve, *_look(str(readout)))
    frame_strip(strip, first)
    for readout in (SOFTMAX, ORACLE):
        draw_unsure(strip, own[own["readout"] == readout], *_look(readout))
    _draw_pairs(below, differences, pairs, first)
    for one in axes:
        images_seen_axis(one, own["images_seen"])
    for above in (panel, strip):
        above.tick_params(labelbottom=False)
    below.set_xlabel("training images seen")
    low, high = own["value"].min(), own["value"].max()
    panel.set_ylim(np.clip(min(low, 0) - 0.05, *FARTHEST), np.clip(max(high, 1) + 0.05, *FARTHEST))
    panel.set_yticks((0, 0.5, 1))
    if first:
        panel.set_ylabel("as asked")


def _draw_pairs(
    panel: Axes, differences: pd.DataFrame, pairs: Sequence[tuple[str, str]], first: bool
) -> None:
    """A row of cells per pair, from above; blank where the snapshot does not count for both."""
    from matplotlib.colors import ListedColormap

    state = np.where(differences["apart"], np.sign(differences["difference"]), 0.0)
    table = differences.assign(state=np.where(differences["counts"], state, np.nan))
    cells = table.pivot(index="images_seen", columns=["first", "second"], values="state")
    cells = cells.reindex(columns=pd.MultiIndex.from_tuples(pairs))
    colors = ListedColormap([SECOND_MORE, TOGETHER, FIRST_MORE])
    edges = _edges(cells.index.to_numpy(np.float64))
    rows = np.arange(len(pairs) + 1) - 0.5
    values = np.ma.masked_invalid(cells.to_numpy(np.float64).T)
    panel.pcolormesh(edges, rows, values, cmap=colors, vmin=-1, vmax=1, rasterized=True)
    panel.hlines(rows, edges[0], edges[-1], color="0.93", linewidth=0.8)
    panel.set(ylim=(len(pairs) - 0.5, -0.5), yticks=range(len(pairs)))
    panel.set_yticklabels([f"{_short(a)}, {_short(b)}" for a, b in pairs] if first else [])
    panel.tick_params(axis="y", length=0)
    panel.spines[:].set_visible(False)


def _edges(images_seen: np.ndarray) -> np.ndarray:
    """Between snapshots, halfway on the axis of `images_seen_axis`."""
    positive = images_seen[images_seen > 0]
    middles = np.sqrt(positive[1:] * positive[:-1])
    start = [-positive[0] / 3, positive[0] / 2] if len(positive) < len(images_seen) else []
    return np.array([*(start or [positive[0] / 1.2]), *middles, positive[-1] * 1.2])


def _look(readout: str) -> tuple[str, Any]:
    return LOOKS[readout.split()[0]]


def _short(readout: str) -> str:
    return readout.split()[0]


def _lines(shown: pd.DataFrame) -> list[Any]:
    from matplotlib.lines import Line2D

    names = [*shown["readout"].unique()]
    return [
        Line2D([], [], color=color, linestyle=style, linewidth=1.4, label=label)
        for (color, style), label in ((_look(n), LABELS.get(n, _level_label(n))) for n in names)
    ]


def _level_label(readout: str) -> str:
    return f"denoiser, {OBEDIENCE} at level {readout.split()[-1]}"


def _patches() -> list[Any]:
    from matplotlib.patches import Patch

    told = {
        FIRST_MORE: f"the first of the pair is higher, by more than {APART:g}",
        SECOND_MORE: f"the second is higher, by more than {APART:g}",
        TOGETHER: "not told apart by that much",
        "white": "blank: one of them does not count",
    }
    return [
        Patch(facecolor=color, edgecolor="0.6", linewidth=0.4, label=label)
        for color, label in told.items()
    ]
