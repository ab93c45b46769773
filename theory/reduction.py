"""What training can see of a run: the same network, exactly, in a few dimensions.

Inputs x = R z fill s of the dim dimensions, and the loss adds up squares of output rows, so
- the first layer counts only through V = W_1 R, any network; what it does to the other directions
  never changes and never matters;
- outputs along R are the outputs in concept coordinates. Rows orthogonal to R have target 0 and act
  on layers below and on the loss only through their Gram matrix: where they are more than their
  columns, the triangular factor of their QR decomposition replaces them, any network;
- a *linear* network meets a minibatch only through M̂ = (1/B) Σ z̃z̃ᵀ, z̃ = (z, 1) (z alone without
  biases): with E = [W R − R, b] the error map of the whole network, a batch's loss is
  tr(E M̂ Eᵀ)/dim. Its gradient is that of points at the unit vectors, weighed by M̂;
- a single layer goes E ← E (I − (2 lr/dim) M̂), so the steps of an epoch are one matrix.

Equal to plain SGD up to rounding. Needs an update that is linear in the gradient and commutes with
rotations (Adam does not), and points without noise outside of span R.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from theory.task import Points


def reduce_layers(
    layers: Sequence[Float[Tensor, "runs _ _"]],
    frame: Float[Tensor, "runs dim dim"],
    s: int,
) -> list[Float[Tensor, "runs _ _"]]:
    """Layers [W b] for inputs z and outputs in the axes of `frame`: concepts first, then at
    most as many rows as the last layer has columns."""
    dim, reduced = frame.shape[1], list(layers)
    first = reduced[0]
    reduced[0] = torch.cat((first[..., :dim] @ frame[..., :s], first[..., dim:]), dim=2)
    outputs = frame.mT @ reduced[-1]
    reduced[-1] = torch.cat((outputs[:, :s], _fewest_rows(outputs[:, s:])), dim=1)
    return reduced


def _fewest_rows(rows: Tensor) -> Tensor:
    """Rows with the same Gram matrix, no more than there are columns."""
    return torch.linalg.qr(rows, mode="r").R if rows.shape[1] > rows.shape[2] else rows


@dataclass(frozen=True)
class Batches:
    """An epoch's steps: what network and loss get at each.

    Attributes:
        inputs: (steps, runs, columns, batch), points side by side; if the network is linear, the
            identity, one for all steps.
        metric: (steps, runs, ·, ·), what errors are multiplied by to become the gradient of a
            batch's loss: M̂ from the right if the network is linear, else a weight for each point.
        whole: the same for the loss on all points, a sum of one part or of one for each step.
    """

    inputs: Tensor
    metric: Tensor
    whole: Tensor

    def input(self, step: int) -> Tensor:
        return self.inputs[step % len(self.inputs)]


def join(batches: Sequence[Batches], dtype: torch.dtype) -> Batches:
    """Join the runs of one after those of another."""
    columns = zip(*((part.inputs, part.metric, part.whole) for part in batches), strict=True)
    return Batches(*(torch.cat([part.to(dtype) for part in parts], dim=1) for parts in columns))


def make_batches(points: Points, size: int, bias: bool, linear: bool) -> Batches:
    """Consecutive points in batches of `size`; the last is smaller, a removed point weighs 0."""
    z, kept = (_split(part, size) for part in (points.z, points.kept[..., None].double()))
    inputs = torch.cat((z, torch.ones_like(kept)), dim=-1) if bias else z
    number = kept.sum(dim=2, keepdim=True)
    weight, share = kept / number.clamp(min=1), number / number.sum(0)
    if not linear:
        return Batches(inputs.mT, weight.mT, (weight * share).mT)
    moment = inputs.mT @ (inputs * weight)
    identity = torch.eye(inputs.shape[-1], dtype=z.dtype).repeat(1, len(points.z), 1, 1)
    return Batches(identity, moment, (moment * share).sum(0, keepdim=True))


def _split(rows: Tensor, size: int) -> Tensor:
    """(runs, points, ·) → (batches, runs, size, ·), filled up with zeros."""
    runs, points, columns = rows.shape
    number = math.ceil(points / size)
    filled = pad(rows, (0, 0, 0, number * size - points))
    return filled.view(runs, number, size, columns).transpose(0, 1)
