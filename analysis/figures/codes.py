"""Figures of codes themselves: their places along training, maps of them, spectra, and holes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.geometry import few_ticks
from analysis.figures.style import PALETTE, colors_of, figure_style, new_figure, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_STEPS = 4  # beside each other


def shown_steps(steps: Sequence[int]) -> list[int]:
    """Choose at most four, evenly, the first and the last among them."""
    places = np.linspace(0, len(steps) - 1, min(MOST_STEPS, len(steps)))
    return [steps[i] for i in np.unique(places.round().astype(int))]


def projection_figure(rows: pd.DataFrame, feature: str) -> Figure:
    """Codes along training on the first two components of a feature's part at the last step: a row
    per site, a column per step, a point per condition, coloured by the feature. Scales are those of
    a row.

    rows: of one run and level, with site, images_seen, the feature and its components.
    """
    sites = list(rows["site"].unique())
    steps = shown_steps(sorted(rows["images_seen"].unique()))
    colors = _Colors(rows[feature], feature)
    with figure_style():
        figure, panels = _tiles(len(sites), len(steps))
        for along, site in zip(panels, sites, strict=True):
            own = rows[(rows["site"] == site) & rows["images_seen"].isin(steps)]
            far = 1.1 * np.abs(own[[f"{feature}_1", f"{feature}_2"]].to_numpy()).max() or 1.0
            for panel, step in zip(along, steps, strict=True):
                at = own[own["images_seen"] == step]
                colors.draw(panel, at[f"{feature}_1"], at[f"{feature}_2"], at[feature])
                panel.set(xlim=(-far, far), ylim=(-far, far))
            along[0].set_ylabel(site, rotation=0, ha="right", va="center")
        for panel, step in zip(panels[0], steps, strict=True):
            panel.set_title(f"{short_count(step)} images")
        colors.bar(figure, panels, "right")
        about = f"first and second component of {feature}'s part, level {rows['level'].iloc[0]:g}"
        figure.supxlabel(about, fontsize=8)
    return figure


def map_figure(rows: pd.DataFrame, features: Sequence[str]) -> Figure:
    """Maps of codes: a row per site, a column per feature, by which it is coloured.

    rows: of one run, step and level, with site, map_1, map_2 and the features.
    """
    sites = list(rows["site"].unique())
    with figure_style():
        figure, panels = _tiles(len(sites), len(features))
        for j, feature in enumerate(features):
            colors = _Colors(rows[feature], feature)
            for panel, site in zip(panels[:, j], sites, strict=True):
                own = rows[rows["site"] == site]
                colors.draw(panel, own["map_1"], own["map_2"], own[feature])
            colors.bar(figure, panels[:, j], "bottom")
        for panel, site in zip(panels[:, 0], sites, strict=True):
            panel.set_ylabel(site, rotation=0, ha="right", va="center")
        figure.supxlabel(
            f"UMAP, level {rows['level'].iloc[0]:g}: distances and holes mean nothing", fontsize=8
        )
    return figure


def _tiles(rows: int, columns: int) -> tuple[Figure, Any]:
    """Make square panels without ticks."""
    figure = new_figure(1.05 * rows + 0.8)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat:
        panel.set_box_aspect(1)
        panel.set(xticks=(), yticks=())
        panel.spines[:].set(visible=True, color="0.8")
    return figure, panels


class _Colors:
    """Colours of a feature's values: words each their own, numbers from dark to light."""

    def __init__(self, values: pd.Series, feature: str):
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize

        self.words = None if pd.api.types.is_numeric_dtype(values) else list(values.unique())
        count = len(self.words or ())
        self.label = feature if self.words else f"{feature} in px"
        norm = Normalize(-0.5, count - 0.5) if self.words else Normalize(values.min(), values.max())
        self.scale = ScalarMappable(norm, ListedColormap(colors_of(count)) if count else "cividis")

    def draw(self, panel: Axes, x: pd.Series, y: pd.Series, values: pd.Series) -> None:
        numbers = values.map(self.words.index) if self.words else values
        panel.scatter(x, y, c=self.scale.to_rgba(numbers.to_numpy(float)), s=4, linewidths=0)

    def bar(self, figure: Figure, panels: Any, side: str) -> None:
        bar = figure.colorbar(self.scale, ax=panels, location=side, label=self.label, aspect=30)
        if self.words:
            bar.set_ticks(range(len(self.words)), labels=self.words)


