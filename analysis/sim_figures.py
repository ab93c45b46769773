"""Figures of the structured identity mapping task, from arrays (seed × time).

A panel for each variant. Thin lines are single seeds, thick ones medians over all seeds, bands the
middle 80 % of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.style import PALETTE, colors_of, figure_style, panels_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_SEEDS = 12
BAND = (0.1, 0.9)
MANY, COLUMNS_OF_MANY = 9, 5  # panels
BESIDE = 0.006  # of the figure's width, between two kinds of intervals


def path_figure(
    paths: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    exact: Mapping[str, np.ndarray],
) -> Figure:
    """Output trajectories at the probe in the plane of the first two concepts.

    paths: (seed, time, s ≥ 2) by variant, in concept coordinates. targets: (s,), the probe. exact:
    what theory says of them, where it does.
    """
    with figure_style():
        columns = COLUMNS_OF_MANY if len(paths) > MANY else min(3, len(paths))
        figure, panels = panels_of(len(paths), columns, 2.2)
        for panel, (name, outputs) in zip(panels, paths.items(), strict=True):
            _draw_paths(panel, outputs[..., :2], targets[name][:2])
            if name in exact:
                middle = np.nanmedian(exact[name][..., :2], axis=0)
                panel.plot(*middle.T, color=PALETTE[1], linestyle="--", label="one layer, exact")
            panel.set_title(_two_lines(name) if len(paths) > MANY else _shown(name))
            panel.locator_params(nbins=5)
            _label_edges(panel, "output along concept 1", "output along concept 2")
        shown: dict[str, Artist] = {}  # in whichever panel it is
        for panel in panels:
            handles, labels = panel.get_legend_handles_labels()
            shown |= {str(label): handle for label, handle in zip(labels, handles, strict=True)}
        figure.legend([*shown.values()], [*shown], loc="outside lower center", ncols=5)
    return figure


def _shown(name: str) -> str:
    """A variant's name with A² for A2."""
    return re.sub(r"\bA2\b", "A²", name)


def _two_lines(name: str) -> str:
    """What is varied last has a line of its own."""
    return "\n".join(_shown(name).rsplit(", ", 1))


def _draw_paths(panel: Axes, outputs: np.ndarray, target: np.ndarray) -> None:
    singles = panel.plot(*outputs[:SHOWN_SEEDS].T, color="0.6", linewidth=0.5)
    singles[0].set_label("one seed")
    middle = np.nanmedian(outputs, axis=0)
    panel.plot(*middle.T, color=PALETTE[0], linewidth=1.6, label=f"median of {len(outputs)}")
    panel.axline((0, 0), tuple(target), color="0.3", linewidth=0.6, linestyle=":", label="straight")
    panel.plot(*target, color=PALETTE[1], marker="*", markersize=9, linewidth=0, label="target")


def _label_edges(panel: Axes, x_label: str, y_label: str) -> None:
    """Axes are named once, at the foot and on the left."""
    place = panel.get_subplotspec()
    assert place is not None
    panel.set_xlabel(x_label if place.is_last_row() else "")
    panel.set_ylabel(y_label if place.is_first_col() else "")


