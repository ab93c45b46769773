"""The gradient of the whole batch: one flat buffer, whose layout never changes.

Autograd adds into views of the buffer, in the order of the parameters. One sum over the processes
then has the same order of additions at every step, whereas buckets that follow the first backward
pass would make a continued run differ from the straight one in its last bits.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from diffusion.processes import Processes

ALIGNMENT = 16  # numbers, 64 bytes of float32: every view starts where vector instructions like it


class GradientBuffer:
    """Gradients of `parameters` (float32, one device) and the loss, over all processes.

    in_order: collect the micro-batches of all processes one by one and add them in the order of
        the batch. The sum then has the same bits on any number of processes (with equal threads in
        each), for a gather of every micro-batch's gradient in place of one sum.
    """

    def __init__(self, parameters: Iterable[Tensor], processes: Processes, in_order: bool):
        self.parameters, self.processes = list(parameters), processes
        sizes = [-(-p.numel() // ALIGNMENT) * ALIGNMENT for p in self.parameters]
        self.flat = torch.zeros(sum(sizes) + 1, device=processes.device)
        for parameter, part in zip(self.parameters, self.flat[:-1].split(sizes), strict=True):
            parameter.grad = part[: parameter.numel()].view_as(parameter)
        self.total = torch.zeros_like(self.flat) if in_order else None

    def zero(self) -> None:
        self.flat.zero_()

    def add(self, loss: Float[Tensor, ""]) -> None:
        """Differentiate one micro-batch's share of the mean loss, and add it."""
        loss.backward()
        self.flat[-1] += loss.detach()
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
