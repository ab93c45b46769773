"""Sampling from noise to images: guidance and composition, the loop over timesteps, fixed tiles."""

from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from diffusion.model import Denoiser
from diffusion.objectives import per_image

TILE = 64  # images per network call


def guided(
    denoiser: Denoiser,
    inputs: Shaped[Tensor, "n k"],
    null_inputs: Shaped[Tensor, "1 k"],
    scale: float,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Guided prediction (x_t, t) ↦ null + scale · (conditional − null) (Ho & Salimans 2022):
    `composed` of one."""
    weights = torch.full((len(inputs), 1), scale, dtype=torch.float64)
    return composed(denoiser, inputs[:, None], weights, null_inputs)


def composed(
    denoiser: Denoiser,
    inputs: Shaped[Tensor, "n terms k"],
    weights: Float[Tensor, "n terms"],
    null_inputs: Shaped[Tensor, "1 k"],
) -> Callable[[Tensor, Tensor], Tensor]:
    """Composed prediction (x_t, t) ↦ null + Σ_i w_i (conditional_i − null) (Liu et al. 2022, eq. 11
    and 14), all terms and the null in one batch.

    inputs, null_inputs: raw rows for `denoiser.encode`. weights: float64, of every image its own;
    negative: NOT. One term of weight 1 asks the network for the condition alone, no terms or
    weights of 0 for the null alone. Every prediction type is composed alike: given x_t and t, ε,
    x_0 and v are affine in each other.
    """
    n, terms = weights.shape
    nulls = null_inputs.expand(n, -1)
    if (weights == 0).all():  # of no terms too
        return _alone(denoiser, nulls)
    if terms == 1 and (weights == 1).all():
        return _alone(denoiser, inputs[:, 0])
    condition = denoiser.encode(torch.cat((*inputs.unbind(1), nulls)))
    weights = weights.to(inputs.device)  # once, not at every timestep

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        count = terms + 1
        outputs = denoiser.predict(x_t.repeat(count, 1, 1, 1), t.expand(count * n), condition)
        *conditionals, null = outputs.chunk(count)
        output = null
        for weight, conditional in zip(weights.to(x_t).T, conditionals, strict=True):
            output = output + per_image(weight) * (conditional - null)
        return output

    return denoise


def _alone(denoiser: Denoiser, inputs: Shaped[Tensor, "n k"]) -> Callable[[Tensor, Tensor], Tensor]:
    condition = denoiser.encode(inputs)
    return lambda x_t, t: denoiser.predict(x_t, t.expand(len(inputs)), condition)


def switched(
    first: Callable[[Tensor, Tensor], Tensor], then: Callable[[Tensor, Tensor], Tensor], calls: int
) -> Callable[[Tensor, Tensor], Tensor]:
    """Prediction that is `first` in as many calls, and `then` in all later ones: good for one
    sampling."""
    number = count()
    return lambda x_t, t: (first if next(number) < calls else then)(x_t, t)


def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    x_T: Float[Tensor, "n c h w"],
    check: Callable[[], None] = lambda: None,
) -> Float[Tensor, "n c h w"]:
    """Follow the scheduler's timesteps from x_T to x_0, in [−1, 1] up to the model's error.

    denoise: (x_t, t) ↦ the network's output, of the scheduler's prediction type. check: called
    before every step; what it raises ends the sampling. An image for which the network once gave a
    number that is not finite is NaN: some schedulers would clip it to one that looks like a pixel.

    The scheduler, whose tables are on the CPU, is told timesteps of the CPU: it would read any
    others back, at every step.
    """
    x_t, spoilt = x_T, torch.zeros(len(x_T), dtype=torch.bool, device=x_T.device)
    timesteps = scheduler.timesteps.cpu()
    for t, own in zip(timesteps, timesteps.to(x_T.device), strict=True):
        check()
        output = denoise(x_t, own)
        spoilt |= ~torch.isfinite(output).flatten(1).all(dim=1)
        x_t = scheduler.step(output, t, x_t).prev_sample
    return x_t.masked_fill(spoilt[:, None, None, None], torch.nan)


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
