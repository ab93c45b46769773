"""From noise to images: samplers by name, guidance, fixed tiles."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from jaxtyping import Float, Int
from torch import Tensor

from diffusion.model import Denoiser
from diffusion.sampler_names import check_sampler

TILE = 64  # images per network call

# A sampler is a scheduler class and its options. All of these are deterministic given x_T.
SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {"timestep_spacing": "trailing", "clip_sample": True}),
    "dpmsolver++": (
        DPMSolverMultistepScheduler,
        # cosine schedules end where x_0 = (x_t − σ ε) / α divides by next to nothing
        {"timestep_spacing": "trailing", "lambda_min_clipped": -5.1},
    ),
}


def make_sampler(name: str, schedule: Mapping[str, Any], num_inference_steps: int) -> Any:
    """A diffusers scheduler for the noise schedule that a model was trained with, ready for once.

    Solvers of higher order keep what they saw, so every batch needs a new one.
    """
    check_sampler("", name, num_inference_steps, schedule["num_train_timesteps"])
    kind, options = SAMPLERS[name]
    scheduler = kind.from_config(schedule, **options)
    scheduler.set_timesteps(num_inference_steps)
    return scheduler


def guided(
    denoiser: Denoiser, input_ids: Int[Tensor, "n l"], null_ids: Int[Tensor, "1 l"], scale: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """(x_t, t) ↦ ε_null + scale · (ε_caption − ε_null) (Ho & Salimans 2022), in one batch.

    scale 1 asks the network for the caption alone, scale 0 for the null caption alone.
    """
    n = len(input_ids)
    if scale in (0.0, 1.0):
        condition = denoiser.encode(input_ids if scale == 1.0 else null_ids.expand(n, -1))
        return lambda x_t, t: denoiser.predict(x_t, t.expand(n), condition)
    both = denoiser.encode(torch.cat((input_ids, null_ids.expand(n, -1))))

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        twice = denoiser.predict(x_t.repeat(2, 1, 1, 1), t.expand(2 * n), both)
        captioned, null = twice.chunk(2)
        return null + scale * (captioned - null)

    return denoise


def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    x_T: Float[Tensor, "n 3 h w"],
    check: Callable[[], None] = lambda: None,
) -> Float[Tensor, "n 3 h w"]:
    """Follow the scheduler's timesteps from x_T to x_0, in [−1, 1] up to the model's error.

    check: called before every step; what it raises ends the sampling.
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
