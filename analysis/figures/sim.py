"""Figures of the structured identity mapping task, from arrays (seed × time).

A panel for each variant. Thin lines are single seeds, thick ones medians over the seeds given,
bands the middle 80 % of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.style import PALETTE, colors_of, figure_style, panels_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_SEEDS = 12
BAND = (0.1, 0.9)
MANY, COLUMNS_OF_MANY = 9, 5  # panels
LETTERS = 88  # of titles and legends beside each other
MEDIAN = "median over seeds"
BESIDE = 0.006  # of the figure's width, between two kinds of intervals


def path_figure(
    paths: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    exact: Mapping[str, np.ndarray],
) -> Figure:
    """Output trajectories at the probe in the plane of the first two concepts.

    paths: (seed, time, s ≥ 2) by variant, in concept coordinates, finite. targets: (s,), the
    probe. exact: what theory says of them, where it does.
    """
    with figure_style():
        columns = COLUMNS_OF_MANY if len(paths) > MANY else min(3, len(paths))
        figure, panels = panels_of(len(paths), columns, 2.2)
        for panel, (name, outputs) in zip(panels, paths.items(), strict=True):
            _draw_paths(panel, outputs[..., :2], targets[name][:2])
            if name in exact and len(outputs):
                middle = np.median(exact[name][..., :2], axis=0)
                panel.plot(*middle.T, color=PALETTE[1], linestyle="--", label="one layer, exact")
            panel.set_title(_title(name, columns))
            panel.locator_params(nbins=5)
            _label_edges(panel, "output along concept 1", "output along concept 2", len(paths))
        _add_legend(figure, panels)
    return figure


def _shown(name: str) -> str:
    """A variant's name as text: A² for A2, and a $ that begins no mathematics."""
    return re.sub(r"\bA2\b", "A²", name).replace("$", r"\$")


