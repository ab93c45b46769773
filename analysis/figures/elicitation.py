"""Figures of interventions: is a capability elicited before it is prompted, and when is a concept
decided in sampling?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.figures.style import (
    PALETTE,
    colors_of,
    figure_style,
    images_seen_axis,
    panels_of,
    short_count,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLAIN: Mapping[str, Any] = {"color": "black", "linewidth": 1.4, "marker": "o", "markersize": 3.0}


def elicitation_figure(curves: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Joint accuracy on held-out combinations against training images seen: a panel per kind of
    intervention, plain prompts in black, the best intervention in colour. Upright lines: when each
    is learned.

    curves, table: as `elicitation.elicitation_curves` and `elicitation_table` return them.
    """
    with figure_style():
        figure, panels = panels_of(len(table), columns=3, panel_height_in=2.0)
        for panel, row in zip(panels, table.to_dict("records"), strict=True):
            own = curves[curves["kind"] == row["kind"]]
            look = {**_PLAIN, "color": PALETTE[1], "marker": "s"}
            panel.plot(own["images_seen"], own["prompted"], label="plain prompts", **_PLAIN)
            panel.plot(own["images_seen"], own["elicited"], label="best intervention", **look)
            for name, color in (("prompted", "black"), ("elicited", PALETTE[1])):
                if row[name] > 0:
                    panel.axvline(row[name], color=color, linewidth=0.8, linestyle=":")
            panel.set(title=str(row["kind"]), ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            images_seen_axis(panel, own["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("joint accuracy, held-out", fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def switch_figure(shares: pd.DataFrame) -> Figure:
    """Share of images that show the asked value against the share of sampling steps for which
    another value was asked: a panel per concept, a line per snapshot.

    shares: as `elicitation.switch_shares` returns them.
    """
    seen = sorted(shares["images_seen"].unique())
    colors = dict(zip(seen, colors_of(len(seen)), strict=True))
    concepts = list(shares["concept"].unique())
    with figure_style():
        figure, panels = panels_of(len(concepts), columns=3, panel_height_in=2.4)
        for panel, concept in zip(panels, concepts, strict=True):
            for images_seen, own in shares[shares["concept"] == concept].groupby("images_seen"):
                _draw_switch(panel, own.sort_values("at"), colors[images_seen])
            panel.set(title=concept, xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
            panel.set(xticks=(0, 0.25, 0.5, 0.75, 1), yticks=(0, 0.5, 1))
        figure.supxlabel("share of sampling steps that asked for another value", fontsize=8)
        figure.supylabel("shows the asked value", fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=7, title="training images seen"
        )
    return figure


def elicited_obedience_figure(curves: pd.DataFrame) -> Figure:
    """Obedience on held-out combinations against training images seen, told plainly (black) and
    under each intervention: a panel per level and concept. Levels that are refused are left out.

    curves: as `denoiser.obedience_curves` returns them for each intervention, with a column
    `intervention`, "none" first.
    """
    read = curves.dropna(subset="obedience")
    names = list(curves["intervention"].unique())
    looks = zip(names[1:], cycle(PALETTE), cycle("sD^v"), strict=False)
    styles = {name: {**_PLAIN, "color": color, "marker": mark} for name, color, mark in looks}
    styles[names[0]] = {**_PLAIN, "zorder": 3}
    shown_in = [*read[["level", "concept"]].drop_duplicates().itertuples(index=False)]
    with figure_style():
        figure, panels = panels_of(len(shown_in), columns=3, panel_height_in=1.7)
        for panel, (level, concept) in zip(panels, shown_in, strict=True):
            shown = read[(read["level"] == level) & (read["concept"] == concept)]
            for name, own in shown.groupby("intervention", sort=False):
                own = own.sort_values("images_seen")
                label = "plain prompts" if name == names[0] else str(name)
                panel.plot(own["images_seen"], own["obedience"], label=label, **styles[name])
            panel.axhline(1, color="0.6", linewidth=0.6, linestyle=":")
            panel.set_title(f"{concept}, level {level:g}")
            images_seen_axis(panel, shown["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("obedience, held-out", fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _draw_switch(panel: Axes, own: pd.DataFrame, color: object) -> None:
    label = short_count(own["images_seen"].iloc[0])
    panel.fill_between(own["at"], own["low"], own["high"], color=color, alpha=0.1, linewidth=0)
    panel.plot(own["at"], own["shown"], color=color, marker="o", markersize=2.5, label=label)