def curve_figure(
    curves: Mapping[str, Mapping[str, np.ndarray]],
    t: Mapping[str, np.ndarray],
    time_label: str,
    value_label: str,
    *,
    log_from: float | None = None,
    predicted: Mapping[str, Mapping[str, np.ndarray]],
    predicted_by: str,
) -> Figure:
    """Curves against time: a panel for each variant, a colour for each kind of curve.

    curves: (seed, time) by kind, by variant. t: (time,) by variant. log_from: values are drawn on a
    logarithmic axis from there on: what falls exponentially would leave no room for how it begins.
    predicted: more such curves, of some variants and kinds, whose medians are drawn dashed within
    the range of the others. predicted_by: what.
    """
    with figure_style():
        figure, panels = panels_of(len(curves), min(2, len(curves)), 2.1)
        for panel, (name, kinds) in zip(panels, curves.items(), strict=True):
            of_theory = predicted.get(name, {})
            for color, (kind, values) in zip(colors_of(len(kinds)), kinds.items(), strict=True):
                _draw_curves(panel, t[name], values, kind, color)
                if kind in of_theory:
                    _draw_predicted(panel, t[name], of_theory[kind], values, color)
            panel.set_title(_shown(name))
            panel.locator_params(axis="x", integer=True)
            _label_edges(panel, time_label, value_label)
            if log_from is not None:
                panel.set_yscale("log")
                panel.margins(y=0.01)  # of all that there is, also what is not shown
                panel.set_ylim(bottom=log_from)
        _explain_curves(panels[0], len(next(iter(next(iter(curves.values())).values()))))
        if predicted:
            panels[0].plot([], [], color="0.3", linewidth=1, linestyle="--", label=predicted_by)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_curves(panel: Axes, t: np.ndarray, values: np.ndarray, kind: str, color: Any) -> None:
    low, middle, high = np.nanquantile(values, (BAND[0], 0.5, BAND[1]), axis=0)
    panel.fill_between(t, low, high, color=color, alpha=0.18, linewidth=0)
    for curve in values[: SHOWN_SEEDS // 3]:
        panel.plot(t, curve, color=color, linewidth=0.4, alpha=0.6)
    panel.plot(t, middle, color=color, linewidth=1.6, label=kind)


def _explain_curves(panel: Axes, seeds: int) -> None:
    """Entries of the legend for what every kind of curve is drawn with."""
    panel.plot([], [], color="0.3", linewidth=1.6, label=f"median of {seeds}")
    panel.fill_between([], [], [], color="0.3", alpha=0.18, linewidth=0, label="middle 80 %")
    panel.plot([], [], color="0.3", linewidth=0.4, label="one seed")


def _draw_predicted(
    panel: Axes, t: np.ndarray, predicted: np.ndarray, measured: np.ndarray, color: Any
) -> None:
    middle = np.median(predicted, axis=0)
    shown = np.abs(np.nanmedian(measured, axis=0)).max()
    middle[np.abs(middle) > shown] = np.nan
    panel.plot(t, middle, color=color, linewidth=1, linestyle="--")


def interval_figure(
    points: Mapping[str, Mapping[str, np.ndarray]],
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    level: float | None = None,
) -> Figure:
    """Estimates with 95 % intervals against a setting, by kind, by panel.

    points: rows x, estimate, low, high of each. x_label: if empty, panels have their own names
    there. level: draw a line there.
    """
    with figure_style():
        columns = min(3, len(points))
        figure, panels = panels_of(len(points), columns, 2.4)
        for panel, (name, kinds) in zip(panels, points.items(), strict=True):
            for kind, estimate, color in zip(
                kinds,
                _apart([*kinds.values()], BESIDE * columns, log_x),
                colors_of(len(kinds)),
                strict=True,
            ):
                _draw_intervals(panel, estimate, kind, color)
            _label_edges(panel, "", y_label)
            panel.set_xlabel(x_label or name)
            if log_x:
                panel.set_xscale("log")
                places = sorted({x for estimate in kinds.values() for x in estimate[0]})
                panel.set_xticks(places, [f"{x:g}" for x in places])
                panel.minorticks_off()
            if level is not None:
                panel.axhline(level, color="0.3", linewidth=0.6, linestyle=":")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _apart(estimates: Sequence[np.ndarray], distance: float, log_x: bool) -> list[np.ndarray]:
    """Kinds a little beside each other, so that none hides another's interval."""
    x = np.concatenate([estimate[0] for estimate in estimates])
    x = np.log(x) if log_x else x
    shifts = (np.arange(len(estimates)) - (len(estimates) - 1) / 2) * np.ptp(x) * distance
    moved = [np.array(estimate, dtype=float) for estimate in estimates]
    for estimate, shift in zip(moved, shifts, strict=True):
        estimate[0] = estimate[0] * np.exp(shift) if log_x else estimate[0] + shift
    return moved


def _draw_intervals(panel: Axes, estimate: np.ndarray, kind: str, color: Any) -> None:
    x, y, low, high = estimate
    panel.errorbar(
        x, y, (y - low, high - y), color=color, marker="o", markersize=4, linewidth=1, capsize=2,
        label=kind,
    )  # fmt: skip


def phase_figure(
    values: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str], blank: str
) -> Figure:
    """Phase diagrams, by what they show: (rows, columns) ≥ 0, in the cells too. blank: what it says
    where there is no number."""
    with figure_style():
        figure, panels = panels_of(len(values), 1, 2.4, one_y_axis=False)
        for panel, (label, cells) in zip(panels, values.items(), strict=True):
            _draw_cells(panel, cells, blank)
            figure.colorbar(panel.images[0], ax=panel, label=label)
            panel.set_xticks(range(len(columns)), list(columns))
            panel.set_yticks(range(len(rows)), list(rows))
    return figure


def _draw_cells(panel: Axes, cells: np.ndarray, blank: str) -> None:
    highest = max(np.nanmax(cells, initial=0), 1e-12)
    panel.imshow(cells, cmap="cividis", vmin=0, vmax=highest, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(cells):
        color = "black" if value > 0.6 * highest else "white"
        known = np.isfinite(value)
        text = f"{value:.2f}" if known else blank
        panel.text(j, i, text, ha="center", va="center", color=color if known else "0.4")
