"""Figure of forecasts: curves fitted to the first part of a training, and what came after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.style import colors_of, figure_style, images_seen_axis, new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FARTHEST = (-0.5, 2.0)  # of obedience that is drawn
GREYS = ({"linestyle": ":", "color": "0.4"}, {"linestyle": "--", "color": "0.4"})


def forecast_figure(
    measured: pd.DataFrame, predicted: pd.DataFrame, baselines: Sequence[str]
) -> Figure:
    """Measured obedience and its predictions against training images seen: a row per level, a panel
    per concept. The fitted part is shaded; bands and bars are 95 % intervals.

    measured: a row per level, concept and snapshot, with images_seen, is_fitted, obedience,
    obedience_low and obedience_high. predicted: a row per level, model, concept and images_seen,
    with predicted, predicted_low and predicted_high; baselines: those of its models that are drawn
    grey, without bands.
    """
    levels, concepts = ([*predicted[name].unique()] for name in ("level", "concept"))
    models = [name for name in predicted["model"].unique() if name not in baselines]
    looks: dict[str, Any] = {
        name: {"color": color} for name, color in zip(models, colors_of(len(models)), strict=True)
    } | dict(zip(baselines, GREYS, strict=False))
    with figure_style():
        figure = new_figure(1.9 * len(levels) + 0.9)
        rows = figure.subplots(len(levels), len(concepts), squeeze=False)
        for panels, level in zip(rows, levels, strict=True):
            for panel, concept in zip(panels, concepts, strict=True):
                own, of_models = (
                    table[(table["level"] == level) & (table["concept"] == concept)]
                    for table in (measured, predicted)
                )
                _draw(panel, own, of_models, looks, models)
                panel.set_title(f"{concept}, level {level:g}")
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("obedience", fontsize=8)
        figure.legend(handles=_legend(looks), loc="outside upper center", ncols=4)
    return figure


def _draw(
    panel: Axes,
    own: pd.DataFrame,
    predicted: pd.DataFrame,
    looks: Mapping[str, Any],
    models: Sequence[str],
) -> None:
    if own.empty:
        panel.set(xticks=[], yticks=[])
        panel.text(0.5, 0.5, "no prediction", transform=panel.transAxes, ha="center", va="center")
        return
    seen, value = own["images_seen"], own["obedience"]
    bars = [value - own["obedience_low"], own["obedience_high"] - value]
    panel.errorbar(
        seen, value, np.clip(bars, 0, None), fmt="o", color="black", markersize=2.5, elinewidth=0.6
    )
    for name, curve in predicted.groupby("model", sort=False):
        x, look = curve["images_seen"], looks[str(name)]
        panel.plot(x, curve["predicted"], linewidth=1.2, **look)
        if name in models:
            band = curve["predicted_low"], curve["predicted_high"]
            panel.fill_between(x, *band, color=look["color"], alpha=0.15, linewidth=0)
    panel.axhline(1, color="0.6", linewidth=0.6, linestyle="-")
    images_seen_axis(panel, seen)
    panel.axvspan(panel.get_xlim()[0], seen[own["is_fitted"]].max(), color="0.92", zorder=0)
    low, high = min(-0.1, float(value.min())), max(1.15, float(value.max()) + 0.1)
    panel.set_ylim(max(low, FARTHEST[0]), min(high, FARTHEST[1]))
    panel.set_yticks([tick for tick in (0, 0.5, 1, 1.5, 2) if tick <= panel.get_ylim()[1]])


def _legend(looks: Mapping[str, Any]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    measured = Line2D([], [], color="black", marker="o", markersize=2.5, linewidth=0.6)
    measured.set_label("measured")
    handles: list[Artist] = [measured, Patch(color="0.92", label="fitted part")]
    lines = [Line2D([], [], linewidth=1.2, label=name, **look) for name, look in looks.items()]
    return [*handles, *lines]
