"""How networks are trained, and what may be trained together. Settings are checked here."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, SupportsIndex

import torch

from ground.endings import Mistake
from theory import task as sim
from theory.networks import Network
from theory.task import SimTask, check_one_of, whole_numbers

RUNGE_KUTTA_REACH = 2.785 / 2  # its largest stable step over that of descent
Method = Literal["sgd", "full_batch", "flow"]
Order = Literal["fixed", "reshuffled"]
Precision = Literal["float32", "float64"]


@dataclass(frozen=True)
class Training:
    """How networks are trained. A wrong setting is a Mistake.

    Attributes:
        lr: step size.
        method: sgd, on minibatches; full_batch; flow, the gradient flow on all points, of which a
            step is a time 2·lr/dim: exact for one layer, else a Runge–Kutta step of fourth order.
        batch_size: of sgd. The last batch of an epoch may be smaller.
        order: of the points, for sgd: fixed, shuffled once, as in the released code; reshuffled,
            anew for every epoch.
        precision: of the training; what it starts from is computed in float64.
    """

    lr: float = 0.1
    method: Method = "sgd"
    batch_size: int = 128
    order: Order = "fixed"
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf:
            raise Mistake(f"lr: got {self.lr:g}, allowed are numbers above 0")
        if self.batch_size < 1:
            raise Mistake(f"batch_size: got {self.batch_size}, allowed are 1 and more")
        check_one_of("method", self.method, Method)
        check_one_of("order", self.order, Order)
        check_one_of("precision", self.precision, Precision)


@dataclass(frozen=True)
class Setting:
    """All that a run is but its seed."""

    task: SimTask
    network: Network
    training: Training

    @property
    def batch_size(self) -> int:
        of_sgd = self.training.method == "sgd"
        return self.training.batch_size if of_sgd else self.task.total_points

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.task.total_points / self.batch_size)

    @property
    def shape(self) -> tuple:
        """What settings share that are trained together: all but numbers."""
        task, network, training = self.task, self.network, self.training
        sizes = (task.s, task.dim, task.num_points, task.origin_cluster)
        return (*sizes, replace(network, init="pytorch", init_scale=1.0), replace(training, lr=1.0))

    @property
    def flow_time(self) -> float:
        """Flow time of one step: 2 lr/dim, as mse_loss is a mean over coordinates and squares have
        slope 2.

        In this time dW/dt = −(W − I) A for one layer (arXiv:2410.08309, Theorem 4.1).
        """
        return 2 * self.training.lr / self.task.dim


def largest_stable_lr(task: SimTask, network: Network) -> float:
    """Learning rate above which no full-batch descent can settle where the network is the identity
    on all data.

    The loss curves there by 2 L λ/dim or more, however the layers share the identity among them:
    each adds a rank-one change that the others pass on, and what they pass on multiplies to 1 or
    more. λ is the largest eigenvalue of A; with biases, of M̃ if L = 1 and else of the covariance,
    as hidden layers may centre what they pass on. Exact for one layer; for ReLU networks it holds
    in each region where the network is linear, which makes it a rule of thumb.
    """
    moment = sim.second_moment(task)
    if network.bias and network.num_layers == 1:
        moment = sim.augmented_moment(task)
    elif network.bias:
        mean = sim.probe(task) / task.num_clusters
        moment = moment - mean[:, None] * mean
    return task.dim / (network.num_layers * torch.linalg.eigvalsh(moment)[-1].item())


def check_settings(settings: Sequence[Setting]) -> None:
    """Raises Mistake unless each has a stable step size and all can be trained together."""
    for setting in settings:
        got, largest = setting.training.lr, largest_stable_lr(setting.task, setting.network)
        if setting.training.method == "flow":  # exact for one layer, whatever the step
            largest *= RUNGE_KUTTA_REACH if setting.network.num_layers > 1 else math.inf
        if got >= largest:
            why = (
                f"above, training settles nowhere ({setting.network.num_layers} layers, this task)"
            )
            raise Mistake(f"lr: got {got:g}, allowed is less than {largest:g}; {why}")
    shapes = {setting.shape for setting in settings}
    if len(shapes) != 1:
        allowed = "one: of concepts, clusters, points, dimensions, layers, method and batch size"
        raise Mistake(f"settings: got {len(shapes)} shapes, allowed is {allowed}")


def as_record(record: Iterable[SupportsIndex]) -> list[int]:
    """Steps to record. Mistake unless there are some, in order, none twice, none before 0."""
    steps = whole_numbers("record", record)
    if not steps or steps[0] < 0 or sorted(set(steps)) != steps:
        raise Mistake(f"record: got {steps[:8]}, allowed are increasing steps from 0")
    return steps
