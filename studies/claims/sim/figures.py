"""Figures of studies: a name per kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.figures.sim import curve_figure, interval_figure, path_figure
from analysis.measures.intervals import clopper_pearson
from ground.endings import Mistake
from studies.claims.evidence import mean_of_finite
from studies.claims.sim import kinds, measures
from studies.claims.sim.axes import grid_of, one_at_a_time
from studies.claims.sim.axis_figures import factors, phase
from studies.claims.sim.config import SimConfig, Symmetric
from studies.claims.sim.exact import (
    entries_alone,
    flow_times,
    is_one_layer,
    one_layer_paths,
    strengths,
)
from studies.claims.sim.kinds import Kind, check_kind
from studies.claims.sim.runs import corners as every_corner
from studies.claims.sim.summary import of_times_alone

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.claims.sim.runs import Study


def paths(study: Study) -> Figure:
    """Draw paths; beside those of one layer, what Theorem 4.1 says of the same seeds."""
    outputs, targets, exact = {}, {}, {}
    for name, run in study.config.runs.items():
        seen, shown = study.paths[name], _shown(study, name)
        finite = measures.stays_finite(seen)
        outputs[shown], targets[shown] = seen.outputs[finite], measures.signals(run)
        if is_one_layer(run):
            theory = one_layer_paths(run, study.config.seeds.all, seen.t, "population")
            exact[shown] = theory[finite]
    return path_figure(outputs, targets, exact)


def losses(study: Study) -> Figure:
    """Draw test and training loss over their start."""
    curves = {
        name: {"at the probe": _of_start(p.loss), "training": _of_start(p.train_loss)}
        for name, p in study.paths.items()
    }
    return _curves(study, curves, "loss / loss at start", log_from=1e-3)


def residuals(study: Study) -> Figure:
    """Draw what is left to learn of each concept; dashed, of one layer, at the rate a_k."""
    curves = {
        name: {f"concept {k}": e / e[:, :1] for k, e in enumerate(np.moveaxis(p.errors, 2, 0), 1)}
        for name, p in study.paths.items()
    }
    predicted = {
        name: {
            f"concept {k}": np.exp(-a * flow_times(run, study.paths[name].t))[None]
            for k, a in enumerate(strengths(run), 1)
        }
        for name, run in study.config.runs.items()
        if is_one_layer(run)
    }
    label = "‖(W − I)e_k‖ / start"
    return _curves(study, curves, label, 1e-3, predicted, "at the rate a_k")


def entries(study: Study) -> Figure:
    """Draw entries of W, and the loss at the probe over its start; dashed, what W(0) predicts.

    That is of the diagonals if each were alone, and of w_12 in its first stage.
    """
    curves = {
        name: {
            "w_11": p.W[..., 0, 0],
            "w_22": p.W[..., 1, 1],
            "w_12": p.W[..., 0, 1],
            "loss / start": _of_start(p.loss),
        }
        for name, p in study.paths.items()
    }
    predicted = {
        name: dict(entries_alone(run, study.paths[name].W[:, 0], study.paths[name].t))
        for name, run in study.config.runs.items()
        if isinstance(run, Symmetric)
    }
    label = "entry of W, loss"
    return _curves(study, curves, label, predicted=predicted, predicted_by="predicted from W(0)")


def corners(study: Study) -> Figure:
    """Draw losses at corners by how many concepts they combine, without those of no signal."""
    curves = {}
    for name, run in study.config.runs.items():
        p, signal = study.paths[name], measures.signals(run) != 0
        points = every_corner(len(signal))
        combined = np.where(points[:, ~signal].any(1), 0, points.sum(1))
        curves[name] = {
            f"{n} concept{'s' * (n > 1)}": p.corner_losses[..., combined == n].mean(-1)
            for n in range(1, signal.sum() + 1)
        }
    return _curves(study, curves, "mean loss at corners", log_from=1e-4)


def swing_rates(study: Study) -> Figure:
    """Draw the share of runs whose first coordinate swings, against the width of U."""
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, run in study.config.runs.items():
        swung = study.of(measures.swings, name)
        low, high = clopper_pearson(int(swung.sum()), len(swung))
        assert isinstance(run, Symmetric)
        kind = "A" if run.power == 1 else "A²"
        rows.setdefault(kind, []).append((run.width, swung.mean(), low, high))
    points = {kind: np.array(row).T for kind, row in rows.items()}
    return interval_figure({"": points}, "width of U", "share of runs whose c_1 swings", log_x=True)


def rates(study: Study) -> Figure:
    """Draw rates of ‖(W − I)e_k‖ in flow time over a_k, against a_k."""
    ratios = {name: study.of(measures.rate_ratios, name) for name in study.paths}
    return _against_strengths(study, ratios, "rate of ‖(W − I)e_k‖ / a_k")


def times(study: Study) -> Figure:
    """Draw times of learning over those of Saxe et al.'s modes, against a_k."""
    ratios = {name: of_times_alone(study, name) for name in study.paths}
    return _against_strengths(study, ratios, "time of learning k / alone")


