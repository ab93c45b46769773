"""Figure of how concepts are learned, by variant: obedience, and paths through concept space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.run import draw_path, path_ends
from analysis.figures.style import colors_of, figure_style, images_seen_axis, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_VARIANTS = 6
MOST_COLUMNS = 4  # more variants stand in two rows of three
HALF = 0.5
SHOWN = (-0.35, 1.6)  # of obedience: intervals of few seeds go far beyond
READERS = {  # instruments whose paths are drawn, beside the denoiser at the level
    "softmax": "samples, as the probe reads them",
    "oracle": "samples, as the oracle reads them",
}


def dynamics_figure(
    obedience: pd.DataFrame,
    curves: pd.DataFrame,
    variants: Mapping[str, str],
    level: float,
    titles: Mapping[str, str],
) -> Figure:
    """How far each word is obeyed, against training images seen, and below it the way of held-out
    combinations through the space of two concepts: a column per variant, of the first six.

    Bands are intervals over seeds. A path is the mean over the runs of a variant, at the snapshots
    that all of them have; faint where most images are unsure in half of the runs or more. A cross
    is what is asked for.

    obedience: as `obedience_over_seeds.obedience_over_seeds` returns it. curves: as
    `coordinates.coordinate_curves` returns them, of any runs. variants: of each run. level: a
    signal fraction that both have. titles: what to say of each variant. Raises ValueError for fewer
    than two concepts.
    """
    shown = obedience[(obedience["level"] == level) & (obedience["split"] == "held_out")]
    concepts = [*shown["concept"].unique()]
    if len(concepts) < 2:
        raise ValueError(f"needs two or more concepts, got {concepts}")
    names = [*dict.fromkeys(variants.values())][:MOST_VARIANTS]
    readers = {**READERS, f"denoiser {level:g}": "the denoiser's obedience"}
    colors = colors_of(len(concepts) + len(readers))
    looks = dict(zip(readers, colors[len(concepts) :], strict=True))
    columns = len(names) if len(names) <= MOST_COLUMNS else 3
    rows = [names[i : i + columns] for i in range(0, len(names), columns)]
    with figure_style():
        figure = new_figure(4.9 * len(rows))
        parts: Any = figure.subfigures(2 * len(rows), 1, height_ratios=(1.1, 1.3) * len(rows))
        for row, above, below in zip(rows, parts[::2], parts[1::2], strict=True):
            tops = _panels(above, columns, len(row))
            bottoms = _panels(below, columns, len(row))
            for top, bottom, name in zip(tops, bottoms, row, strict=True):
                own = shown[shown["variant"] == name]
                _draw_obedience(top, own, dict(zip(concepts, colors, strict=False)))
                top.set_title(f"{name}\n{titles.get(name, '')}")
                runs = [run for run, variant in variants.items() if variant == name]
                _draw_paths(bottom, curves[curves["run"].isin(runs)], concepts, looks)
            tops[0].set(ylabel=f"obedience, level {level:g}", ylim=SHOWN, yticks=(0, HALF, 1))
            bottoms[0].set_ylabel(concepts[1])
            above.supxlabel("training images seen", fontsize=8)
        handles = _lines(dict(zip(concepts, colors, strict=False)))
        parts[0].legend(handles=handles, loc="outside upper center", ncols=4)
        handles = _lines({label: looks[reader] for reader, label in readers.items()})
        parts[-1].legend(handles=[*handles, *path_ends(True)], loc="outside lower center", ncols=3)
    return figure


def _panels(part: Any, columns: int, count: int) -> Sequence[Axes]:
    """Return panels beside each other; where there are fewer than columns, the rest stays blank."""
    panels = part.subplots(1, columns, squeeze=False, sharey=True)[0]
    for panel in panels[count:]:
        panel.set_axis_off()
    return panels[:count]


def _draw_obedience(panel: Axes, own: pd.DataFrame, colors: Mapping[str, Any]) -> None:
    for value in (0, HALF, 1):
        panel.axhline(value, color="0.6", linewidth=0.6, linestyle=":")
    for concept, curve in own.groupby("concept", sort=False):
        curve = curve[curve["seeds"] == curve["of_seeds"]].sort_values("images_seen")
        x, color = curve["images_seen"], colors[str(concept)]
        panel.fill_between(x, curve["low"], curve["high"], color=color, alpha=0.2, linewidth=0)
        panel.plot(x, curve["obedience"], color=color, linewidth=1.4)
    images_seen_axis(panel, own["images_seen"])


def _draw_paths(
    panel: Axes, curves: pd.DataFrame, concepts: Sequence[str], looks: Mapping[str, Any]
) -> None:
    """Draw along the first two concepts."""
    x, y = concepts[:2]
    for reader, color in looks.items():
        path = _mean_path(curves[curves["instrument"] == reader])
        if {x, y} <= {*path.columns.get_level_values(1)}:
            along_x, along_y = (path["coordinate", concept].to_numpy() for concept in (x, y))
            counting = np.minimum(*(path["counts", concept].to_numpy() for concept in (x, y)))
            draw_path(panel, along_x, along_y, color, "-", faint=counting <= HALF)
    panel.scatter([1], [1], marker="x", s=30, color="0.4", linewidth=1.0, zorder=5)
    panel.set(xlim=(-0.1, 1.25), ylim=(-0.1, 1.25), xticks=(0, 1), yticks=(0, 1), aspect="equal")
    panel.set(xlabel=x)


def _mean_path(own: pd.DataFrame) -> pd.DataFrame:
    """Snapshots × (coordinate or counts, concept): means over runs, at snapshots that all have."""

    def mean(value: str) -> pd.DataFrame:
        by_run = own.astype({value: float}).pivot(
            index=["run", "measure"], columns="images_seen", values=value
        )
        return by_run.dropna(axis=1).groupby("measure").mean().T

    return pd.concat({value: mean(value) for value in ("coordinate", "counts")}, axis=1).dropna()


def _lines(colors: Mapping[str, Any]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=color, label=label) for label, color in colors.items()]
