"""Figures of what a network holds inside: verdicts, their numbers, displacements, swaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.style import (
    PALETTE,
    colors_of,
    figure_style,
    images_seen_axis,
    new_figure,
    short_count,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICTS = {
    "coupled": "#D55E00",
    "additive-but-shared": "#E69F00",
    "factorized": "#0072B2",
    "hyper-factorized": "#009E73",
    "undecided": "0.85",
}
_NUMBERS = {  # what is drawn of a verdict, and its bars
    "kappa": ("κ, share of interaction", (0.25,)),
    "omega": ("Ω, overlap of subspaces", (0.5,)),
    "pr_x": ("PR of {first}", ()),
    "pr_y": ("PR of {second}", ()),
    "pr": ("PR of {first}, {second}", ()),
}
GIVEN = ("untrained", "as at step 0")  # origins of verdicts that no training made
_SHOWN_BEYOND = (-0.25, 1.25)  # of κ and Ω: beyond, noise alone
_CODES = ("measured", "3-D torus", "Clifford torus", "one-hot")


def verdict_figure(verdicts: pd.DataFrame) -> Figure:
    """Verdicts as tiles: a row per site, a column per step, a panel per level. Hatched is what no
    training made: the untrained network, and verdicts as at step 0; dotted what is unclear.

    verdicts: rows of one pair of features with step, images_seen, site, level, verdict, origin.
    """
    sites, levels = list(verdicts["site"].unique()), sorted(verdicts["level"].unique())
    steps = sorted(verdicts["images_seen"].unique())
    names = list(VERDICTS)
    with figure_style():
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch

        figure = new_figure(0.22 * len(sites) + 1.2)
        panels = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
        for panel, level in zip(panels, levels, strict=True):
            shown = verdicts[verdicts["level"] == level]
            tiles = shown.pivot(index="site", columns="images_seen", values="verdict")
            numbers = tiles.reindex(sites)[steps].map(names.index).to_numpy(dtype=float)
            colors = ListedColormap(list(VERDICTS.values()))
            panel.pcolormesh(numbers, cmap=colors, vmin=0, vmax=len(names), edgecolor="w", lw=0.8)
            _hatch(panel, shown, sites, steps)
            few_ticks(panel, steps)
            panel.set_yticks(np.arange(len(sites)) + 0.5, sites)
            panel.set_title(f"level {level:g}")
            panel.spines[:].set_visible(False)
            panel.tick_params(length=0)
        panels[0].invert_yaxis()
        figure.supxlabel("training images seen", fontsize=8)
        handles = [Patch(color=color, label=name) for name, color in VERDICTS.items()]
        decided = verdicts[verdicts["verdict"] != "undecided"]
        told = {_hatch_of(origin) for origin in decided["origin"]}
        hatched = {"////": "untrained, or as at step 0", "....": "unclear whether learned"}
        handles += [
            Patch(facecolor="0.45", edgecolor="w", hatch=hatch, label=label)
            for hatch, label in hatched.items()
            if hatch in told
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return figure


def _hatch_of(origin: object) -> str | None:
    if origin in GIVEN:
        return "////"
    return "...." if origin == "unclear" else None


def _hatch(panel: Axes, rows: pd.DataFrame, sites: Sequence[str], steps: Sequence[int]) -> None:
    from matplotlib.patches import Rectangle

    for row in rows.to_dict("records"):
        if (hatch := _hatch_of(row["origin"])) and row["verdict"] != "undecided":
            corner = (steps.index(row["images_seen"]), sites.index(row["site"]))
            look: Any = {"fill": False, "hatch": hatch, "edgecolor": "w", "linewidth": 0.8}
            panel.add_patch(Rectangle(corner, 1, 1, **look))


def few_ticks(panel: Axes, steps: Sequence[int]) -> None:
    """Name at most four columns, the first and the last among them."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(4, len(steps))).round().astype(int))
    panel.set_xticks(places + 0.5, [short_count(steps[i]) for i in places])


