"""Figures of a run, 7 in wide, for paper and screen.

Colours are Okabe and Ito's, which colour-blind readers tell apart. Figures are made with
matplotlib's object interface: nothing here touches pyplot or needs a display.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 7.0
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_SPLIT_COLOURS = dict(zip(("train", "held_out", "partial"), PALETTE, strict=False))
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6,
    "pdf.fonttype": 42,  # text stays text: journals refuse the default
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


def accuracy_figure(curves: pd.DataFrame, chance: Mapping[str, float]) -> Figure:
    """Accuracy against training images seen: one panel per measure, one colour per split.

    One run: its line, with its interval as a band. Several: a thin line and a faint band per run,
    and a thick mean line over the snapshots that all of them have.

    curves: as `trajectory.accuracy_curves` returns them.
    chance: accuracy of guessing, in [0, 1], by measure; drawn where there is one.
    """
    measures = list(curves["measure"].unique())
    splits = [split for split in _SPLIT_COLOURS if split in set(curves["split"])]
    with figure_style():
        figure, panels = panels_of(len(measures), columns=4, panel_height_in=1.75)
        for panel, measure in zip(panels, measures, strict=True):
            shown = curves[curves["measure"] == measure]
            for split in splits:
                _draw_accuracy(panel, shown[shown["split"] == split], _SPLIT_COLOURS[split])
            if measure in chance:
                panel.axhline(chance[measure], color="0.45", linestyle="--", linewidth=0.8)
            panel.set(title=measure, ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            images_seen_axis(panel, shown["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("accuracy", fontsize=8)
        handles = _accuracy_legend(splits, curves["run"].nunique(), bool(chance))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def trajectory_figure(trajectories: pd.DataFrame) -> Figure:
    """Paths of the held-out combinations through concept space, two concepts per panel.

    Markers are snapshots and grow with time, from a ring at the first to a square at the last.
    Several runs are averaged over the snapshots that all of them have.

    trajectories: as `trajectory.concept_trajectories` returns them. Raises ValueError if they
    have no held-out combination or fewer than two concepts.
    """
    held_out = trajectories[trajectories["split"] == "held_out"]
    concepts = list(held_out["concept"].unique())
    if len(concepts) < 2:
        raise ValueError(f"needs held-out combinations of two or more concepts, got {concepts}")
    means = _mean_over_runs(held_out, ["combination", "step", "concept"], "coordinate")
    paths = {str(name): path.unstack("concept") for name, path in means.groupby("combination")}
    pairs = list(combinations(concepts, 2))
    with figure_style():
        figure, panels = panels_of(len(pairs), columns=3, panel_height_in=2.15)
        for panel, (x, y) in zip(panels, pairs, strict=True):
            for look, path in zip(_looks(len(paths)), paths.values(), strict=True):
                _draw_path(panel, path[x].to_numpy(), path[y].to_numpy(), **look)
            panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            panel.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            panel.set(xlabel=f"mean p(target {x})", ylabel=f"mean p(target {y})")
            panel.tick_params(labelleft=True)
        handles = _path_legend(list(paths))
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def sample_grid_figure(
    images: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    column_title: str = "training images seen",
) -> Figure:
    """A grid of images, one row per prompt and one column per snapshot, pixels kept sharp.

    images: uint8 [0, 255] (rows, columns, H, W, 3). Raises ValueError if the labels do not fit.
    """
    if images.shape[:2] != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"images has {images.shape[:2]} rows and columns, "
            f"got {len(row_labels)} row labels and {len(column_labels)} column labels"
        )
    rows, columns, height, width, _ = images.shape
    label_in = 0.3 + 0.065 * max(map(len, row_labels))
    cell_in = min((WIDTH_IN - label_in) / columns, 1.0)
    crowded = max(map(len, column_labels)) * 0.075 > cell_in
    with figure_style():
        figure = _figure(cell_in * height / width * rows + (0.9 if crowded else 0.5))
        axes = figure.subplots()
        axes.imshow(_mosaic(images), interpolation="nearest", extent=(0, columns, rows, 0))
        axes.set_aspect(height / width)
        axes.set_xticks(np.arange(columns) + 0.5, column_labels, rotation=90 if crowded else 0)
        axes.set_yticks(np.arange(rows) + 0.5, row_labels)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        axes.set_xlabel(column_title)
        axes.spines[:].set_visible(False)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes `path`.png (200 dpi) and `path`.pdf.

    Each appears under its name only when complete. The folder must exist.
    """
    for suffix, metadata in ((".png", {}), (".pdf", {"CreationDate": None})):
        target = path.with_name(path.name + suffix)
        partial = target.with_name(f".{target.name}.partial")
        with figure_style():
            figure.savefig(partial, format=suffix[1:], dpi=200, metadata=metadata)
        os.replace(partial, target)


def short_count(count: float) -> str:
    """A number of images in at most five characters or so: 0, 512, 1.6k, 205k, 1.2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            digits = 1 if count < 10 * size and count % size else 0
            return f"{count / size:.{digits}f}{letter}"
    return f"{count:.0f}"


@contextmanager
def figure_style() -> Iterator[None]:
    """Everything of a figure is made, and saved, within."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def _figure(height_in: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.07)
    return Figure(figsize=(WIDTH_IN, height_in), layout=layout)


