"""Outcomes of a study of centres, as a figure: does each variant compose, does it interpolate?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.figures.style import PALETTE, figure_style, panels_of
from analysis.tables.outcomes import BARS, GATE, QUESTIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_IN = 0.26


def outcome_figure(over_seeds: pd.DataFrame, single: pd.DataFrame) -> Figure:
    """Share of right images of each variant: a panel per question, a row per variant, its mean with
    the interval over seeds, a small mark per seed, and the bar as a dashed line.

    over_seeds: as `outcomes.outcomes_over_seeds` returns it. single: run, question and accuracy of
        single runs, with their variant.
    """
    variants = [*over_seeds["variant"].unique()]
    height = 0.7 + ROW_IN * len(variants)
    with figure_style():
        figure, panels = panels_of(len(QUESTIONS), len(QUESTIONS), height)
        for panel, question in zip(panels, QUESTIONS, strict=True):
            means, runs = (t[t["question"] == question] for t in (over_seeds, single))
            _draw(panel, means, runs, variants)
            panel.axvline(BARS.get(question, GATE), color="0.45", linestyle="--", linewidth=0.8)
            panel.set(title=question, xlim=(-0.03, 1.03), xticks=(0, 0.5, 1))
            panel.set(yticks=range(len(variants)), ylim=(len(variants) - 0.5, -0.5))
        panels[0].set_yticklabels(variants)
        figure.supxlabel("share of images that are right", fontsize=8)
    return figure


def _draw(panel: Axes, means: pd.DataFrame, runs: pd.DataFrame, variants: list[str]) -> None:
    rows, seeds = (np.array([variants.index(v) for v in t["variant"]]) for t in (means, runs))
    panel.scatter(runs["accuracy"], seeds + 0.22, s=6, color="0.55", linewidth=0)
    middle = means["accuracy"].to_numpy(np.float64)
    ends = np.abs(means[["low", "high"]].to_numpy(np.float64).T - middle)
    panel.errorbar(middle, rows, xerr=ends, fmt="o", color=PALETTE[0], markersize=4, linewidth=1.2)