def _title(name: str, columns: int) -> str:
    """Over a panel; of many columns, what is varied last has a line of its own."""
    parts = name.rsplit(", ", 1) if columns == COLUMNS_OF_MANY else [name]
    return "\n".join(fill(_shown(part), LETTERS // columns) for part in parts)


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Of all panels, at the foot, in as many columns as there is room for."""
    shown: dict[str, Artist] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        shown = {**dict(zip(map(str, labels), handles, strict=True)), **shown}
    columns = max(1, min(5, LETTERS // (max(map(len, shown)) + 6)))
    figure.legend([*shown.values()], [*shown], loc="outside lower center", ncols=columns)


def _draw_paths(panel: Axes, outputs: np.ndarray, target: np.ndarray) -> None:
    if len(outputs):
        singles = panel.plot(*outputs[:SHOWN_SEEDS].T, color="0.6", linewidth=0.5)
        singles[0].set_label("one seed")
        panel.plot(*np.median(outputs, axis=0).T, color=PALETTE[0], linewidth=1.6, label=MEDIAN)
    panel.axline((0, 0), tuple(target), color="0.3", linewidth=0.6, linestyle=":", label="straight")
    panel.plot(*target, color=PALETTE[1], marker="*", markersize=9, linewidth=0, label="target")


def _label_edges(panel: Axes, x_label: str, y_label: str, count: int) -> None:
    """Axes are named where no other of the `count` panels is below, and on the left."""
    place = panel.get_subplotspec()
    assert place is not None
    is_lowest = place.num1 + place.get_gridspec().ncols >= count
    panel.set_xlabel(x_label if is_lowest else "")
    panel.set_ylabel(y_label if place.is_first_col() else "")


def curve_figure(
    curves: Mapping[str, Mapping[str, np.ndarray]],
    t: Mapping[str, np.ndarray],
    time_labels: Mapping[str, str],
    value_label: str,
    *,
    log_from: float | None = None,
    predicted: Mapping[str, Mapping[str, np.ndarray]],
    predicted_by: str,
) -> Figure:
    """Curves against time: a panel for each variant, a colour for each kind of curve.

    curves: (seed, time) by kind, by variant; finite. t: (time,) and time_labels by variant; on
    every panel if they differ. log_from: values are drawn on a logarithmic axis from there on:
    what falls exponentially would leave no room for how it begins. predicted: more such curves, of
    some variants and kinds, whose medians are drawn dashed within the range of the others.
    predicted_by: what.
    """
    with figure_style():
        columns = min(2, len(curves))
        figure, panels = panels_of(len(curves), columns, 2.1)
        labelled = len(curves) if len(set(time_labels.values())) == 1 else 0
        for panel, (name, kinds) in zip(panels, curves.items(), strict=True):
            of_theory = predicted.get(name, {})
            for color, (kind, values) in zip(colors_of(len(kinds)), kinds.items(), strict=True):
                _draw_curves(panel, t[name], values, kind, color)
                if kind in of_theory:
                    _draw_predicted(panel, t[name], of_theory[kind], values, color)
            panel.set_title(_title(name, columns))
            panel.locator_params(axis="x", integer=True)
            _label_edges(panel, time_labels[name], value_label, labelled)
            if log_from is not None:
                panel.set_yscale("log")
                panel.margins(y=0.01)  # of all that there is, also what is not shown
                panel.set_ylim(bottom=log_from)
        _explain_curves(panels[0])
        if predicted:
            panels[0].plot([], [], color="0.3", linewidth=1, linestyle="--", label=predicted_by)
        _add_legend(figure, panels)
    return figure


def _draw_curves(panel: Axes, t: np.ndarray, values: np.ndarray, kind: str, color: Any) -> None:
    if not len(values):
        return
    low, middle, high = np.quantile(values, (BAND[0], 0.5, BAND[1]), axis=0)
    panel.fill_between(t, low, high, color=color, alpha=0.18, linewidth=0)
    for curve in values[: SHOWN_SEEDS // 3]:
        panel.plot(t, curve, color=color, linewidth=0.4, alpha=0.6)
    panel.plot(t, middle, color=color, linewidth=1.6, label=kind)


def _explain_curves(panel: Axes) -> None:
    """Entries of the legend for what every kind of curve is drawn with."""
    panel.plot([], [], color="0.3", linewidth=1.6, label=MEDIAN)
    panel.fill_between([], [], [], color="0.3", alpha=0.18, linewidth=0, label="middle 80 %")
    panel.plot([], [], color="0.3", linewidth=0.4, label="one seed")


def _draw_predicted(
    panel: Axes, t: np.ndarray, predicted: np.ndarray, measured: np.ndarray, color: Any
) -> None:
    if not len(measured):
        return
    middle = np.median(predicted, axis=0)
    shown = np.abs(np.median(measured, axis=0)).max()
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
            _draw_kinds(panel, kinds, BESIDE * columns, log_x)
            _label_edges(panel, "", y_label, len(points))
            panel.set_xlabel(x_label or _shown(name))
            if level is not None:
                panel.axhline(level, color="0.3", linewidth=0.6, linestyle=":")
        _add_legend(figure, panels)
    return figure


def _draw_kinds(panel: Axes, kinds: Mapping[str, np.ndarray], distance: float, log_x: bool) -> None:
    beside = _apart([*kinds.values()], distance, log_x)
    for kind, estimate, color in zip(kinds, beside, colors_of(len(kinds)), strict=True):
        _draw_intervals(panel, estimate, kind, color)
    places = np.unique([x for estimate in kinds.values() for x in estimate[0]])
    if log_x:
        panel.set_xscale("log")
        panel.set_xticks(places, [f"{x:g}" for x in places])
        panel.minorticks_off()
    else:  # also where there is nothing to draw
        margin = 0.06 * (np.ptp(places) or max(abs(places[0]), 1.0))
        panel.set_xlim(places[0] - margin, places[-1] + margin)


def _apart(estimates: Sequence[np.ndarray], distance: float, log_x: bool) -> list[np.ndarray]:
    """Kinds a little beside each other, so that none hides another's interval."""
    x = np.concatenate([estimate[0] for estimate in estimates])
    x = np.log(x) if log_x else x
    spread = np.ptp(x) or max(np.abs(x).max(), 1.0)
    shifts = (np.arange(len(estimates)) - (len(estimates) - 1) / 2) * spread * distance
    moved = [np.array(estimate, dtype=float) for estimate in estimates]
    for estimate, shift in zip(moved, shifts, strict=True):
        estimate[0] = estimate[0] * np.exp(shift) if log_x else estimate[0] + shift
    return moved


def _draw_intervals(panel: Axes, estimate: np.ndarray, kind: str, color: Any) -> None:
    x, y, low, high = estimate
    panel.errorbar(
        x, y, (y - low, high - y), color=color, marker="o", markersize=4, linewidth=1, capsize=2,
        label=_shown(kind),
    )  # fmt: skip


def phase_figure(
    values: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str], blank: str
) -> Figure:
    """Phase diagrams, by what they show: (rows, columns) ≥ 0, in the cells too. blank: what it says
    where there is no number."""
    with figure_style():
        figure, panels = panels_of(len(values), 1, 2.1, one_y_axis=False)
        for panel, (label, cells) in zip(panels, values.items(), strict=True):
            _draw_cells(panel, cells, blank)
            figure.colorbar(panel.images[0], ax=panel, label=label)
            panel.set_xticks(range(len(columns)), [_shown(name) for name in columns])
            panel.set_yticks(range(len(rows)), [_shown(name) for name in rows])
    return figure


def _draw_cells(panel: Axes, cells: np.ndarray, blank: str) -> None:
    highest = np.nanmax(cells, initial=0) or 1.0
    panel.imshow(cells, cmap="cividis", vmin=0, vmax=highest, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(cells):
        color = "black" if value > 0.6 * highest else "white"
        known = np.isfinite(value)
        text = f"{value:.2f}" if known else blank
        panel.text(j, i, text, ha="center", va="center", color=color if known else "0.4")
