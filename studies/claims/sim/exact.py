"""Theory of the very runs of a study: of the same seeds, initial weights and points."""

from collections.abc import Iterator
from typing import Literal, TypeGuard

import numpy as np
import torch
from torch import Tensor

from studies.claims.sim.config import Run, Symmetric, Trained
from theory.clocks import convert
from theory.closed_form import descent_lag_bound, mode_rates, one_layer
from theory.deep_linear import balanced_mode, mode_start, mode_time
from theory.growth import initial_growth
from theory.networks import draw_layers
from theory.reduction import reduce_layers
from theory.settings import Setting
from theory.task import (
    augmented_moment,
    draw_frames,
    empirical_moment,
    probe,
    second_moment,
)
from theory.training import train

Moment = Literal["population", "empirical"]
AT_ONCE = 64  # seeds whose points are drawn together


def moment(run: Trained) -> Tensor:
    """Return what clocks one layer, float64: A, or with biases the augmented M̃.

    It is that of the population.
    """
    return augmented_moment(run.task) if run.network.bias else second_moment(run.task)


def strengths(run: Run) -> np.ndarray:
    """Return a_p of the A in use, (s,)."""
    if isinstance(run, Symmetric):
        return np.array(run.moment) ** run.power
    return second_moment(run.task).diagonal().numpy()


def flow_times(run: Run, t: np.ndarray) -> np.ndarray:
    """Convert recorded times (epochs, or the printed clock) to flow time."""
    if isinstance(run, Symmetric):
        return convert(t, "printed", "flow")
    steps = t * Setting(run.task, run.network, run.training).steps_per_epoch
    return convert(steps, "steps", "flow", learning_rate=run.training.lr, d=run.task.dim)


def is_one_layer(run: Run) -> TypeGuard[Trained]:
    """Tell whether Theorem 4.1 speaks of a run."""
    return isinstance(run, Trained) and run.network.num_layers == 1


def one_layer_paths(run: Trained, seeds: range, t: np.ndarray, of: Moment) -> np.ndarray:
    """Return Theorem 4.1's outputs at the probe, (seed, time, s).

    They start from every seed's initial weights, and have the second moment of the population or
    of the points that the seed trains on.
    """
    parts = [
        _one_layer(run, seeds[at : at + AT_ONCE], t, of) for at in range(0, len(seeds), AT_ONCE)
    ]
    return np.concatenate(parts)


def _one_layer(run: Trained, seeds: range, t: np.ndarray, of: Moment) -> np.ndarray:
    maps = train(run.task, run.network, run.training, seeds, record=(0,)).maps
    assert maps is not None
    columns, s = maps.shape[-1], run.task.s
    M = moment(run)
    if of == "empirical":
        M = empirical_moment(run.task, torch.tensor(seeds))[:, :columns, :columns]
    W_0 = maps[:, 0, :s].double() + torch.eye(s, columns, dtype=torch.float64)
    x = torch.cat((probe(run.task), torch.ones(columns - s, dtype=torch.float64)))
    return (one_layer(W_0, M, torch.from_numpy(flow_times(run, t))) @ x).numpy()


def is_two_layers(run: Run) -> TypeGuard[Trained]:
    """Tell whether a run has Saxe et al.'s modes: two layers, linear, without biases."""
    if not isinstance(run, Trained) or run.network.bias:
        return False
    return run.network.is_linear and run.network.num_layers == 2


def times_alone(run: Trained, seeds: range, level: float) -> np.ndarray:
    """Return when each concept's output would reach `level` of its target, were it alone.

    Times are flow times, (seed, s), from every seed's initial weights (`mode_time`); nan where it
    starts beyond.
    """
    which = torch.tensor(seeds)
    layers = draw_layers(run.network, run.task.dim, which)
    first, last = reduce_layers(layers, draw_frames(run.task, which), run.task.s)
    u_0, imbalance = mode_start(first.mT, last[:, : run.task.s])
    a = torch.from_numpy(strengths(run)).expand_as(u_0)
    before = u_0 < level
    times = mode_time(torch.full_like(u_0, level), u_0.where(before, 0.0), a, a, imbalance)
    return times.where(before, torch.nan).numpy()


def lead(run: Trained, t: np.ndarray) -> float:
    """Return how far descent runs ahead of the flow at most, over modes and epochs t.

    It is a share of a mode's start (`descent_lag_bound`); nan where a step is too long for that
    bound.
    """
    setting = Setting(run.task, run.network, run.training)
    x = mode_rates(moment(run))[0] * setting.flow_time
    if (x >= 1).any():
        return float("nan")
    steps = torch.from_numpy(np.rint(t * setting.steps_per_epoch).astype(np.int64))
    return descent_lag_bound(*torch.broadcast_tensors(x[x > 0, None], steps)).max().item()


def entries_alone(
    run: Symmetric, W_0: np.ndarray, t: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield both diagonals as if they were alone, and the first stage of w_12.

    Each is an entry's name and its values, (seed, time).
    """
    W, a, times = torch.from_numpy(W_0), torch.from_numpy(strengths(run)), torch.from_numpy(t)
    for k, entry in enumerate(("w_11", "w_22")):
        w, rate = W[:, k, k], a[k].expand(len(W))
        yield entry, balanced_mode(w, rate, rate, times).numpy()
    yield "w_12", initial_growth(W, a, times)[..., 0, 1].numpy()
