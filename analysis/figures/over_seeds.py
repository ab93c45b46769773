"""Figures over seeds: who turns back, who obeys, what is learned first, how combinations emerge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.style import (
    PALETTE,
    colors_of,
    figure_style,
    images_seen_axis,
    new_figure,
    panels_of,
)
from analysis.figures.variants import MOST_BANDS, add_variants

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 8  # of variants, a panel each
SIGN: Mapping[bool, Mapping[str, Any]] = {
    True: {"marker": "o", "s": 14},
    False: {"marker": "o", "s": 14, "facecolor": "none", "linewidths": 0.7},
}


def swing_figure(swings: pd.DataFrame, variants: Mapping[str, str], least: float) -> Figure:
    """Cross-fitted fall of every run: a panel per concept, a row per variant, a colour per
    instrument. Empty: the run does not pass the gate. Beyond the line a run turns back, if its
    interval says so too.

    swings: as `coordinates.swing_table` returns them, of any runs. variants: of each run. least:
    where the line is.
    """
    measures, instruments = ([*swings[name].unique()] for name in ("measure", "instrument"))
    names = [*dict.fromkeys(variants.values())]
    colors = dict(zip(instruments, colors_of(len(instruments)), strict=True))
    falls = [-0.05, least + 0.05, *swings["fall"].dropna()]
    ends = min(falls) - 0.02, max(falls) + 0.02
    with figure_style():
        height = 0.9 + len(names) * max(0.35, 0.09 * len(instruments))
        figure, panels = panels_of(len(measures), columns=len(measures), panel_height_in=height)
        for panel, measure in zip(panels, measures, strict=True):
            shown = swings[swings["measure"] == measure]
            for number, instrument in enumerate(instruments):
                own = shown[shown["instrument"] == instrument]
                shift = 0.7 * ((number + 0.5) / len(instruments) - 0.5)
                y = np.array([names.index(variants[run]) for run in own["run"]]) + shift
                for passed, look in SIGN.items():
                    there = (own["gate"] == "") == passed
                    look = {**look, "edgecolor": colors[instrument]}
                    look.setdefault("facecolor", colors[instrument])
                    panel.scatter(own["fall"][there], y[there], zorder=3, **look)
            panel.axvline(least, color="0.5", linewidth=0.7, linestyle="--")
            panel.axvline(0, color="0.8", linewidth=0.6)
            panel.set(title=measure, xlim=ends, ylim=(len(names) - 0.5, -0.5))
            panel.set_yticks(range(len(names)), names)
        figure.supxlabel("fall R, cross-fitted", fontsize=8)
        figure.legend(handles=_instruments(colors), loc="outside upper center", ncols=4)
    return figure


def _instruments(colors: Mapping[str, Any]) -> list[Artist]:
    from matplotlib.lines import Line2D

    look: Any = {"linewidth": 0, "marker": "o", "markersize": 4}
    known: list[Artist] = [
        Line2D([], [], color=color, label=name, **look) for name, color in colors.items()
    ]
    gated = Line2D(
        [], [], color="0.3", markerfacecolor="none", label="does not pass the gate", **look
    )
    return [*known, gated]


def obedience_over_seeds_figure(curves: pd.DataFrame) -> Figure:
    """Obedience of held-out combinations over seeds: a row per level, a panel per concept, a colour
    per variant, the interval as a band; dotted, the coordinate.

    curves: as `obedience_over_seeds.obedience_over_seeds` returns them, of the variants. Snapshots
    that not all seeds of a variant have are left out.
    """
    whole = curves[(curves["seeds"] == curves["of_seeds"]) & (curves["split"] == "held_out")]
    levels, concepts = sorted(whole["level"].unique()), [*whole["concept"].unique()]
    names = [*whole["variant"].unique()]
    with figure_style():
        figure = new_figure(1.45 * len(levels) + 0.6)
        rows = figure.subplots(len(levels), len(concepts), squeeze=False, sharey="row")
        for panels, level in zip(rows, levels, strict=True):
            for panel, concept in zip(panels, concepts, strict=True):
                own = whole[(whole["level"] == level) & (whole["concept"] == concept)]
                _draw_obedience(panel, own, names)
                images_seen_axis(panel, whole["images_seen"])
            panels[0].set_ylabel(f"level {level:g}")
        for panel, concept in zip(rows[0], concepts, strict=True):
            panel.set_title(str(concept))
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("obedience", fontsize=8)
        add_variants(figure, _obedience_legend(len(names)), names)
    return figure


def _draw_obedience(panel: Axes, own: pd.DataFrame, names: Sequence[str]) -> None:
    for name, color in zip(names, colors_of(len(names)), strict=True):
        one = own[own["variant"] == name].sort_values("images_seen")
        x = one["images_seen"]
        if len(names) <= MOST_BANDS:
            panel.fill_between(x, one["low"], one["high"], color=color, alpha=0.15, linewidth=0)
        panel.plot(x, one["obedience"], color=color, linewidth=1.2)
        panel.plot(x, one["coordinate"], ":", color=color, linewidth=0.8)
    for ideal in (0, 1):
        panel.axhline(ideal, color="0.6", linewidth=0.6, linestyle=":")
    ends = [0.0, 1.0, *own["obedience"]]
    panel.set_ylim(min(ends) - 0.15, max(ends) + 0.15)


def _obedience_legend(variants: int) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color="0.3", linewidth=1.2, label="obedience e"),
        Line2D([], [], color="0.3", linestyle=":", linewidth=0.8, label="coordinate c"),
    ]
    band = Patch(color="0.3", alpha=0.25, linewidth=0, label="95 % interval over seeds")
    return [*handles, band] if variants <= MOST_BANDS else handles


def distance_figure(curves: pd.DataFrame) -> Figure:
    """Joint accuracy by distance from training: a panel per variant, of the first eight, a colour
    per distance, the interval over seeds as a band.

    curves: as `emergence_over_seeds.distances_over_seeds` returns them. Snapshots that not all
    seeds of a variant have are left out.
    """
    whole = curves[curves["seeds"] == curves["of_seeds"]]
    names, distances = (
        [*whole["variant"].unique()][:MOST_PANELS],
        sorted(whole["distance"].unique()),
    )
    with figure_style():
        figure, panels = panels_of(len(names), columns=4, panel_height_in=1.75)
        for panel, name in zip(panels, names, strict=True):
            own = whole[whole["variant"] == name]
            for distance, color in zip(distances, PALETTE, strict=False):
                one = own[own["distance"] == distance].sort_values("images_seen")
                x = one["images_seen"]
                panel.fill_between(x, one["low"], one["high"], color=color, alpha=0.15, linewidth=0)
                panel.plot(x, one["accuracy"], color=color, linewidth=1.2, label=str(distance))
            panel.set(title=name, ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            images_seen_axis(panel, own["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("joint accuracy", fontsize=8)
        handles = panels[0].get_legend_handles_labels()
        title = "distance from training"
        figure.legend(*handles, loc="outside upper center", ncols=len(distances), title=title)
    return figure


def emergence_figure(cells: pd.DataFrame, variants: Mapping[str, str]) -> Figure:
    """Joint accuracy of held-out combinations against the product and the minimum of those of their
    concepts: a point per run, combination and snapshot, a colour per variant.

    cells: as `emergence.emergence_cells` returns them, of any runs. variants: of each run.
    """
    names = [*dict.fromkeys(variants.values())]
    colors = dict(zip(names, colors_of(len(names)), strict=True))
    with figure_style():
        figure, panels = panels_of(2, columns=2, panel_height_in=2.6)
        for panel, rule in zip(panels, ("product", "minimum"), strict=True):
            points = cells["run"].map(variants).map(colors)
            panel.scatter(cells[rule], cells["joint"], s=4, color=points, alpha=0.5, linewidths=0)
            panel.axline((0, 0), (1, 1), color="0.5", linewidth=0.7, linestyle="--")
            panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            panel.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            panel.set_xlabel(f"{rule} of the concepts' accuracies")
        panels[0].set_ylabel("joint accuracy")
        add_variants(figure, [], names)
    return figure


def terminal_figure(curves: pd.DataFrame, variants: Mapping[str, str]) -> Figure:
    """The rest, 1 − c, of every run that is judged, on a logarithmic axis: a straight line is an
    exponential. A panel per concept and instrument, a colour per variant.

    curves: run, instrument, measure, images_seen and rest, above 0, from the turn on.
    """
    names = [*dict.fromkeys(variants.values())]
    colors = dict(zip(names, colors_of(len(names)), strict=True))
    groups = [*curves.groupby(["measure", "instrument"], sort=False)]
    with figure_style():
        figure, panels = panels_of(len(groups), columns=4, panel_height_in=1.6)
        for panel, ((measure, instrument), own) in zip(panels, groups, strict=True):
            for run, one in own.groupby("run", sort=False):
                look: Any = {"color": colors[variants[str(run)]], "linewidth": 0.7}
                panel.plot(one["images_seen"], one["rest"], **look)
            panel.set(yscale="log", title=f"{measure}, {instrument}")
            panel.locator_params(axis="x", nbins=3)
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("rest, 1 − c", fontsize=8)
        add_variants(figure, [], names)
    return figure
