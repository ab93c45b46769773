"""Figures of the variants of a study: accuracy and paths beside each other, learning times."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.run import draw_samples_path, path_ends
from analysis.figures.style import (
    colors_of,
    figure_style,
    images_seen_axis,
    panels_of,
    short_count,
)
from analysis.figures.unsure import draw_unsure, panels_over_strips, share_axis
from analysis.tables.trajectory import MOST_UNSURE, in_reading_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ("-", "--", ":", "-.")
MOST_ROWS = 5  # of variants in a legend: of more it names every other, or fewer
MOST_BANDS = 8  # variants whose intervals can still be told apart; of more there are lines alone
ROW_IN = 0.17  # what a row of a legend needs


def variant_accuracy_figure(curves: pd.DataFrame, chance: Mapping[str, float]) -> Figure:
    """Mean accuracy of each variant against training images seen: a panel per measure, a colour per
    variant, a line style per split, the interval over seeds as a band; below it the share of
    unsure images.

    Snapshots that not all seeds of a variant have are left out. Of more than eight variants there
    are no bands.

    curves: as `variants.curves_over_seeds` returns them.
    chance: accuracy of guessing, in [0, 1], by measure; drawn where there is one.
    """
    whole = curves[curves["seeds"] == curves["of_seeds"]]
    measures, variants = ([*whole[c].unique()] for c in ("measure", "variant"))
    styles = dict(zip(in_reading_order(whole["split"]), STYLES, strict=False))
    with figure_style():
        figure, panels, strips = panels_over_strips(len(measures), 4, panel_height_in=1.75)
        for panel, strip, measure in zip(panels, strips, measures, strict=True):
            shown = whole[whole["measure"] == measure]
            for variant, color in zip(variants, colors_of(len(variants)), strict=True):
                own = shown[shown["variant"] == variant]
                _draw_variant(panel, own, color, styles, len(variants) <= MOST_BANDS)
                for split, style in styles.items():
                    blind = own[own["split"] == split].assign(run=variant)
                    draw_unsure(strip, blind, color, style)
            if measure in chance:
                panel.axhline(chance[measure], color="0.45", linestyle="--", linewidth=0.8)
            panel.set(title=measure, ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            panel.set_ylabel("mean accuracy" if strip.get_ylabel() else "")
            share_axis(panel, strip, shown["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        _add_legend(figure, variants, styles)
    return figure


def _draw_variant(
    panel: Axes, curves: pd.DataFrame, color: Any, styles: Mapping[str, str], band: bool
) -> None:
    for split, style in styles.items():
        own = curves[curves["split"] == split].sort_values("images_seen")
        x = own["images_seen"]
        if band:
            panel.fill_between(x, own["low"], own["high"], color=color, alpha=0.15, linewidth=0)
        panel.plot(x, own["accuracy"], style, color=color, linewidth=1.2 if band else 0.6)


def _add_legend(figure: Figure, variants: Sequence[str], styles: Mapping[str, Any]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color="0.3", linestyle=style, label=split.replace("_", "-"))
        for split, style in styles.items()
    ]
    if len(variants) <= MOST_BANDS:
        label = "95 % interval over seeds"
        handles.append(Patch(color="0.3", alpha=0.25, linewidth=0, label=label))
    add_variants(figure, handles, variants)


def add_variants(figure: Figure, handles: list[Any], variants: Sequence[str]) -> None:
    """Add a legend of handles and of variants, and the height that it needs."""
    handles, columns = [*handles, *_named(variants)], _columns(variants)
    figure.set_figheight(figure.get_figheight() + ROW_IN * math.ceil(len(handles) / columns))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _named(variants: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    looks = [*zip(variants, colors_of(len(variants)), strict=True)]
    some = looks[:: math.ceil(len(looks) / (MOST_ROWS * _columns(variants)))]
    return [Line2D([], [], color=color, label=_short(variant)) for variant, color in some]


def _columns(variants: Sequence[str]) -> int:
    longest = max(len(_short(variant)) for variant in variants)
    return max(1, min(4, 100 // (longest + 8)))


def _short(variant: str) -> str:
    return variant if len(variant) <= 60 else f"{variant[:58]}…"


def variant_path_figure(paths: pd.DataFrame, variants: Mapping[str, str]) -> Figure:
    """Paths of each variant through concept space, two concepts per panel: mean over its seeds and
    over the held-out combinations, at the snapshots that all its seeds have. Below each panel the
    share of unsure images, of the concept where it is larger.

    paths: as `trajectory.concept_trajectories` returns them, of any runs. variants: of each run.
    Raises ValueError if they have no held-out combination or fewer than two concepts.
    """
    held_out = paths[paths["split"] == "held_out"]
    concepts = [*held_out["concept"].unique()]
    if len(concepts) < 2:
        raise ValueError(f"needs held-out combinations of two or more concepts, got {concepts}")
    names = [*dict.fromkeys(variants.values())]
    pairs = [*combinations(concepts, 2)]
    with figure_style():
        figure, panels, strips = panels_over_strips(len(pairs), 3, panel_height_in=2.15)
        for name, color in zip(names, colors_of(len(names)), strict=True):
            own = held_out[held_out["run"].map(variants) == name]
            path = _mean_path(own)
            for panel, strip, (x, y) in zip(panels, strips, pairs, strict=True):
                draw_samples_path(panel, path, x, y, color=color, linestyle="-")
                largest = path[[("unsure", x), ("unsure", y)]].max(axis=1).rename("unsure")
                draw_unsure(strip, largest.reset_index().assign(run=name), color)
        for panel, strip, (x, y) in zip(panels, strips, pairs, strict=True):
            images_seen_axis(strip, held_out["images_seen"])
            strip.set_xlabel("training images seen")
            panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            panel.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            panel.set(xlabel=f"mean p(target {x})", ylabel=f"mean p(target {y})")
            panel.tick_params(labelleft=True)
        faint = bool((held_out["unsure"] > MOST_UNSURE).any())
        add_variants(figure, path_ends(faint), names)
    return figure


def _mean_path(own: pd.DataFrame) -> pd.DataFrame:
    """Snapshots × (coordinate or unsure, concept), in the order of training."""

    def mean(value: str) -> pd.DataFrame:
        by_run = own.pivot_table(value, ["run", "concept"], "images_seen", sort=True)
        return by_run.dropna(axis=1).groupby("concept").mean().T

    return pd.concat({value: mean(value) for value in ("coordinate", "unsure")}, axis=1)


def learning_law_figure(
    times: pd.DataFrame, typical: pd.DataFrame, setting: str, laws: Mapping[str, str]
) -> Figure:
    """Learning times against a setting, both logarithmic: a panel per measure, a point per run, and
    the typical time of each value with its interval.

    A run that has not learned by its last snapshot is an empty triangle there. Intervals that go
    beyond the snapshots are cut.

    times: as `learning.learning_time_table` returns them, of one split, with the column `setting`.
    typical: as `variants.typical_times` returns them, of that split, with `setting`.
    laws: what to say of each measure.
    """
    measures = [*times["measure"].unique()]
    with figure_style():
        figure, panels = panels_of(len(measures), columns=4, panel_height_in=2.0)
        for panel, measure in zip(panels, measures, strict=True):
            _draw_times(panel, times[times["measure"] == measure], setting)
            _draw_typical(panel, typical[typical["measure"] == measure], setting)
            panel.set(xscale="log", yscale="log", title=f"{measure}\n{laws.get(measure, '')}")
            _few_ticks(panel.xaxis, times[setting], "{:g}".format)
            ends = _finite_ends(times)
            if len(ends):
                _few_ticks(panel.yaxis, ends, short_count)
                panel.set_ylim(ends.min() / 1.3, ends.max() * 1.3)
        figure.supxlabel(setting, fontsize=8)
        figure.supylabel("images seen until learned", fontsize=8)
        figure.legend(handles=_law_legend(), loc="outside upper center", ncols=3)
    return figure


def _finite_ends(times: pd.DataFrame) -> pd.Series:
    ends = pd.concat([times["after"], times["by"]])
    return ends[(ends > 0) & np.isfinite(ends)]


def _draw_times(panel: Axes, times: pd.DataFrame, setting: str) -> None:
    known = times["images_seen"].where(times["images_seen"].notna(), times["by"])
    learned, x = np.isfinite(known), times[setting]
    look: Any = {"alpha": 0.5, "linewidths": 0.8}
    panel.scatter(x[learned], known[learned], s=10, color="#0072B2", **look)
    late = times["after"].where(times["after"] > 0)[~learned]  # else no snapshot of it counts
    panel.scatter(
        x[~learned], late, s=22, marker="^", facecolor="none", edgecolor="#D55E00", **look
    )


def _draw_typical(panel: Axes, typical: pd.DataFrame, setting: str) -> None:
    own = typical[typical["images_seen"].notna()]
    middle = own["images_seen"].to_numpy()
    ends = np.nan_to_num(np.abs(own[["low", "high"]].to_numpy().T - middle), posinf=0)
    look: Any = {"color": "black", "markersize": 4, "linewidth": 1, "capsize": 2}
    panel.errorbar(own[setting], middle, ends, fmt="_", **look)


def _few_ticks(axis: Any, values: pd.Series, text: Callable[[float], str]) -> None:
    """Name the ends and, if there is room, the middle."""
    low, high = values.min(), values.max()
    ticks = [low, np.sqrt(low * high), high] if high > 4 * low else [low, high]
    axis.set_ticks(ticks, [text(float(f"{tick:.2g}")) for tick in ticks])
    axis.set_minor_locator(_no_ticks())


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _law_legend() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color="#0072B2", marker="o", markersize=3, linewidth=0, label="a run"),
        Line2D(
            [],
            [],
            color="#D55E00",
            marker="^",
            markersize=5,
            markerfacecolor="none",
            linewidth=0,
            label="not learned by the last snapshot",
        ),
        Line2D([], [], color="black", marker="_", linewidth=1, label="typical time, 95 % interval"),
    ]
