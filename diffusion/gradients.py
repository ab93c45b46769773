"""Weights and the gradient of the whole batch: flat buffers, whose layout never changes.

Autograd adds into views of the buffer, in the order of the parameters. One sum over the processes
then has the same order of additions at every step, whereas buckets that follow the first backward
pass would make a continued run differ from the straight one in its last bits. And what is done to
all weights alike is one operation on a buffer, not one a parameter.
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from diffusion.processes import Processes

ALIGNMENT = 16  # numbers, 64 bytes of float32: every view starts where vector instructions like it
CHUNK = 2**16  # numbers whose squares are summed in one row: more would cost digits of float32


@torch.no_grad()
def flatten(parameters: Sequence[Tensor]) -> Float[Tensor, " size"]:
    """Move parameters (float32, one device) into one buffer; they become views of it."""
    views = _Views(parameters)
    flat = torch.zeros(views.size, device=parameters[0].device)
    for parameter, view in zip(parameters, views.of(flat), strict=True):
        parameter.data = view.copy_(parameter)
    return flat


class _Views:
    """Where each of the parameters, or its gradient, is in a flat buffer."""

    def __init__(self, parameters: Sequence[Tensor]):
        self.parameters = parameters
        self.sizes = [-(-p.numel() // ALIGNMENT) * ALIGNMENT for p in parameters]
        self.size = sum(self.sizes)

    def of(self, flat: Float[Tensor, " size"]) -> list[Tensor]:
        parts = zip(flat.split(self.sizes), self.parameters, strict=True)
        return [_view(part[: parameter.numel()], parameter) for part, parameter in parts]


def _view(part: Float[Tensor, " size"], like: Tensor) -> Tensor:
    """Numbers as a tensor of the same shape and order in memory."""
    if like.ndim != 4 or like.is_contiguous():
        return part.view_as(like)
    n, c, h, w = like.shape  # channels-last
    return part.view(n, h, w, c).permute(0, 3, 1, 2)


class GradientBuffer:
    """Gradients of `parameters` (float32, one device) and the loss, over all processes.

    in_order: collect the micro-batches of all processes one by one and add them in the order of
        the batch. The sum then has the same bits on any number of processes (with equal threads in
        each), for a gather of every micro-batch's gradient in place of one sum.
    """

    def __init__(self, parameters: Iterable[Tensor], processes: Processes, in_order: bool):
        self.parameters, self.processes = list(parameters), processes
        views = _Views(self.parameters)
        self.flat = torch.zeros(views.size + 1, device=processes.device)
        for parameter, view in zip(self.parameters, views.of(self.flat[:-1]), strict=True):
            parameter.grad = view
        self.total = torch.zeros_like(self.flat) if in_order else None

    def zero(self) -> None:
        self.flat.zero_()

    def add(self, loss: Float[Tensor, ""]) -> None:
        """Differentiate one micro-batch's share of the mean loss, and add it."""
        loss.backward()
        self.flat[-1] += loss.detach()

    def collect(self) -> None:
        """Exchange a micro-batch, if they are added in order: to be called after each `add`."""
        if self.total is not None:
            for part in self.processes.gather_tensors(self.flat):
                self.total += part
            self.flat.zero_()

    def reduce(self) -> Float[Tensor, ""]:
        """Leave the gradient of the whole batch in every `.grad`; returns the mean loss."""
        if self.total is None:
            self.processes.sum_in_place(self.flat)
        else:
            self.flat.copy_(self.total)
            self.total.zero_()
        return self.flat[-1].clone()

    def clip(self, max_norm: float) -> Float[Tensor, ""]:
        """Scale the gradient down to `max_norm` if it is longer; returns the norm that it had."""
        gradient = self.flat[:-1]
        norm = torch.stack(torch._foreach_norm(gradient.split(CHUNK))).norm()
        gradient *= (max_norm / (norm + 1e-6)).clamp(max=1.0)
        return norm
