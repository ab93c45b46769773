"""Figures of a run: how accuracy grows, paths in concept space, what the model draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.fonts import width_of
from analysis.figures.style import PALETTE, WIDTH_IN, figure_style, images_seen_axis, new_figure
from analysis.figures.unsure import draw_unsure, most_unsure, panels_over_strips, share_axis
from analysis.tables.trajectory import MOST_UNSURE, SPLITS, in_reading_order, mean_over_runs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
FAINT = 0.22  # opacity of what counts for nothing
FAINT_IS = "more than half unsure"


def accuracy_figure(
    curves: pd.DataFrame, chance: Mapping[str, float], over_seeds: pd.DataFrame | None = None
) -> Figure:
    """Accuracy against training images seen: one panel per measure, one look per split, and below
    it the share of unsure images.

    One run: its line, with its interval as a band. Several: a thin line and a faint band per run,
    and a thick mean line over the snapshots that all of them have. Several with `over_seeds`: a
    thin line per run, and the mean with its interval over seeds as a band.

    curves: as `trajectory.accuracy_curves` returns them.
    chance: accuracy of guessing, in [0, 1], by measure; drawn where there is one.
    over_seeds: as `variants.curves_over_seeds` returns it, of one variant, all runs together.
    """
    measures = list(curves["measure"].unique())
    looks = _split_looks(curves["split"])
    with figure_style():
        figure, panels, strips = panels_over_strips(len(measures), 4, panel_height_in=1.75)
        for panel, strip, measure in zip(panels, strips, measures, strict=True):
            shown = curves[curves["measure"] == measure]
            for split, look in looks.items():
                own = shown[shown["split"] == split]
                _draw_accuracy(panel, own, over_seeds is None, **look)
                draw_unsure(strip, own, **look)
            if over_seeds is not None:
                _draw_band(panel, over_seeds[over_seeds["measure"] == measure], looks)
            if measure in chance:
                panel.axhline(chance[measure], color="0.45", linestyle="--", linewidth=0.8)
            panel.set(title=measure, ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            panel.set_ylabel("accuracy" if strip.get_ylabel() else "")
            share_axis(panel, strip, shown["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        interval = "95 % interval" if over_seeds is None else "95 % interval over seeds"
        handles = _accuracy_legend(looks, curves["run"].nunique(), bool(chance), interval)
        columns = math.ceil(len(handles) / math.ceil(len(handles) / 6))
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    return figure


def trajectory_figure(trajectories: pd.DataFrame) -> Figure:
    """Paths of the held-out combinations through concept space, two concepts per panel.

    Markers are snapshots and grow with time, from a ring at the first to a square at the last.
    Several runs are averaged over the snapshots that all of them have. Below each panel, against
    training images seen, the share of images of which the probe is unsure, of the concept where
    it is larger.

    trajectories: as `trajectory.concept_trajectories` returns them. Raises ValueError if they
    have no held-out combination or fewer than two concepts.
    """
    held_out = trajectories[trajectories["split"] == "held_out"]
    concepts = list(held_out["concept"].unique())
    if len(concepts) < 2:
        raise ValueError(f"needs held-out combinations of two or more concepts, got {concepts}")
    paths = mean_paths(held_out)
    pairs = list(combinations(concepts, 2))
    with figure_style():
        figure, panels, strips = panels_over_strips(len(pairs), 3, panel_height_in=2.15)
        for panel, strip, (x, y) in zip(panels, strips, pairs, strict=True):
            unsure = most_unsure(
                held_out[held_out["concept"].isin([x, y])], ["run", "combination", "images_seen"]
            )
            for look, (name, path) in zip(looks_of(len(paths)), paths.items(), strict=True):
                draw_samples_path(panel, path, x, y, **look)
                draw_unsure(strip, unsure[unsure["combination"] == name], **look)
            images_seen_axis(strip, held_out["images_seen"])
            strip.set_xlabel("training images seen")
            panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            panel.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            panel.set(xlabel=f"mean p(target {x})", ylabel=f"mean p(target {y})")
            panel.tick_params(labelleft=True)
        handles = path_legend(list(paths), bool((held_out["unsure"] > MOST_UNSURE).any()))
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def mean_paths(held_out: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Path of each combination, averaged over the snapshots that all runs have: its steps, by
    concept the coordinate and, under ("unsure", concept), the share of unsure images."""
    keys = ["combination", "step", "concept"]
    means = pd.DataFrame({c: mean_over_runs(held_out, keys, c) for c in ("coordinate", "unsure")})
    paths = means.unstack("concept")
    names = paths.index.unique("combination")
    return {str(name): paths.loc[name] for name in names}


def draw_samples_path(panel: Axes, path: pd.DataFrame, x: str, y: str, **look: Any) -> None:
    """Draw a path of samples, faint where most images are unsure along one of its two concepts.

    path: snapshots × (coordinate or unsure, concept), as of `mean_paths`.
    """
    along_x, along_y = (path["coordinate", concept].to_numpy() for concept in (x, y))
    faint = np.maximum(*(path["unsure", concept].to_numpy() for concept in (x, y))) > MOST_UNSURE
    draw_path(panel, along_x, along_y, **look, faint=faint)


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
    label_in = 0.3 + 0.065 * max(map(width_of, row_labels))
    cell_in = min((WIDTH_IN - label_in) / columns, 1.0)
    crowded = max(map(width_of, column_labels)) * 0.075 > cell_in
    with figure_style():
        figure = new_figure(cell_in * height / width * rows + (0.9 if crowded else 0.5))
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


