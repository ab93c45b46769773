"""Figure of three readouts of the same samples, side by side: as paths and as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.figures.run import FAINT, draw_samples_path, looks_of, mean_paths, path_legend
from analysis.figures.style import PALETTE, colors_of, figure_style, new_figure
from analysis.figures.unsure import STRIP_IN, draw_unsure, frame_strip, share_axis
from analysis.tables.readouts import ARGMAX, PLACE, SOFTMAX, three_readouts
from analysis.tables.trajectory import MOST_UNSURE, mean_over_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = {
    SOFTMAX: "probe: mean softmax",
    ARGMAX: "probe: argmax, sure images",
    PLACE: "oracle: place between values",
}
PATH_IN, CURVES_IN = 2.2, 1.5


def readouts_figure(by_combination: pd.DataFrame, by_split: pd.DataFrame, title: str = "") -> Any:
    """Three readouts of the same samples, a column each: paths of combinations through concept
    space, two concepts in a row; then curves of every concept against training images seen, and
    the share of images of which the instrument is unsure.

    One run: its curves have their intervals as bands. Several: a thin line per run, and a thick
    mean over the snapshots that all of them have; paths are of the mean. What does not count is
    faint.

    by_combination, by_split: as `readouts.readout_curves` returns them, of one split.
    """
    shown, curves = three_readouts(by_combination), three_readouts(by_split)
    concepts, readouts = [*curves["concept"].unique()], [*curves["readout"].unique()]
    pairs, names = [*combinations(concepts, 2)], [*shown["combination"].unique()]
    heights = [PATH_IN] * len(pairs) + [CURVES_IN, STRIP_IN]
    colors = dict(zip(concepts, _concept_colors(len(concepts)), strict=True))
    with figure_style():
        figure = new_figure(sum(heights) + 0.9)
        rows = figure.subplots(len(heights), len(readouts), height_ratios=heights, squeeze=False)
        for column, (axes, readout) in enumerate(zip(rows.T, readouts, strict=True)):
            paths = mean_paths(_of(shown, readout).rename(columns={"value": "coordinate"}))
            for panel, pair in zip(axes, pairs, strict=False):
                _draw_paths(panel, paths, pair, names)
            _draw_curves(axes[-2], axes[-1], _of(curves, readout), colors, first=column == 0)
            axes[0].set_title(TITLES[readout])
        figure.suptitle(title, fontsize=9)
        faint = bool((shown["unsure"] > MOST_UNSURE).any())
        handles = [*_concepts(colors), *(path_legend(names, faint) if pairs else [])]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _of(table: pd.DataFrame, readout: str) -> pd.DataFrame:
    return table[table["readout"] == readout]


def _draw_paths(
    panel: Axes, paths: Mapping[str, pd.DataFrame], pair: Sequence[str], names: Sequence[str]
) -> None:
    x, y = pair
    for look, name in zip(looks_of(len(names)), names, strict=True):
        if name in paths:
            draw_samples_path(panel, paths[name], x, y, **look)
    panel.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal", xlabel=x, ylabel=y)
    panel.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))


def _draw_curves(
    panel: Axes, strip: Axes, curves: pd.DataFrame, colors: Mapping[str, Any], first: bool
) -> None:
    frame_strip(strip, first)
    for concept, own in curves.groupby("concept", sort=False):
        color = colors[str(concept)]
        draw_counting(panel, own, color)
        draw_unsure(strip, own, color)
    panel.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1))
    if first:
        panel.set_ylabel("as asked")
    share_axis(panel, strip, curves["images_seen"])
    strip.set_xlabel("training images seen")


def draw_counting(panel: Axes, curves: pd.DataFrame, color: Any, linestyle: str = "-") -> None:
    """Draw a readout against training images seen, faint where it does not count; of one run with
    its interval, of several with their mean.

    curves: as `readouts.readout_curves` returns them, of one concept and readout.
    """
    several = curves["run"].nunique() > 1
    look: dict[str, Any] = {"color": color, "linestyle": linestyle}
    for _, run in curves.groupby("run"):
        run = run.sort_values("images_seen")
        x, value = run["images_seen"], run["value"]
        panel.plot(x, value, alpha=FAINT, linewidth=0.5 if several else 1.0, **look)
        if not several:
            panel.plot(
                x, value.where(run["counts"]), linewidth=1.4, marker=".", markersize=4, **look
            )
            low, high = (run[end].where(run["counts"]) for end in ("low", "high"))
            panel.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    if several:
        mean = mean_over_runs(curves, ["images_seen"], "value")
        blind = mean_over_runs(curves, ["images_seen"], "unsure") > MOST_UNSURE
        panel.plot(mean.index, mean.mask(blind), linewidth=1.8, **look)


def _concept_colors(count: int) -> list[Any]:
    """Other colours than those with which paths begin, the stronger ones first."""
    if count > len(PALETTE):
        return colors_of(count)
    return [PALETTE[i] for i in (6, 3, 4, 2, 5, 1, 0)][:count]


def _concepts(colors: Mapping[str, Any]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=color, linewidth=1.8, label=f"{name}, curve")
        for name, color in colors.items()
    ]