def panels_of(count: int, columns: int, panel_height_in: float) -> tuple[Figure, list[Axes]]:
    """`count` panels with one y-axis, in as even rows of at most `columns` as there can be."""
    rows = math.ceil(count / columns)
    columns = math.ceil(count / rows)
    figure = _figure(rows * panel_height_in + 0.5)
    axes = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def _mean_over_runs(table: pd.DataFrame, keys: list[str], value: str) -> pd.Series:
    """Mean of `value` by `keys`, where every run has it: no jump where a run ends."""
    groups = table.groupby(keys, sort=True)[value]
    return groups.mean()[groups.size() == table["run"].nunique()]


def _draw_accuracy(panel: Axes, curves: pd.DataFrame, colour: str) -> None:
    runs = curves["run"].nunique()
    for _, run in curves.groupby("run"):
        run = run.sort_values("images_seen")
        x = run["images_seen"]
        panel.fill_between(x, run["low"], run["high"], color=colour, alpha=0.25 / runs, linewidth=0)
        panel.plot(x, run["accuracy"], color=colour, linewidth=1.4 if runs == 1 else 0.5)
    if runs > 1:
        mean = _mean_over_runs(curves, ["images_seen"], "accuracy")
        panel.plot(mean.index, mean, color=colour, linewidth=1.8)


def images_seen_axis(panel: Axes, images_seen: pd.Series) -> None:
    """Logarithmic from the first snapshot after 0 on; 0 stands to its left, after a break."""
    positive = images_seen[images_seen > 0]
    first, last = (positive.min(), positive.max()) if len(positive) else (1, 10)
    decades = 10.0 ** np.arange(np.ceil(np.log10(first)), np.floor(np.log10(last)) + 1)
    decades = decades[:: max(1, math.ceil(len(decades) / 3))]  # more labels would touch
    ticks = list(decades) if len(decades) > 1 else sorted({first, last})
    span = max(1.0, np.log10(last / first))
    panel.set_xscale("symlog", linthresh=first, linscale=0.25 * span)
    if (images_seen == 0).any():
        ticks.insert(0, 0)
        panel.text(
            first / 2, 0, "//", transform=panel.get_xaxis_transform(), ha="center", va="center"
        )
    panel.set_xticks(ticks, [short_count(tick) for tick in ticks])
    panel.set_xlim(-first / 3 if (images_seen == 0).any() else first / 1.2, last * 1.2)
    panel.minorticks_off()


def _accuracy_legend(splits: Sequence[str], runs: int, chance: bool) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Line2D([], [], color=_SPLIT_COLOURS[split], linewidth=1.8, label=split.replace("_", "-"))
        for split in splits
    ]
    if runs > 1:
        handles.append(Line2D([], [], color="0.3", linewidth=1.8, label=f"mean of {runs} runs"))
        handles.append(Line2D([], [], color="0.3", linewidth=0.5, label="one run"))
    handles.append(Patch(color="0.3", alpha=0.25, linewidth=0, label="95 % interval"))
    if chance:
        handles.append(Line2D([], [], color="0.45", linestyle="--", linewidth=0.8, label="chance"))
    return handles


def _looks(count: int) -> list[dict[str, Any]]:
    """A colour and line style for each of `count` paths; the styles change when colours repeat."""
    looks = [{"color": c, "linestyle": s} for s in ("-", "--", ":", "-.") for c in PALETTE]
    return [looks[i % len(looks)] for i in range(count)]


def _draw_path(panel: Axes, x: np.ndarray, y: np.ndarray, color: str, linestyle: str) -> None:
    panel.plot(x, y, color=color, linestyle=linestyle, linewidth=0.9)
    panel.scatter(x[1:-1], y[1:-1], s=np.linspace(2, 14, len(x))[1:-1], color=color, linewidth=0)
    _draw_arrow(panel, x, y, color)
    panel.scatter(x[:1], y[:1], s=20, marker="o", facecolor="white", edgecolor=color, zorder=3)
    panel.scatter(x[-1:], y[-1:], s=22, marker="s", color=color, alpha=0.85, linewidth=0, zorder=4)


def _draw_arrow(panel: Axes, x: np.ndarray, y: np.ndarray, color: str) -> None:
    """A head in the middle of the longest step, where there is room for it."""
    if len(x) < 2:
        return
    i = int(np.argmax(np.hypot(np.diff(x), np.diff(y))))
    middle = ((x[i] + x[i + 1]) / 2, (y[i] + y[i + 1]) / 2)
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 0.9, "mutation_scale": 9}
    panel.annotate("", xy=middle, xytext=(x[i], y[i]), arrowprops={**style, "shrinkB": 0})


def _path_legend(names: Sequence[str]) -> list[Artist]:
    from matplotlib.lines import Line2D

    paths = [
        Line2D([], [], label=name, **look)
        for name, look in zip(names, _looks(len(names)), strict=True)
    ]
    ends = [
        Line2D([], [], color="0.3", marker=marker, markerfacecolor=face, linewidth=0, label=label)
        for marker, face, label in (
            ("o", "white", "first snapshot"),
            ("s", "0.3", "last snapshot"),
        )
    ]
    return [*paths, *ends]


def _mosaic(images: np.ndarray) -> np.ndarray:
    """uint8 (rows, columns, H, W, 3) side by side: one image, with a white gap round each."""
    gap = max(1, images.shape[3] // 32)
    padded = np.pad(images, ((0, 0), (0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=255)
    rows, columns, height, width, channels = padded.shape
    return padded.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