def numbers_figure(verdicts: pd.DataFrame) -> Figure:
    """The numbers behind the verdicts against training images seen: a row per number, a panel per
    level, a line per site, bands the 95 % intervals, dotted the bars of the verdict.

    verdicts: as for `verdict_figure`, with first, second, and every number, its low and its high.
    Those without an interval, or with one wider than the panel, are left out: they are noise.
    """
    sites, levels = list(verdicts["site"].unique()), sorted(verdicts["level"].unique())
    names = {column: verdicts[column].iloc[0] for column in ("first", "second")}
    looks = dict(zip(sites, product(("-", "--", ":", "-."), PALETTE), strict=False))
    with figure_style():
        from matplotlib.lines import Line2D

        figure = new_figure(1.35 * len(_NUMBERS) + 0.9)
        rows = figure.subplots(len(_NUMBERS), len(levels), sharex=True, sharey="row", squeeze=False)
        for panels, (name, (title, bars)) in zip(rows, _NUMBERS.items(), strict=True):
            low, high = _frame(verdicts, name, bool(bars))
            panels[0].set_ylim(low, high)
            for panel, level in zip(panels, levels, strict=True):
                shown = verdicts[verdicts["level"] == level]
                for site, own in shown.groupby("site", sort=False):
                    _draw_number(panel, _narrow(own, name, high - low), name, *looks[site])
                for bar in bars:
                    panel.axhline(bar, color="0.4", linewidth=0.6, linestyle=":")
                images_seen_axis(panel, shown["images_seen"])
            panels[0].set_ylabel(title.format(**names).replace(", ", ",\n"))
        for panel, level in zip(rows[0], levels, strict=True):
            panel.set_title(f"level {level:g}")
        figure.supxlabel("training images seen", fontsize=8)
        handles: list[Artist] = [
            Line2D([], [], color=color, linestyle=style, label=site)
            for site, (style, color) in looks.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _narrow(own: pd.DataFrame, name: str, widest: float) -> pd.DataFrame:
    return own[own[f"{name}_high"] - own[f"{name}_low"] <= widest]


def _draw_number(panel: Axes, own: pd.DataFrame, name: str, style: str, color: str) -> None:
    own = own.sort_values("images_seen")
    x, low, high = own["images_seen"], own[f"{name}_low"], own[f"{name}_high"]
    panel.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    panel.plot(x, own[name], style, color=color, linewidth=1.2, marker="o", markersize=2.5)


def _frame(verdicts: pd.DataFrame, name: str, is_share: bool) -> tuple[float, float]:
    """Return the ends of a row's axis, for the estimates: intervals of noise are wider than any
    page."""
    read = verdicts.dropna(subset=f"{name}_low")[name].dropna()
    if is_share or not len(read):
        return _SHOWN_BEYOND
    return 0.0, float(1.15 * np.quantile(read, 0.95))


def displacement_figure(rows: pd.DataFrame) -> Figure:
    """Cosines of pairs of steps through the code, of every site at one level beside ideal codes of
    the same noise: boxes are quartiles, lines 5 to 95 %, points means.

    rows: of one run, step, level and pair of features, with site, code, steps and quantiles.
    """
    sites, kinds = list(rows["site"].unique()), list(rows["steps"].unique())
    codes = [code for code in _CODES if code in set(rows["code"])]
    colors = dict(zip(_CODES, colors_of(len(_CODES)), strict=True))
    with figure_style():
        from matplotlib.patches import Patch

        figure = new_figure(0.34 * len(sites) + 1.3)
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for panel, kind in zip(panels, kinds, strict=True):
            for i, site in enumerate(sites):
                for j, code in enumerate(codes):
                    own = rows[(rows["site"] == site) & (rows["code"] == code)]
                    height = i + (j - (len(codes) - 1) / 2) * 0.2
                    _draw_box(panel, own[own["steps"] == kind], height, colors[code])
            along = "along" in kind
            panel.set(title=_named(kind, rows), xlim=(-1.05 if along else -0.03, 1.05))
            panel.set_xticks((-1, 0, 1) if along else (0, 0.5, 1))
            panel.set_yticks(range(len(sites)), sites)
            panel.tick_params(axis="y", length=0)
        panels[0].invert_yaxis()
        figure.supxlabel("cosine of two steps; absolute value where steps are against", fontsize=8)
        handles = [Patch(color=colors[code], label=code) for code in codes]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(codes))
    return figure


def _named(kind: str, rows: pd.DataFrame) -> str:
    """Return a kind of steps, such as "x along y", with the names of its features."""
    names = {"x": rows["first"].iloc[0], "y": rows["second"].iloc[0]}
    return " ".join(names.get(word, word) for word in kind.split())


def _draw_box(panel: Axes, rows: pd.DataFrame, height: float, color: str) -> None:
    for row in rows.dropna(subset="mean").to_dict("records"):
        panel.plot([row["q05"], row["q95"]], [height, height], color=color, linewidth=0.8)
        panel.plot(
            [row["q25"], row["q75"]], [height, height], color=color, linewidth=3.5, alpha=0.6
        )
        panel.plot(row["mean"], height, color=color, marker="o", markersize=2.5)


def swap_figure(rows: pd.DataFrame) -> Figure:
    """Shares of the way to the donor that images move when a subspace is exchanged: a row per site,
    a panel per swap, a colour per coordinate, with 95 % intervals.

    rows: of one run and step, with site, swapped, coordinate, moved, low, high.
    """
    panels = {
        str(name) if name in ("random", "whole") else f"subspace of {name}": own
        for name, own in rows.groupby("swapped", sort=False)
    }
    return _moved_figure(panels, "share of the way to the donor")


def steer_figure(rows: pd.DataFrame) -> Figure:
    """Shares of the asked way that images move when a step along a coordinate is added: a row per
    site, a panel per direction, a colour per coordinate, with 95 % intervals.

    rows: of one run, step and number of places, with site, steered, coordinate, moved, low, high.
    """
    panels = {
        "random direction" if name == "random" else f"along {name}": own
        for name, own in rows.groupby("steered", sort=False)
    }
    way = rows["way_px"].iloc[0]
    return _moved_figure(panels, f"moved, as a share of the {way:g} px steered")


def _moved_figure(shown: Mapping[str, pd.DataFrame], label: str) -> Figure:
    first = next(iter(shown.values()))
    sites, coordinates = list(first["site"].unique()), list(first["coordinate"].unique())
    colors = dict(zip(coordinates, colors_of(len(coordinates)), strict=True))
    with figure_style():
        figure = new_figure(0.28 * len(sites) + 1.2)
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for panel, (title, rows) in zip(panels, shown.items(), strict=True):
            for k, coordinate in enumerate(coordinates):
                own = rows[rows["coordinate"] == coordinate].set_index("site").reindex(sites)
                error = [own["moved"] - own["low"], own["high"] - own["moved"]]
                places = np.arange(len(sites)) + (k - (len(coordinates) - 1) / 2) * 0.25
                look = {"color": colors[coordinate], "marker": "o", "markersize": 3, "ls": "none"}
                panel.errorbar(own["moved"], places, xerr=error, label=coordinate, **look)
            for ideal in (0, 1):
                panel.axvline(ideal, color="0.6", linewidth=0.6, linestyle=":")
            panel.set(title=title, xlim=(-0.4, 1.4), xticks=(0, 0.5, 1))
            panel.set_yticks(range(len(sites)), sites)
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.supxlabel(label, fontsize=8)
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure
