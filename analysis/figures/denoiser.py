"""Figures of what a denoiser means: does it obey each word, and how far from ideal is it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.run import (
    draw_path,
    draw_samples_path,
    looks_of,
    mean_paths,
    path_legend,
)
from analysis.figures.style import colors_of, figure_style, images_seen_axis, new_figure
from analysis.tables.trajectory import MOST_UNSURE, in_reading_order, mean_over_runs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: Mapping[str, Any] = {"train": "--", "held_out": "-"}
_IDEAL: Mapping[str, Any] = {"color": "0.6", "linewidth": 0.6, "linestyle": ":"}
_FARTHEST = (-1.0, 2.0)  # of coordinates that are drawn: beyond, an error that all prompts share


def obedience_figure(curves: pd.DataFrame) -> Figure:
    """Obedience, coordinate and score error against training images seen: a row per level, a colour
    per concept, dashed for training combinations.

    One run: its lines, with their intervals as bands. Several: a thin line per run, and a thick
    mean line over the snapshots that all of them have.

    curves: as `denoiser.obedience_curves` returns them, by split.
    """
    levels = sorted(curves["level"].unique())
    concepts = list(curves["concept"].unique())
    colors = dict(zip(concepts, colors_of(len(concepts)), strict=True))
    with figure_style():
        figure = new_figure(1.55 * len(levels) + 0.8)
        rows = figure.subplots(len(levels), 3, squeeze=False)
        for panels, level in zip(rows, levels, strict=True):
            shown = curves[curves["level"] == level]
            _draw_level(panels, shown, colors)
            panels[0].set_ylabel(f"level {level:g}")
        for panel, title in zip(rows[0], ("obedience", "coordinate", "score error"), strict=True):
            panel.set_title(title)
        figure.supxlabel("training images seen", fontsize=8)
        handles = _legend(colors, curves)
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def denoiser_path_figure(curves: pd.DataFrame, samples: pd.DataFrame) -> Figure:
    """Paths of held-out combinations through concept space: those of samples, and beside them, at
    every level, those of obedience and of the denoiser's coordinates. A cross is the ideal.

    Several runs are averaged over the snapshots that all of them have. Levels that are refused are
    left out.

    curves: as `denoiser.obedience_curves` returns them, by combination, held-out ones alone.
    samples: as `trajectory.concept_trajectories` returns them. Raises ValueError for fewer than two
    concepts or no held-out combination.
    """
    concepts, names = list(curves["concept"].unique()), list(curves["combination"].unique())
    if len(concepts) < 2 or not names:
        raise ValueError(f"needs held-out combinations of two or more concepts, got {concepts}")
    read = curves.dropna(subset="obedience")
    pairs, levels = list(combinations(concepts, 2)), sorted(read["level"].unique())
    held_out = samples[samples["combination"].isin(names)]
    with figure_style():
        figure = new_figure(3.3 * len(pairs) + 0.6)
        rows = figure.subplots(2 * len(pairs), 1 + len(levels), squeeze=False)
        for (x, y), (first, second) in zip(pairs, rows.reshape(len(pairs), 2, -1), strict=True):
            _draw_samples(first[0], held_out, x, y, names)
            first[0].set(title="samples", xlabel=x, ylabel=y)
            second[0].remove()
            for panel, below, level in zip(first[1:], second[1:], levels, strict=True):
                own = read[read["level"] == level]
                _draw_paths(panel, own, "obedience", x, y, names)
                _draw_paths(below, own, "coordinate", x, y, names)
                panel.set(title=f"obedience, {level:g}", xlabel=x)
                below.set(title=f"coordinate, {level:g}", xlabel=x)
        faint = bool((held_out["unsure"] > MOST_UNSURE).any())
        figure.legend(handles=path_legend(names, faint), loc="outside lower center", ncols=4)
    return figure


def _draw_level(panels: Sequence[Axes], shown: pd.DataFrame, colors: Mapping[str, Any]) -> None:
    obeys, stands, errs = panels
    for (split, concept), own in shown.groupby(["split", "concept"], sort=False):
        look = {"color": colors[str(concept)], "linestyle": _STYLES[str(split)]}
        _draw_curve(obeys, own, ("obedience", "low", "high"), look)
        _draw_curve(stands, own, ("coordinate", "coordinate_low", "coordinate_high"), look)
        _draw_curve(errs, own, ("error_along",), look)
    for split, own in shown.groupby("split", sort=False):
        whole = own.dropna(subset="error").drop_duplicates(["run", "images_seen"])
        _draw_curve(errs, whole, ("error",), {"color": "black", "linestyle": _STYLES[str(split)]})
    for panel in panels[:2]:
        for ideal in (0, 1):
            panel.axhline(ideal, **_IDEAL)
    low, high = stands.get_ylim()
    stands.set_ylim(max(low, _FARTHEST[0]), min(high, _FARTHEST[1]))
    for panel in panels:
        images_seen_axis(panel, shown["images_seen"])
    for panel, column in zip(panels, ("obedience", "coordinate", "error"), strict=True):
        if shown[column].isna().all():
            panel.set(ylim=(0, 1), yticks=[])
            panel.text(0.5, 0.5, "refused", transform=panel.transAxes, ha="center", va="center")
    if (shown["error"] > 0).any():
        errors = shown[["error", "error_along"]].to_numpy()
        ends = np.log10([np.nanmin(errors[errors > 0]), np.nanmax(errors)])
        errs.set_yscale("log")
        errs.set_ylim(10.0 ** np.floor(ends[0]), 10.0 ** np.ceil(ends[1]))
        errs.minorticks_off()
    for panel in panels:
        low, high = panel.get_ylim()
        panel.set_yticks([tick for tick in panel.get_yticks() if low <= tick <= high])
        panel.set_ylim(low, high)


def _draw_curve(
    panel: Axes, own: pd.DataFrame, columns: Sequence[str], look: Mapping[str, Any]
) -> None:
    value, *bounds = columns
    runs = own["run"].nunique()
    for _, run in own.groupby("run"):
        run = run.sort_values("images_seen")
        if bounds and runs == 1:
            low, high = (run[name] for name in bounds)
            panel.fill_between(
                run["images_seen"], low, high, color=look["color"], alpha=0.2, linewidth=0
            )
        panel.plot(run["images_seen"], run[value], linewidth=1.2 if runs == 1 else 0.5, **look)
    if runs > 1:
        mean = mean_over_runs(own, ["images_seen"], value)
        panel.plot(mean.index, mean, linewidth=1.8, **look)


def _draw_samples(panel: Axes, samples: pd.DataFrame, x: str, y: str, names: Sequence[str]) -> None:
    paths = mean_paths(samples)
    for look, name in zip(looks_of(len(names)), names, strict=True):
        if name in paths:
            draw_samples_path(panel, paths[name], x, y, **look)
    _frame_paths(panel)


def _draw_paths(
    panel: Axes, shown: pd.DataFrame, value: str, x: str, y: str, names: Sequence[str]
) -> None:
    means = mean_over_runs(shown, ["combination", "step", "concept"], value)
    for look, name in zip(looks_of(len(names)), names, strict=True):
        path = means[name].unstack("concept") if name in means else pd.DataFrame()
        path = path.reindex(columns=[x, y]).dropna()
        if len(path):
            draw_path(panel, path[x].to_numpy(), path[y].to_numpy(), **look)
    _frame_paths(panel)


def _frame_paths(panel: Axes) -> None:
    """Mark the ideal, and let the frame hold both values of a concept."""
    panel.scatter([1], [1], marker="x", s=30, color="0.4", linewidth=1.0, zorder=5)
    for low, high, set_limits in (
        (*panel.get_xlim(), panel.set_xlim),
        (*panel.get_ylim(), panel.set_ylim),
    ):
        set_limits(np.clip(min(low, -0.1), *_FARTHEST), np.clip(max(high, 1.1), *_FARTHEST))
    panel.set(xticks=(0, 1), yticks=(0, 1))


def _legend(colors: Mapping[str, Any], curves: pd.DataFrame) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Line2D([], [], color=color, linewidth=1.8, label=name) for name, color in colors.items()
    ]
    handles.append(Line2D([], [], color="black", linewidth=1.2, label="whole error"))
    for split in in_reading_order(curves["split"]):
        label = split.replace("_", "-")
        handles.append(Line2D([], [], color="0.3", linestyle=_STYLES[split], label=label))
    if curves["run"].nunique() == 1:
        handles.append(Patch(color="0.3", alpha=0.2, linewidth=0, label="95 % interval"))
    return handles