def _draw_accuracy(
    panel: Axes, curves: pd.DataFrame, bands: bool, color: str, linestyle: str
) -> None:
    runs = curves["run"].nunique()
    for _, run in curves.groupby("run"):
        run = run.sort_values("images_seen")
        x = run["images_seen"]
        alpha = 0.25 / runs if bands else 0
        panel.fill_between(x, run["low"], run["high"], color=color, alpha=alpha, linewidth=0)
        panel.plot(x, run["accuracy"], linestyle, color=color, linewidth=1.4 if runs == 1 else 0.5)
    if runs > 1:
        mean = mean_over_runs(curves, ["images_seen"], "accuracy")
        panel.plot(mean.index, mean, linestyle, color=color, linewidth=1.8)


def _draw_band(panel: Axes, curves: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]]) -> None:
    whole = curves[curves["seeds"] == curves["of_seeds"]]
    for split, look in looks.items():
        own = whole[whole["split"] == split].sort_values("images_seen")
        low, high = own["low"], own["high"]
        panel.fill_between(
            own["images_seen"], low, high, color=look["color"], alpha=0.2, linewidth=0
        )


def _split_looks(splits: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Those of SPLITS always look the same; beside others, all in turn."""
    ordered = in_reading_order(splits)
    names = SPLITS if set(ordered) <= set(SPLITS) else ordered
    looks = dict(zip(names, looks_of(len(names)), strict=True))
    return {split: looks[split] for split in ordered}


def _accuracy_legend(
    looks: Mapping[str, Mapping[str, Any]], runs: int, chance: bool, interval: str
) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Line2D([], [], linewidth=1.8, label=split.replace("_", "-"), **look)
        for split, look in looks.items()
    ]
    if runs > 1:
        handles.append(Line2D([], [], color="0.3", linewidth=1.8, label=f"mean of {runs} runs"))
        handles.append(Line2D([], [], color="0.3", linewidth=0.5, label="one run"))
    handles.append(Patch(color="0.3", alpha=0.25, linewidth=0, label=interval))
    if chance:
        handles.append(Line2D([], [], color="0.45", linestyle="--", linewidth=0.8, label="chance"))
    return handles


def looks_of(count: int) -> list[dict[str, Any]]:
    """A colour and line style for each of `count` paths; the styles change when colours repeat."""
    looks = [{"color": c, "linestyle": s} for s in ("-", "--", ":", "-.") for c in PALETTE]
    return [looks[i % len(looks)] for i in range(count)]


def draw_path(
    panel: Axes,
    x: np.ndarray,
    y: np.ndarray,
    color: Any,
    linestyle: str,
    faint: np.ndarray | None = None,
) -> None:
    """Draw a path whose markers grow with time, from a ring at its first place to a square at its
    last. faint: bool, of each place, whether it counts for nothing and is drawn faintly."""
    from matplotlib.colors import to_rgba

    faint = np.zeros(len(x), bool) if faint is None else faint
    colors = [to_rgba(color, FAINT if one else 1.0) for one in faint]
    if faint.any():
        panel.plot(x, y, color=color, linestyle=linestyle, linewidth=0.9, alpha=FAINT)
    sure_x, sure_y = (np.where(faint, np.nan, values) for values in (x, y))
    panel.plot(sure_x, sure_y, color=color, linestyle=linestyle, linewidth=0.9)
    sizes, inner = np.linspace(2, 14, len(x)), slice(1, -1)
    panel.scatter(x[inner], y[inner], s=sizes[inner], color=colors[inner], linewidth=0)
    _draw_arrow(panel, sure_x, sure_y, color)
    panel.scatter(x[:1], y[:1], s=20, facecolor="white", edgecolor=colors[:1], zorder=3)
    panel.scatter(x[-1:], y[-1:], s=22, marker="s", color=colors[-1:], linewidth=0, zorder=4)


def _draw_arrow(panel: Axes, x: np.ndarray, y: np.ndarray, color: Any) -> None:
    """A head in the middle of the longest step, where there is room for it."""
    steps = np.hypot(np.diff(x), np.diff(y))
    if not np.isfinite(steps).any():
        return
    i = int(np.nanargmax(steps))
    middle = ((x[i] + x[i + 1]) / 2, (y[i] + y[i + 1]) / 2)
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 0.9, "mutation_scale": 9}
    panel.annotate("", xy=middle, xytext=(x[i], y[i]), arrowprops={**style, "shrinkB": 0})


def path_legend(names: Sequence[str], faint: bool = False) -> list[Artist]:
    """Make the legend of paths in the order of `looks_of`, and of what their ends are. faint: say
    what faint places are, too."""
    from matplotlib.lines import Line2D

    paths = [
        Line2D([], [], label=name, **look)
        for name, look in zip(names, looks_of(len(names)), strict=True)
    ]
    return [*paths, *path_ends(faint)]


def path_ends(faint: bool = False) -> list[Artist]:
    """Entries of a legend: how the ends of paths look, and faint parts, if there are any."""
    from matplotlib.lines import Line2D

    parts = [Line2D([], [], color="0.3", alpha=FAINT, label=FAINT_IS)] if faint else []
    ends = [
        Line2D([], [], color="0.3", marker=marker, markerfacecolor=face, linewidth=0, label=label)
        for marker, face, label in (
            ("o", "white", "first snapshot"),
            ("s", "0.3", "last snapshot"),
        )
    ]
    return [*parts, *ends]


def _mosaic(images: np.ndarray) -> np.ndarray:
    """uint8 (rows, columns, H, W, 3) side by side: one image, with a white gap round each."""
    gap = max(1, images.shape[3] // 32)
    padded = np.pad(images, ((0, 0), (0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=255)
    rows, columns, height, width, channels = padded.shape
    return padded.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
