"""The passes of a micro-batch as one CUDA graph, trusted only after a look at its gradients.

A step of a small network is more than a thousand kernels, each of a few microseconds: a GPU waits
for the program that launches them. A graph is those kernels, captured once and launched together.

What is captured: drawing the micro-batch, both passes through the network, and adding the gradient
to its buffer, at addresses and with shapes that never change. What differs from step to step, the
kernels read from memory: the number of the step, the place of the micro-batch, the orders of the
images. What stays outside is a handful of operations on whole buffers: the exchange between
processes, clipping, AdamW and averaging.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffusion.batches import Draw
from diffusion.compiled import TOLERANCE
from diffusion.train_config import TrainConfig
from ground.endings import first_line
from ground.streams import Step

WARM_UP = 3  # calls before a capture, in which libraries choose their kernels and take memory
USED = "used"

Orders = Int[Tensor, "epochs images"]
Made = tuple[Draw, Tensor]  # few numbers of what was drawn, and the losses of its images
Passes = Callable[[Orders, Step, Step], Made]  # (orders, step, first image of the batch) ↦ …
T = TypeVar("T")
Capture = Callable[[Callable[[], Any]], tuple[Any, Callable[[], None]]]


class Moment(NamedTuple):
    """Arguments of passes: orders of the images, step, first image of the batch."""

    orders: Tensor
    step: int
    start: int


def capture(function: Callable[[], T]) -> tuple[T, Callable[[], None]]:
    """What `function` makes on the GPU, and what makes it again, in the same memory.

    Raises RuntimeError where it does what a graph cannot hold.
    """
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    # other threads may go on: those of NCCL and of trackers
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        made = function()
    return made, graph.replay


class GraphedPasses:
    """Passes that are captured once, for any step and any micro-batch. Called as they are."""

    def __init__(self, passes: Passes, moment: Moment, capture: Capture = capture):
        self.known, self.orders = moment.orders, moment.orders.clone()
        self.step, self.start = (
            torch.full((), value, device=self.orders.device) for value in moment[1:]
        )
        captured = capture(lambda: passes(self.orders, self.step, self.start))
        self.made: Made = captured[0]
        self.replay = captured[1]

    def __call__(self, orders: Orders, step: Step, start: Step) -> Made:
        if orders is not self.known:  # another epoch
            self.known = orders
            self.orders.copy_(orders)
        self.step.fill_(step)
        self.start.fill_(start)
        self.replay()
        draw, losses = self.made
        return draw.few(), losses.clone()


def why_not(config: TrainConfig, device: torch.device) -> str | None:
    """Why the passes of a training are not to be captured; None: they may be."""
    if config.cuda_graph == "off":
        return "off"
    if device.type != "cuda":
        return f"not used: the device is {device.type}, not cuda"
    return "not used: train.compile has graphs of its own" if config.compile else None


def graph_checked(
    passes: Passes,
    gradient: Float[Tensor, " size"],
    moments: Sequence[Moment],
    precision: str,
    capture: Capture = capture,
) -> tuple[Passes, str]:
    """Passes as a graph, and USED; or as they were, and why.

    gradient: the buffer that passes add to. moments: at which both must give the same gradients,
        up to rounding; more than one, so that a number that was captured for good shows.
    """
    try:
        graphed = GraphedPasses(passes, moments[0], capture)
        gap = max(_gap(passes, graphed, gradient, moment) for moment in moments)
    except RuntimeError as error:
        return passes, f"not used: it cannot be captured ({first_line(error)})"
    finally:
        gradient.zero_()
    if not gap <= TOLERANCE[precision]:
        allowed = f"allowed {TOLERANCE[precision]:g}"
        return passes, f"not used: its gradients differ by {gap:.2g} of their norm, {allowed}"
    return graphed, USED


def _gap(first: Passes, second: Passes, gradient: Tensor, moment: Moment) -> float:
    """Distance of two gradients, in norms of the first."""
    plain, other = (_gradient(passes, gradient, moment) for passes in (first, second))
    return ((other - plain).norm() / plain.norm()).item()


def _gradient(passes: Passes, gradient: Tensor, moment: Moment) -> Tensor:
    gradient.zero_()
    passes(*moment)
    return gradient.clone()