def _against_strengths(study: Study, ratios: Mapping[str, np.ndarray], label: str) -> Figure:
    """Draw means of (seed, s) by variant over the seeds that have them, with their intervals."""
    points = {}
    for name, ratio in ratios.items():
        a, fewest = strengths(study.config.runs[name]), np.isfinite(ratio).sum(0).min()
        rows = [(ak, *mean_of_finite(values)) for ak, values in zip(a, ratio.T, strict=True)]
        some = f", at least {fewest} of {len(ratio)} runs" if fewest < len(ratio) else ""
        points[name + some] = np.array(rows).T[:, np.argsort(a)]
    return interval_figure({"": points}, "a_k", label, level=1)


def _shown(study: Study, name: str) -> str:
    """Return a variant's name, and how many of its runs are not drawn."""
    finite = measures.stays_finite(study.paths[name])
    return name if finite.all() else f"{name}, {(~finite).sum()} of {len(finite)} diverged"


def _of_start(losses: np.ndarray) -> np.ndarray:
    return losses / losses[:, :1]


def _curves(
    study: Study,
    curves: Mapping[str, Mapping[str, np.ndarray]],
    label: str,
    log_from: float | None = None,
    predicted: Mapping[str, Mapping[str, np.ndarray]] = MappingProxyType({}),
    predicted_by: str = "",
) -> Figure:
    shown = {name: _shown(study, name) for name in curves}
    finite = {name: measures.stays_finite(p) for name, p in study.paths.items()}
    clocks = {
        shown[name]: "time, the paper's printed clock" if isinstance(run, Symmetric) else "epoch"
        for name, run in study.config.runs.items()
    }
    return curve_figure(
        {shown[n]: {k: v[finite[n]] for k, v in kinds.items()} for n, kinds in curves.items()},
        {shown[name]: p.t for name, p in study.paths.items()},
        clocks,
        label,
        log_from=log_from,
        predicted={shown[name]: kinds for name, kinds in predicted.items()},
        predicted_by=predicted_by,
    )


class Drawing(NamedTuple):
    """Kind of figure.

    Attributes:
        draw: draws it.
        kind: of the runs that it can show.
        arranged: raises Mistake unless the runs differ as it asks.
    """

    draw: Callable[[Study], Figure]
    kind: Kind
    arranged: Callable[[SimConfig], object] = lambda _: None


FIGURES: Mapping[str, Drawing] = {
    "paths": Drawing(paths, kinds.PLANE),
    "losses": Drawing(losses, kinds.ANY),
    "residuals": Drawing(residuals, kinds.MAP),
    "entries": Drawing(entries, kinds.ENTRIES),
    "corners": Drawing(corners, kinds.ANY),
    "swing_rates": Drawing(swing_rates, kinds.SYMMETRIC),
    "rates": Drawing(rates, kinds.LINEAR),
    "times": Drawing(times, kinds.TWO_LAYERS),
    "factors": Drawing(factors, kinds.ANY, one_at_a_time),
    "phase": Drawing(phase, kinds.ANY, grid_of),
}


def check_figures(config: SimConfig) -> None:
    """Raise Mistake for a figure that is unknown or cannot show the runs of `config`."""
    for name in config.figures:
        if name not in FIGURES:
            raise Mistake(f"figures: got {name!r}, allowed {', '.join(FIGURES)}")
        try:
            FIGURES[name].arranged(config)
            check_kind(FIGURES[name].kind, config, config.runs)
        except Mistake as mistake:
            raise Mistake(f"figures: {name} asks for {mistake}") from None
