"""Runs of a study: computed once, kept as arrays (seed × time)."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ground.endings import Mistake
from ground.files import digest_file, hash_file, hash_json, whole_file, write_text
from studies.claims.sim.config import Run, Seeds, SimConfig, Symmetric, Trained, named
from studies.claims.sim.exact import moment
from studies.claims.sim.rules import Rules
from theory.closed_form import mode_rates
from theory.integrator import check_steps, integrate
from theory.settings import Setting, check_settings
from theory.symmetric import SymmetricFlow, gaussian_factors, loss_at, uniform_factors
from theory.training import train

RUNS_VERSION = 2  # raise it when the numbers of runs change
SEEDS_AT_ONCE = 64  # one bite of work: between two the bar moves


@dataclass(frozen=True)
class Paths:
    """Paths of the runs of one variant; float64, a row per seed.

    Attributes:
        t: (time,), epochs of training; of flows, time of the printed clock.
        outputs: (seed, time, s) at the probe, in concept coordinates.
        corner_losses: (seed, time, 2^s), the loss at every corner, in binary order, the probe last.
        train_loss: (seed, time).
        errors: (seed, time, s), ‖(W − I)e_k‖ of linear networks; nan of others.
        modes: (seed, time, m), ‖E v_i‖ of linear networks, E = [W − I, b] and v_i the eigenvectors
            of the (augmented) second moment in order of their eigenvalues; nan of others.
        W: (seed, time, s, s), in concept coordinates, of symmetric networks; else empty.
        step_error: (seed,), of W at the recorded times, estimated; 0 of what is not integrated.
    """

    t: np.ndarray
    outputs: np.ndarray
    corner_losses: np.ndarray
    train_loss: np.ndarray
    errors: np.ndarray
    modes: np.ndarray
    W: np.ndarray
    step_error: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        """Loss at the probe, (seed, time)."""
        return self.corner_losses[..., -1]


@dataclass(frozen=True)
class Study:
    """Study that was run: its config, the paths of every variant by name, and the rules."""

    config: SimConfig
    paths: Mapping[str, Paths]
    rules: Rules

    def of(self, measure: Callable[[Run, Paths, Rules], np.ndarray], name: str) -> np.ndarray:
        """Return a measure over seeds of the variant `name`."""
        return measure(self.config.runs[name], self.paths[name], self.rules)


def run_study(config: SimConfig, folder: Path) -> dict[str, Paths]:
    """Return the paths of every variant; those that are in the folder already are read."""
    total = config.seeds.count * len(config.runs)
    with tqdm(total=total, desc=config.name, unit="run", disable=None) as bar:
        found = {}
        for name, run in config.runs.items():
            with named(name):
                found[name] = _kept(run, config.seeds, folder, bar)
    return found


def _kept(run: Run, seeds: Seeds, folder: Path, bar: tqdm) -> Paths:
    """Return paths in bites of seeds, each in a file of its own: a stop loses one at most."""
    parts = []
    for bite in _bites(seeds.all):
        file = folder / f"{_identity(run, bite)}.npz"
        if not (file.is_file() and digest_file(file).is_file()):
            _write(file, _run(run, bite))
        parts.append(_read(file))
        bar.update(len(bite))
    t = parts[0].t
    names = [field.name for field in dataclasses.fields(Paths) if field.name != "t"]
    return Paths(t, **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def _bites(seeds: range) -> Iterator[range]:
    """Yield seeds cut at multiples: other numbers of seeds find the same files."""
    start = seeds.start
    while start < seeds.stop:
        stop = min(seeds.stop, (start // SEEDS_AT_ONCE + 1) * SEEDS_AT_ONCE)
        yield range(start, stop)
        start = stop


def _identity(run: Run, seeds: range) -> str:
    facts = {"version": RUNS_VERSION, "kind": run.kind, "run": dataclasses.asdict(run)}
    return f"{hash_json(facts)[:16]}-{seeds.start}-{seeds.stop}"


def _write(file: Path, paths: Paths) -> None:
    with whole_file(file) as temporary:
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **dataclasses.asdict(paths))
        write_text(digest_file(file), hash_file(temporary) + "\n")


def _read(file: Path) -> Paths:
    if digest_file(file).read_bytes().strip() != hash_file(file).encode():
        raise Mistake(f"{file}: is not as it was written; remove it, it is made again")
    with np.load(file) as arrays:
        return Paths(**{name: arrays[name] for name in arrays})


def check_run(run: Run, seeds: range) -> None:
    """Raise Mistake for steps beyond stability, before the work."""
    if isinstance(run, Trained):
        check_settings([Setting(run.task, run.network, run.training)])
    else:
        check_steps(*_start(run, seeds), run.step, run.num_steps, run.every, run.method)


def _run(run: Run, seeds: range) -> Paths:
    return _train(run, seeds) if isinstance(run, Trained) else _flow(run, seeds)


def _train(run: Trained, seeds: range) -> Paths:
    setting = Setting(run.task, run.network, run.training)
    last = run.epochs * setting.steps_per_epoch
    record = sorted({round(last * i / run.records) for i in range(run.records + 1)})
    seen = train(run.task, run.network, run.training, seeds, record)
    s = run.task.s
    errors = modes = torch.full_like(seen.outputs, math.nan)
    if seen.maps is not None:
        errors = seen.maps[..., :s].norm(dim=-2)
        modes = (seen.maps.double() @ mode_rates(moment(run))[1]).norm(dim=-2)
    return Paths(
        t=seen.steps.double().numpy() / setting.steps_per_epoch,
        outputs=_double(seen.outputs),
        corner_losses=_double(seen.corner_losses),
        train_loss=_double(seen.train_loss),
        errors=_double(errors),
        modes=_double(modes),
        W=np.empty((len(seeds), 0)),
        step_error=np.zeros(len(seeds)),
    )


def _flow(run: Symmetric, seeds: range) -> Paths:
    x = torch.tensor(run.mu, dtype=torch.float64)
    flow, U_0 = _start(run, seeds)
    path = integrate(
        flow, U_0, step=run.step, num_steps=run.num_steps, every=run.every, method=run.method
    )
    at_corners = [loss_at(path.W, torch.from_numpy(v) * x) for v in corners(len(x))]
    error = path.W - torch.eye(len(x), dtype=torch.float64)
    return Paths(
        t=_double(path.t),
        outputs=_double(path.W @ x),
        corner_losses=_double(torch.stack(at_corners, dim=-1)),
        train_loss=_double(flow.training_loss(path.W)),
        errors=_double(error.norm(dim=-2)),
        modes=_double((error @ mode_rates(flow.A)[1]).norm(dim=-2)),
        W=_double(path.W),
        step_error=_double(path.error),
    )


def _start(run: Symmetric, seeds: range) -> tuple[SymmetricFlow, torch.Tensor]:
    """Return the flow, and U(0) of every seed."""
    flow = SymmetricFlow(torch.diag(torch.tensor(run.moment, dtype=torch.float64)), run.power)
    draw = uniform_factors if run.init == "uniform" else gaussian_factors
    scale = 1 / run.init_scale if run.init == "uniform" else run.init_scale
    return flow, draw(torch.tensor(list(seeds)), len(run.mu), run.width, scale)


def corners(s: int) -> np.ndarray:
    """Return {0, 1}^s, int64 (2^s, s), in binary order, as `Paths.corner_losses` has them."""
    return np.array(list(product((0, 1), repeat=s)))


def _double(values: torch.Tensor) -> np.ndarray:
    return values.double().numpy()
