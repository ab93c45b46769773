"""How studies are drawn: a name per kind of figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.intervals import clopper_pearson
from analysis.sim_figures import curve_figure, interval_figure, path_figure, phase_figure
from studies.sim import measures
from studies.sim.config import Symmetric
from studies.sim.runs import corners as every_corner

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studies.sim.findings import Study


def paths(study: Study) -> Figure:
    outputs = {name: p.outputs for name, p in study.paths.items()}
    return path_figure(outputs, {n: measures.signals(study.config.runs[n]) for n in outputs})


def losses(study: Study) -> Figure:
    """Test and training loss over their start."""
    curves = {
        name: {"at the probe": _of_start(p.loss), "training": _of_start(p.train_loss)}
        for name, p in study.paths.items()
    }
    return _curves(study, curves, "loss / loss at start", log_from=1e-3)


def residuals(study: Study) -> Figure:
    """What is left to learn of each concept."""
    curves = {
        name: {f"concept {k}": e / e[:, :1] for k, e in enumerate(np.moveaxis(p.errors, 2, 0), 1)}
        for name, p in study.paths.items()
    }
    return _curves(study, curves, "‖(W − I)e_k‖ / start", log_from=1e-3)


def entries(study: Study) -> Figure:
    """Entries of W, and the loss at the probe over its start."""
    curves = {
        name: {
            "w_11": p.W[..., 0, 0],
            "w_22": p.W[..., 1, 1],
            "w_12": p.W[..., 0, 1],
            "loss / start": _of_start(p.loss),
        }
        for name, p in study.paths.items()
    }
    return _curves(study, curves, "entry of W, loss")


def corners(study: Study) -> Figure:
    """Loss at the corners, by how many concepts they combine."""
    curves = {}
    for name, p in study.paths.items():
        s = p.outputs.shape[2]
        combined = every_corner(s).sum(1)
        curves[name] = {
            f"{n} concept{'s' * (n > 1)}": p.corner_losses[..., combined == n].mean(-1)
            for n in range(1, s + 1)
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
    points = {kind: tuple(np.array(row).T) for kind, row in rows.items()}
    return interval_figure(points, "width of U", "share of runs whose c_1 swings", log_x=True)


def phase(study: Study) -> Figure:
    """Mean height of the loss's rise over the two axes of a grid."""
    names = [tuple(name.split(", ")) for name in study.paths]
    rows, columns = ([*dict.fromkeys(axis)] for axis in zip(*names, strict=True))
    heights = np.array([measures.heights(p).mean() for p in study.paths.values()])
    return phase_figure(
        heights.reshape(len(rows), len(columns)),
        rows,
        columns,
        "",
        "",
        "mean relative rise of the loss",
    )


def _of_start(losses: np.ndarray) -> np.ndarray:
    return losses / losses[:, :1]


def _curves(
    study: Study,
    curves: Mapping[str, Mapping[str, np.ndarray]],
    label: str,
    log_from: float | None = None,
) -> Figure:
    flows = any(isinstance(run, Symmetric) for run in study.config.runs.values())
    t = {name: p.t for name, p in study.paths.items()}
    return curve_figure(curves, t, "time" if flows else "epoch", label, log_from=log_from)


FIGURES: Mapping[str, Callable[[Study], Figure]] = {
    "paths": paths,
    "losses": losses,
    "residuals": residuals,
    "entries": entries,
    "corners": corners,
    "swing_rates": swing_rates,
    "phase": phase,
}
