"""What a model is trained on: images, each with its condition and the name of what it shows."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from diffusion.batches import Draw
from diffusion.conditioning import Condition
from diffusion.precision import Precision, casting


@dataclass(frozen=True)
class TrainingData:
    """Training images, n of them, under m different conditions.

    Attributes:
        images: uint8 (n, c, h, w) in [0, 255].
        inputs: int64 (m, l) token ids, or float32 (m, k) numbers: what the conditioner reads. The
            last row is the null condition.
        row: int64 (n,), which condition is each image's.
        combination: int64 (n,), index into `combinations`: the losses are logged by it.
        combinations: names.
        conditions: what the model is told of each row of `inputs`, where that never changes; None:
            the model is given the rows, and encodes them.
    """

    images: UInt8[Tensor, "n c h w"]
    inputs: Tensor
    row: Int[Tensor, " n"]
    combination: Int[Tensor, " n"]
    combinations: tuple[str, ...]
    conditions: Condition | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "TrainingData":
        return TrainingData(
            self.images.to(device),
            self.inputs.to(device),
            self.row.to(device),
            self.combination.to(device),
            self.combinations,
        )

    def told(self, row: Int[Tensor, " m"]) -> Tensor | Condition:
        """What a model is given of some conditions."""
        return self.inputs[row] if self.conditions is None else self.conditions.rows(row)


def image_losses(
    model: nn.Module, data: TrainingData, draw: Draw, precision: Precision
) -> Float[Tensor, " n"]:
    """The loss of each image of a draw, which is on the device of the data."""
    x_0 = data.images[draw.image].float() / 127.5 - 1
    told = data.told(data.row[draw.image].masked_fill(draw.dropped, len(data.inputs) - 1))
    with casting(data.images.device, precision):
        return model(x_0, draw.eps, draw.t, told)
