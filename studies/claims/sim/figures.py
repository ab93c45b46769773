"""How studies are drawn: a name per kind of figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from analysis.figures.sim import curve_figure, interval_figure, path_figure, phase_figure
from analysis.measures.intervals import FEWEST_SEEDS, clopper_pearson
from studies.claims.sim import measures
from studies.claims.sim.config import Symmetric
from studies.claims.sim.exact import (
    entries_alone,
    flow_times,
    is_one_layer,
    one_layer_paths,
    strengths,
)
from studies.claims.sim.findings import mean_of_finite
from studies.claims.sim.runs import corners as every_corner
from studies.claims.sim.summary import of_times_alone

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.claims.sim.findings import Study


def paths(study: Study) -> Figure:
    """Beside those of one layer, what Theorem 4.1 says of the same seeds."""
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
    """Test and training loss over their start."""
    curves = {
        name: {"at the probe": _of_start(p.loss), "training": _of_start(p.train_loss)}
        for name, p in study.paths.items()
    }
    return _curves(study, curves, "loss / loss at start", log_from=1e-3)


def residuals(study: Study) -> Figure:
    """What is left to learn of each concept; dashed, of one layer, at the rate a_k."""
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
    """Entries of W, and the loss at the probe over its start; dashed, what W(0) predicts: of the
    diagonals if each were alone, of w_12 in its first stage."""
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
    """Loss at the corners, by how many concepts they combine; without concepts of no signal."""
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
    """Share of runs whose first coordinate swings, against the width of U."""
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
    """Rates of ‖(W − I)e_k‖ in flow time over a_k, against a_k."""
    ratios = {name: study.of(measures.rate_ratios, name) for name in study.paths}
    return _against_strengths(study, ratios, "rate of ‖(W − I)e_k‖ / a_k")


def times(study: Study) -> Figure:
    """Times of learning over those of Saxe et al.'s modes, against a_k."""
    ratios = {name: of_times_alone(study, name) for name in study.paths}
    return _against_strengths(study, ratios, "time of learning k / alone")


def _against_strengths(study: Study, ratios: Mapping[str, np.ndarray], label: str) -> Figure:
    """Means of (seed, s) by variant over the seeds that have them, with their intervals."""
    points = {}
    for name, ratio in ratios.items():
        a, fewest = strengths(study.config.runs[name]), np.isfinite(ratio).sum(0).min()
        rows = [(ak, *mean_of_finite(values)) for ak, values in zip(a, ratio.T, strict=True)]
        some = f", at least {fewest} of {len(ratio)} runs" if fewest < len(ratio) else ""
        points[name + some] = np.array(rows).T[:, np.argsort(a)]
    return interval_figure({"": points}, "a_k", label, level=1)


def factors(study: Study) -> Figure:
    """How often runs swing by, over what is varied: a panel for the last word but one of names."""
    shares: dict[str, dict[str, list]] = {"loss rises": {}, "c_1 swings": {}}  # by factor
    for name in study.paths:
        seen = (_rising(study, name), study.of(measures.swings, name))
        factor, _, value = name.rpartition(" ")
        for rows, yes in zip(shares.values(), seen, strict=True):
            ends = clopper_pearson(int(yes.sum()), len(yes))
            rows.setdefault(factor, []).append((float(value), yes.mean(), *ends))
    factors = shares["loss rises"]
    points = {f: {k: np.array(rows[f]).T for k, rows in shares.items()} for f in factors}
    return interval_figure(points, "", "share of runs")


def phase(study: Study) -> Figure:
    """How often the loss rises, how high, how far c_1 turns back, and whether runs have ended, over
    the two axes of a grid."""
    axes = zip(*(name.split(", ") for name in study.paths), strict=True)
    rows, columns = ([*dict.fromkeys(axis)] for axis in axes)
    measured: dict[str, Callable[[str], float]] = {
        "share whose loss rises": lambda name: _rising(study, name).mean(),
        "median rise of those / start": lambda name: _median_rise(study, name),
        "mean fall of c_1 from its peak": (
            lambda name: mean_of_finite(study.of(measures.swing_heights, name))[0]
        ),
        f"share ended (below {study.rules.left:g})": (
            lambda name: measures.ended(study.paths[name], study.rules).mean()
        ),
    }
    cells = {
        what: np.array([[value(f"{row}, {column}") for column in columns] for row in rows])
        for what, value in measured.items()
    }
    return phase_figure(cells, rows, columns, blank=f"< {FEWEST_SEEDS} rise")


def _rising(study: Study, name: str) -> np.ndarray:
    return measures.rising(study.paths[name], study.rules)


def _median_rise(study: Study, name: str) -> float:
    heights = measures.heights(study.paths[name])[_rising(study, name)]
    return float(np.median(heights)) if len(heights) >= FEWEST_SEEDS else np.nan


def _shown(study: Study, name: str) -> str:
    """A variant's name, and how many of its runs are not drawn."""
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


FIGURES: Mapping[str, Callable[[Study], Figure]] = {
    "paths": paths,
    "losses": losses,
    "residuals": residuals,
    "entries": entries,
    "corners": corners,
    "swing_rates": swing_rates,
    "rates": rates,
    "times": times,
    "factors": factors,
    "phase": phase,
}
