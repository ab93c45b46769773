"""Train networks on the structured identity mapping task: thousands of runs at once.

    train(SimTask(), Network(), Training(), seeds=range(256), record=(0, 40, 400)) -> Trajectories

The loss is torch's `mse_loss`, a mean over batch *and* coordinates. A run gives what a plain loop
of `nn.Linear`, `mse_loss` and `torch.optim.SGD` gives, up to rounding, and depends on its setting
and seed alone, whatever is trained beside it; it is computed in few dimensions (reduction.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import torch
from jaxtyping import Float, Int
from torch import Tensor

from theory.ensemble import Ensemble, Look, Run, runs_at_once
from theory.networks import Network
from theory.settings import Setting, Training, as_record, check_settings
from theory.task import SimTask, as_seeds


@dataclass(frozen=True)
class Trajectories:
    """What the runs of one setting did, a row for each seed; inf and nan where a run diverged.

    Attributes:
        steps: when it was recorded, int64.
        flow_times: the same in flow time, 2·lr/dim a step (see `Setting.flow_time`), float64.
        outputs: at the probe, in concept coordinates; learned where they are mu.
        corner_losses: mse_loss at each corner point x̂(v), v counted in binary, the probe last.
        train_loss: mse_loss on all training points.
        maps: of linear networks, else None: the error map E = [W R − R, b] (W R − R without
            biases). Its first s rows are along the concepts, the others along axes orthogonal to
            them, chosen anew for each seed; the norm of E v is that in R^dim for every v.
    """

    steps: Int[Tensor, " time"]
    flow_times: Float[Tensor, " time"]
    outputs: Float[Tensor, "seed time s"]
    corner_losses: Float[Tensor, "seed time corner"]
    train_loss: Float[Tensor, "seed time"]
    maps: Float[Tensor, "seed time row column"] | None


def train(
    task: SimTask,
    network: Network,
    training: Training,
    seeds: Iterable[SupportsIndex],
    record: Iterable[SupportsIndex],
) -> Trajectories:
    """Train one network for each seed up to the last of the steps to record.

    Raises Mistake for a step size beyond stability, bad seeds, and steps that do not increase.
    """
    return train_settings([Setting(task, network, training)], seeds, record)[0]


def train_settings(
    settings: Sequence[Setting], seeds: Iterable[SupportsIndex], record: Iterable[SupportsIndex]
) -> list[Trajectories]:
    """Train every seed of settings that differ in nothing but numbers as one batch of runs.

    They may differ in mu, sigma, sigma_is, rotation, exclusion_radius, init, init_scale and lr.
    """
    steps, each = as_record(record), as_seeds(seeds).tolist()
    check_settings(settings)
    runs = [(setting, seed) for setting in settings for seed in each]
    size = runs_at_once(settings[0])
    parts = [_train_runs(runs[at : at + size], steps) for at in range(0, len(runs), size)]
    whole = _joined(parts, torch.cat)
    return [
        _trajectories(setting, steps, whole, slice(at, at + len(each)))
        for setting, at in zip(settings, range(0, len(runs), len(each)), strict=True)
    ]


def _train_runs(runs: Sequence[Run], record: Sequence[int]) -> Look:
    ensemble = Ensemble(runs)
    looks = []
    for stop in record:
        ensemble.advance(stop)
        looks.append(ensemble.look())
    return _joined(looks, lambda parts: torch.stack(parts, dim=1))


def _joined(looks: Sequence[Look], join: Callable[[tuple[Tensor, ...]], Tensor]) -> Look:
    columns = zip(*looks, strict=True)
    return Look._make(None if parts[0] is None else join(parts) for parts in columns)


def _trajectories(setting: Setting, record: Sequence[int], whole: Look, of: slice) -> Trajectories:
    steps = torch.tensor(list(record))
    part = Look._make(None if field is None else field[of] for field in whole)
    return Trajectories(steps, steps.double() * setting.flow_time, *part)
