"""How far other prompts than the captions reach: sets of prompts side by side, from one noise."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.figures.style import PALETTE, figure_style, images_seen_axis, panels_of
from analysis.tables.trajectory import SPLITS, accuracy_curves, joint_differences

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTIONS = "none"  # the `intervention` of the plain captions
_SNAPSHOT = ["run", "step", "images_seen", "split"]
_BOUNDS = {"low": "difference_low", "high": "difference_high"}
_PANELS = {
    "held_out": "held-out combinations",
    "train": "training combinations",
    "partial": "partial prompts",
}


def prompt_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Joint accuracy of every set of prompts, and how much it differs from that of the captions.

    scores: of one run, in which `intervention` names the sets, the captions CAPTIONS.

    Returns prompts (the set, "captions" among them), run, step, images_seen, split, accuracy, low,
    high, and difference, difference_low, difference_high (see `joint_differences`), which are NaN
    of the captions and of partial prompts, whose like no caption asks. Sets keep the order in which
    `scores` first has them.
    """
    captions, tables = scores[scores["intervention"] == CAPTIONS], []
    for name, own in scores.groupby("intervention", sort=False):
        curves = accuracy_curves(own)
        joint = curves[curves["measure"] == "joint"].drop(columns="measure")
        if name != CAPTIONS and "partial" not in set(own["split"]):
            differences = joint_differences(own, captions)
            joint = joint.merge(differences.rename(columns=_BOUNDS), on=_SNAPSHOT)
        tables.append(joint.assign(prompts="captions" if name == CAPTIONS else name))
    columns = ["prompts", *_SNAPSHOT, "accuracy", "low", "high", "difference"]
    return pd.concat(tables, ignore_index=True).reindex(columns=[*columns, *_BOUNDS.values()])


def prompt_rows(curves: pd.DataFrame, templates: Mapping[str, str]) -> list[dict[str, str]]:
    """The last snapshot of `prompt_curves` as text, by column, a row per set and split.

    templates: how each set is written.
    """
    last = curves[curves["step"] == curves["step"].max()]
    order = last["split"].map({split: i for i, split in enumerate(SPLITS)})
    sets = pd.Categorical(last["prompts"], categories=last["prompts"].unique(), ordered=True)
    last = last.assign(order=order, prompts=sets).sort_values(["prompts", "order"])
    return [
        {
            "prompts": row["prompts"],
            "split": row["split"],
            "joint": f"{row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
            "minus captions": _difference(row),
            "written": templates[row["prompts"]],
        }
        for row in last.to_dict("records")
    ]


def prompt_figure(curves: pd.DataFrame) -> Figure:
    """Joint accuracy against training images seen: a panel per split, a line per set of prompts.

    curves: as `prompt_curves` returns them.
    """
    splits = [split for split in _PANELS if split in set(curves["split"])]
    looks = dict(zip(curves["prompts"].unique(), zip(cycle(PALETTE), cycle("osD^v")), strict=False))
    with figure_style():
        figure, panels = panels_of(len(splits), columns=3, panel_height_in=2.15)
        for panel, split in zip(panels, splits, strict=True):
            shown = curves[curves["split"] == split]
            for name, own in shown.groupby("prompts", sort=False):
                _draw(panel, own.sort_values("images_seen"), *looks[name])
            panel.set(title=_PANELS[split], ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
            images_seen_axis(panel, shown["images_seen"])
        figure.supxlabel("training images seen", fontsize=8)
        figure.supylabel("joint accuracy", fontsize=8)
        handles = _legend(looks)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5))
    return figure


def _difference(row: Mapping[str, float]) -> str:
    if np.isnan(row["difference"]):
        return "-"
    return f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]"


def _draw(panel: Axes, curves: pd.DataFrame, colour: str, marker: str) -> None:
    x = curves["images_seen"]
    panel.fill_between(x, curves["low"], curves["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(x, curves["accuracy"], color=colour, marker=marker, markersize=3.5, linewidth=1.4)


def _legend(looks: Mapping[str, tuple[str, str]]) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=name)
        for name, (colour, marker) in looks.items()
    ]
    return [*lines, Patch(color="0.3", alpha=0.2, linewidth=0, label="95 % interval")]
