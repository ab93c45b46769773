"""From noise to images: guidance, the loop over timesteps, fixed tiles."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from diffusion.model import Denoiser

TILE = 64  # images per network call


def guided(
    denoiser: Denoiser,
    inputs: Shaped[Tensor, "n k"],
    null_inputs: Shaped[Tensor, "1 k"],
    scale: float,
) -> Callable[[Tensor, Tensor], Tensor]:
    """(x_t, t) ↦ null + scale · (conditional − null) (Ho & Salimans 2022), in one batch.

    inputs, null_inputs: raw rows for `denoiser.encode`. scale 1 asks the network for the condition
    alone, scale 0 for the null condition alone. Every prediction type is guided alike: given x_t
    and t, ε, x_0 and v are affine in each other.
    """
    n = len(inputs)
    if scale in (0.0, 1.0):
        condition = denoiser.encode(inputs if scale == 1.0 else null_inputs.expand(n, -1))
        return lambda x_t, t: denoiser.predict(x_t, t.expand(n), condition)
    both = denoiser.encode(torch.cat((inputs, null_inputs.expand(n, -1))))

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        twice = denoiser.predict(x_t.repeat(2, 1, 1, 1), t.expand(2 * n), both)
        conditional, unconditional = twice.chunk(2)
        return unconditional + scale * (conditional - unconditional)

    return denoise


def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    x_T: Float[Tensor, "n c h w"],
    check: Callable[[], None] = lambda: None,
) -> Float[Tensor, "n c h w"]:
    """Follow the scheduler's timesteps from x_T to x_0, in [−1, 1] up to the model's error.

    denoise: (x_t, t) ↦ the network's output, of the scheduler's prediction type. check: called
    before every step; what it raises ends the sampling.
    """
    x_t = x_T
    for t in scheduler.timesteps.to(x_T.device):
        check()
        x_t = scheduler.step(denoise(x_t, t), t, x_t).prev_sample
    return x_t


def in_tiles(draw: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply `draw` to tiles of exactly TILE rows, the last one padded with its first row.

    The last bits of a convolution change with the batch size, so a fixed size makes an image
    independent of how many others are asked for beside it.
    """
    tiles = []
    for rows in torch.arange(len(inputs[0])).split(TILE):
        padded = torch.cat((rows, rows[:1].expand(TILE - len(rows))))
        tiles.append(draw(*(x[padded.to(x.device)] for x in inputs))[: len(rows)])
    return torch.cat(tiles)