def spectrum_figure(rows: pd.DataFrame) -> Figure:
    """Shares of the variance of the first principal components: a row for the first step and one
    for the last, a panel per level, a line per site; the means over runs.

    rows: with run, images_seen, site, level, component, share.
    """
    sites, levels = list(rows["site"].unique()), sorted(rows["level"].unique())
    steps = sorted({rows["images_seen"].min(), rows["images_seen"].max()})
    looks = dict(zip(sites, product(("-", "--", ":", "-."), PALETTE), strict=False))
    with figure_style():
        figure = new_figure(1.7 * len(steps) + 0.9)
        shape: Any = {"sharex": True, "sharey": True, "squeeze": False}
        panels = figure.subplots(len(steps), len(levels), **shape)
        for (along, step), (j, level) in product(
            zip(panels, steps, strict=True), enumerate(levels)
        ):
            own = rows[(rows["images_seen"] == step) & (rows["level"] == level)]
            for site, (style, color) in looks.items():
                mean = own[own["site"] == site].groupby("component")["share"].mean()
                look = {"color": color, "linewidth": 1.0, "marker": "o", "markersize": 2}
                along[j].plot(mean.index, mean, style, label=site, **look)
            along[j].set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), xticks=(1, 5, 10, 15))
            along[0].set_ylabel(f"share of variance,\n{short_count(step)} images")
        for panel, level in zip(panels[0], levels, strict=True):
            panel.set_title(f"level {level:g}")
        figure.supxlabel("principal component", fontsize=8)
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def homology_figure(rows: pd.DataFrame) -> Figure:
    """Holes along training, as tiles: a row per site, a column per step, a panel per level. The
    number is how many bars of dimension 1 pass the line; coloured where the Betti numbers are those
    of a torus over some range of scales.

    rows: of one run, with site, level, images_seen, torus_window, holes.
    """
    sites, levels = list(rows["site"].unique()), sorted(rows["level"].unique())
    steps = sorted(rows["images_seen"].unique())
    with figure_style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        figure = new_figure(0.24 * len(sites) + 1.3)
        panels = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
        most = max(1.5, rows["torus_window"].max())
        scale = ScalarMappable(Normalize(1, most), "cividis")
        for panel, level in zip(panels, levels, strict=True):
            for row in rows[rows["level"] == level].dropna(subset="holes").to_dict("records"):
                corner = steps.index(row["images_seen"]), sites.index(row["site"])
                _hole_tile(panel, corner, row, scale)
            panel.set(xlim=(0, len(steps)), ylim=(len(sites), 0), title=f"level {level:g}")
            panel.set_yticks(np.arange(len(sites)) + 0.5, sites)
            few_ticks(panel, steps)
            panel.spines[:].set_visible(False)
            panel.tick_params(length=0)
        figure.supxlabel("training images seen", fontsize=8)
        about = "widest range of scales with\na torus's Betti numbers,\nratio of its ends"
        ends = np.array([1, (1 + most) / 2, most])
        figure.colorbar(scale, ax=panels, label=about).set_ticks(
            [*ends], labels=[f"{end:.2g}" for end in ends]
        )
    return figure


def _hole_tile(panel: Axes, corner: tuple[int, int], row: dict[str, Any], scale: Any) -> None:
    from matplotlib.patches import Rectangle

    torus = row["torus_window"] > 1
    color = scale.to_rgba(row["torus_window"]) if torus else "0.9"
    light = not torus or scale.norm(row["torus_window"]) > 0.5
    panel.add_patch(Rectangle(corner, 1, 1, facecolor=color, edgecolor="w", linewidth=0.8))
    where: Any = {"ha": "center", "va": "center", "color": "k" if light else "w"}
    panel.text(corner[0] + 0.5, corner[1] + 0.5, f"{row['holes']:.0f}", **where)
