"""Runs of one shape as one batch of tensors: drawn, reduced, moved, looked at."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from theory.descent import Deep, OneLayer, mean_square
from theory.networks import draw_layers
from theory.reduction import Batches, join, make_batches, reduce_layers
from theory.settings import Setting
from theory.task import as_seeds, corners, draw_frames, draw_points

DRAWN_AT_ONCE = 1 << 17  # random numbers: more would not stay in a core's cache
CACHE_BYTES = 1 << 20  # of what a step touches
MEMORY_BYTES = 1 << 27  # of an epoch's batches
MOST_RUNS = 1024

T = TypeVar("T")
Run = tuple[Setting, int]  # and its seed


def runs_at_once(setting: Setting) -> int:
    """How many runs move together: a step's tensors fit a cache, an epoch's a share of memory."""
    task, network = setting.task, setting.network
    columns, hidden = task.s + network.bias, network.width + network.bias
    batch = columns if network.is_linear else setting.batch_size
    outputs = task.s + min(task.dim - task.s, hidden)
    layers = (columns + outputs + max(0, network.num_layers - 2) * hidden) * hidden
    values = batch * (network.num_layers * hidden + outputs)
    epoch = setting.steps_per_epoch * (columns + 2) * batch
    width = 4 if setting.training.precision == "float32" else 8
    fit = min(CACHE_BYTES // (width * (layers + values)), MEMORY_BYTES // (width * epoch))
    return max(1, min(fit, MOST_RUNS))


class Look(NamedTuple):
    """What is seen of runs at one moment; fields as in `Trajectories`, without time."""

    outputs: Tensor
    corner_losses: Tensor
    train_loss: Tensor
    maps: Tensor | None


class Ensemble:
    """Runs of settings of one shape, at some step."""

    def __init__(self, runs: Sequence[Run]):
        self.setting, self.step = runs[0][0], 0
        self.groups = [
            (setting, as_seeds([seed for _, seed in group]))
            for setting, group in groupby(runs, key=lambda run: run[0])
        ]
        self.dtype = getattr(torch, self.setting.training.precision)
        self.model = self._model()
        self.corners = self._of_each(lambda setting: corners(setting.task).T)
        self.scale = self._of_each(lambda setting: _scalar(setting.flow_time))
        self.epoch, self.batches = 0, self._draw_batches(0)
        self.all_points = self.batches  # in whatever order

    def _of_each(self, value: Callable[[Setting], Tensor]) -> Tensor:
        """A setting's value for each of its runs: (runs, …)."""
        values = [(value(setting), len(seeds)) for setting, seeds in self.groups]
        return torch.cat([one.expand(runs, *one.shape) for one, runs in values]).to(self.dtype)

    def _for_some(self, draw: Callable[[Setting, Tensor], T], numbers: int) -> list[T]:
        """Draw for a few runs after each other; one run takes about so many numbers."""
        size = max(1, DRAWN_AT_ONCE // numbers)
        return [draw(setting, some) for setting, seeds in self.groups for some in seeds.split(size)]

    def _model(self) -> OneLayer | Deep:
        task, network, training = self.setting.task, self.setting.network, self.setting.training
        drawn = self._for_some(_reduced_layers, max(task.dim, network.width) ** 2)
        layers = [torch.cat(parts).to(self.dtype) for parts in zip(*drawn, strict=True)]
        flow = training.method == "flow"
        if network.num_layers == 1:
            return OneLayer(layers, task.s, flow)
        return Deep(layers, task.s, flow, relu=not network.is_linear, bias=network.bias)

    def _draw_batches(self, epoch: int) -> Batches:
        """Of one epoch; their metric holds the step size."""
        drawn = self._for_some(
            lambda setting, seeds: _batches(setting, seeds, epoch),
            self.setting.task.total_points * (self.setting.task.s + 1),
        )
        batches = join(drawn, self.dtype)
        return replace(batches, metric=batches.metric * self.scale)

    def advance(self, stop: int) -> None:
        """Train until so many steps are done."""
        per_epoch = self.setting.steps_per_epoch
        while self.step < stop:
            epoch, first = divmod(self.step, per_epoch)
            last = min(per_epoch, first + stop - self.step)
            self._enter(epoch)
            self.model.advance(self.batches, first, last)
            self.step += last - first

    def _enter(self, epoch: int) -> None:
        if epoch != self.epoch and self.setting.training.order == "reshuffled":
            self.batches = self._draw_batches(epoch)
        self.epoch = epoch

    def look(self) -> Look:
        """See the runs as they are now."""
        task, network = self.setting.task, self.setting.network
        errors = self.model.errors(self._at_corners())
        train_loss = mean_square(self.model, self.all_points) / task.dim
        maps = self.model.errors(self.all_points.input(0)) if network.is_linear else None
        outputs = errors[:, : task.s, -1] + self.corners[:, :, -1]
        return Look(outputs, errors.square().sum(1) / task.dim, train_loss, maps)

    def _at_corners(self) -> Tensor:
        rows = (0, 0, 0, int(self.setting.network.bias))
        return pad(self.corners, rows, value=1.0)


def _scalar(value: float) -> Tensor:
    return torch.full((1, 1), value, dtype=torch.float64)


def _reduced_layers(setting: Setting, seeds: Tensor) -> list[Tensor]:
    layers = draw_layers(setting.network, setting.task.dim, seeds)
    return reduce_layers(layers, draw_frames(setting.task, seeds), setting.task.s)


def _batches(setting: Setting, seeds: Tensor, epoch: int) -> Batches:
    points, network = draw_points(setting.task, seeds, epoch), setting.network
    return make_batches(points, setting.batch_size, network.bias, network.is_linear)
