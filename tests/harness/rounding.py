"""How far apart two computations of the same thing may be: what the arithmetic says, no machine.

Kernels add in whatever order suits the processor. A sum of n terms in floating point of unit
roundoff u is off by at most (exp(λ √n u + n u² / (1 − u)) − 1) Σ|terms| with a probability of
1 − 2 exp(−λ² (1 − u)² / 2) or more, in any order (Higham and Mary 2019, theorem 2.4; the bound that
nothing can break has n in place of λ √n). What is summed may cancel: the bound is of the terms.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAMBDA = 6.0  # once in 30 million sums


def gamma(terms: int, dtype: torch.dtype) -> float:
    """The largest error of a sum of so many terms, over the sum of their absolute values."""
    unit = torch.finfo(dtype).eps / 2
    return math.expm1(LAMBDA * math.sqrt(terms) * unit + terms * unit**2 / (1 - unit))


def assert_same_sums(
    found: Tensor, expected: Tensor, terms: int, magnitude: Tensor | float | None = None
) -> None:
    """Both are computed in the coarser type of the two, each with its own rounding.

    terms: how many are summed for one number, on the way from the inputs to it.
    magnitude: the sums of their absolute values; None: of numbers that are sums of one sign, or of
    random ones (whose errors cancel as they do): the largest of what is expected.
    """
    dtype = max(found.dtype, expected.dtype, key=lambda kind: torch.finfo(kind).eps)
    magnitude = expected.abs().max() if magnitude is None else magnitude
    bound = 2 * gamma(terms, dtype) * torch.as_tensor(magnitude).double()
    off = (found.double() - expected.double()).abs()
    assert found.shape == expected.shape
    assert (off <= bound).all(), f"off by {off.max():.3g}, allowed {bound.min():.3g} or more"


def terms_in(module: nn.Module, positions: int) -> int:
    """Summed on the way through a network and back: by each layer the products of an output, and
    its gradient's, of so many positions (pixels or tokens, of all images)."""
    sizes = [weight[0].numel() for weight in module.parameters() if weight.dim() > 1]
    return sum(sizes) + positions * sum(1 for _ in module.parameters())


class GradientTerms:
    """The sums of absolute values of the terms of a network's gradients by its parameters.

    Watches one pass forwards and one backwards through layers of the kinds below; afterwards
    `of(parameter)` is float64 of the parameter's shape.
    """

    KINDS = (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm)

    def __init__(self, module: nn.Module):
        self.sums: dict[Tensor, Tensor] = {}
        for leaf in module.modules():
            if isinstance(leaf, self.KINDS):
                leaf.register_forward_hook(self._watch)

    def of(self, parameter: Tensor) -> Tensor:
        return self.sums[parameter]

    def _watch(self, leaf: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen = inputs[0].detach().double()
        output.register_hook(lambda gradient: self._add(leaf, seen, gradient.double().abs()))

    def _add(self, leaf: nn.Module, seen: Tensor, gradient: Tensor) -> None:
        parameters = [*leaf.parameters()]
        copies = [p.detach().double().requires_grad_() for p in parameters]
        with torch.enable_grad():
            output = _absolute(leaf, seen, copies)
            sums = torch.autograd.grad(output, copies, gradient)
        for parameter, total in zip(parameters, sums, strict=True):
            self.sums[parameter] = self.sums.get(parameter, 0) + total


def _absolute(leaf: nn.Module, seen: Tensor, parameters: list[Tensor]) -> Tensor:
    """What a leaf computes, linear in its parameters, of absolute values."""
    if isinstance(leaf, nn.Linear):
        return F.linear(seen.abs(), *parameters)
    if isinstance(leaf, nn.Conv2d):
        settings = leaf.stride, leaf.padding, leaf.dilation, leaf.groups
        bias = parameters[1] if len(parameters) > 1 else None
        return F.conv2d(seen.abs(), parameters[0], bias, *settings)
    if isinstance(leaf, nn.LayerNorm):
        normal = F.layer_norm(seen, leaf.normalized_shape, eps=leaf.eps)
        weight, bias = parameters
    else:
        normal = F.group_norm(seen, leaf.num_groups, eps=leaf.eps)
        weight, bias = (p.view(-1, *[1] * (seen.dim() - 2)) for p in parameters)
    return normal.abs() * weight + bias
