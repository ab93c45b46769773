"""Runs on their way: gradient descent, or gradient flow, of reduced networks (see reduction.py).

The batches given here have a metric that holds the step size: times 2 lr/dim.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from theory.networks import Stack
from theory.reduction import Batches


class OneLayer:
    """One linear layer: its error map [W R − R, b], multiplied by the product of many steps."""

    def __init__(self, layers: Sequence[Tensor], s: int, flow: bool):
        self.s, self.flow = s, flow
        self.map = layers[0].clone()
        self.map[:, :s, :s] -= torch.eye(s, dtype=self.map.dtype)
        self._of: Batches | None = None
        self._products: dict[tuple[int, int], Tensor] = {}

    def advance(self, batches: Batches, first: int, last: int) -> None:
        """Take steps `first` to `last` − 1 of an epoch."""
        if batches is not self._of:
            self._of, self._products = batches, {}
        if (first, last) not in self._products:
            self._products[first, last] = reduce(torch.bmm, self._steps(batches.metric[first:last]))
        self.map = torch.bmm(self.map, self._products[first, last])

    def _steps(self, metric: Tensor) -> Tensor:
        if self.flow:
            return torch.matrix_exp(-metric)
        return torch.eye(metric.shape[-1], dtype=metric.dtype) - metric

    def errors(self, inputs: Tensor) -> Tensor:
        """Output minus target at points side by side: (runs, reduced outputs, points)."""
        return torch.bmm(self.map, inputs)

    def weigh(self, errors: Tensor, metric: Tensor) -> Tensor:
        return torch.bmm(errors, metric)


class Deep:
    """Networks of several layers, linear or ReLU, moved step by step."""

    def __init__(self, layers: Sequence[Tensor], s: int, flow: bool, relu: bool, bias: bool):
        self.stack, self.s = Stack(layers, relu, bias), s
        self._step = self._flow if flow else self._descend
        self.weigh = self.stack.weigh

    def advance(self, batches: Batches, first: int, last: int) -> None:
        """Take steps `first` to `last` − 1 of an epoch."""
        for step in range(first, last):
            self._step(batches.input(step), batches.metric[step])

    def _descend(self, inputs: Tensor, metric: Tensor) -> None:
        self.stack.descend(inputs, metric, self.s, onto=self.stack.layers)

    def _flow(self, inputs: Tensor, metric: Tensor) -> None:
        """One step of the classical Runge–Kutta method."""
        layers = self.stack.layers
        start, total = ([layer.clone() for layer in layers] for _ in range(2))
        for weight, reach in ((1 / 6, 1 / 2), (1 / 3, 1 / 2), (1 / 3, 1), (1 / 6, 0)):
            slopes = [torch.zeros_like(layer) for layer in start]
            self.stack.descend(inputs, metric, self.s, onto=slopes)
            for layer, old, end, slope in zip(layers, start, total, slopes, strict=True):
                end.add_(slope, alpha=weight)
                layer.copy_(old).add_(slope, alpha=reach)
        for layer, end in zip(layers, total, strict=True):
            layer.copy_(end)

    def errors(self, inputs: Tensor) -> Tensor:
        """Output minus target at points side by side: (runs, reduced outputs, points)."""
        return self.stack.errors(inputs, self.s)


def mean_square(model: OneLayer | Deep, batches: Batches) -> Tensor:
    """Σ over outputs of the squared error, mean over all training points: (runs,)."""
    total = torch.zeros(())
    for step, metric in enumerate(batches.whole):
        errors = model.errors(batches.input(step))
        total = total + (model.weigh(errors, metric) * errors).sum((1, 2))
    return total
