"""What a model is trained on: images, each with its condition and the name of what it shows."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from diffusion.batches import Draw
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
    """

    images: UInt8[Tensor, "n c h w"]
    inputs: Tensor
    row: Int[Tensor, " n"]
    combination: Int[Tensor, " n"]
    combinations: tuple[str, ...]

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


def image_losses(
    model: nn.Module, data: TrainingData, draw: Draw, precision: Precision
) -> Float[Tensor, " n"]:
    """The loss of each image of a draw, on the data's device."""
    device = data.images.device
    image, t, eps, dropped = (
        tensor.to(device) for tensor in (draw.image, draw.t, draw.eps, draw.dropped)
    )
    x_0 = data.images[image].float() / 127.5 - 1
    inputs = data.inputs[data.row[image].masked_fill(dropped, len(data.inputs) - 1)]
    with casting(device, precision):
        return model(x_0, eps, t, inputs)
