"""From noise to images: samplers by name, guidance, fixed tiles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from data_gen import streams
from diffusion.model import Denoiser
from diffusion.sampler_names import check_sampler

TILE = 64  # images per network call

# A sampler is a scheduler class and its options, for any noise schedule and prediction type.
SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {"timestep_spacing": "trailing", "clip_sample": True}),
    "ddpm": (DDIMScheduler, {"timestep_spacing": "trailing", "clip_sample": True}),
    "dpmsolver++": (
        DPMSolverMultistepScheduler,
        # cosine schedules end where x_0 = (x_t − σ ε) / α divides by next to nothing
        {"timestep_spacing": "trailing", "lambda_min_clipped": -5.1},
    ),
}


@dataclass(frozen=True)
class Ancestral:
    """The posterior q(x_s | x_t, x_0) around the network's x_0, cut to [−1, 1] (Ho et al. 2020,
    eq. 6 and 7): DDIM's step with η = 1, whatever the stride. noise: t ↦ standard normal (n, …).
    """

    scheduler: DDIMScheduler
    noise: Callable[[int], Tensor]

    @property
    def timesteps(self) -> Tensor:
        return self.scheduler.timesteps

    def step(self, output: Tensor, t: Tensor, x_t: Tensor) -> Any:
        noise = self.noise(int(t)).to(x_t)
        return self.scheduler.step(
            output, t, x_t, eta=1.0, use_clipped_model_output=True, variance_noise=noise
        )


def make_sampler(
    name: str,
    schedule: Mapping[str, Any],
    num_inference_steps: int,
    noise: Callable[[int], Tensor] | None = None,
) -> Any:
    """A diffusers scheduler for the noise schedule that a model was trained with, ready for once.

    Solvers of higher order keep what they saw, so every batch needs a new one. noise: what "ddpm"
    adds at timestep t, see `step_noise`; the other samplers are functions of x_T and ask for none.
    """
    check_sampler("", name, num_inference_steps, schedule["num_train_timesteps"])
    kind, options = SAMPLERS[name]
    scheduler = kind.from_config(schedule, **options)
    scheduler.set_timesteps(num_inference_steps)
    if name != "ddpm":
        return scheduler
    if noise is None:
        raise ValueError("ddpm adds noise at every step; make_sampler needs it")
    return Ancestral(scheduler, noise)


def step_noise(
    seed: int, index: Int[Tensor, " n"], shape: tuple[int, ...]
) -> Callable[[int], Float[Tensor, "n ..."]]:
    """t ↦ standard normal (n, *shape): for every image a function of (seed, t, its index) alone.

    index: on the CPU, in [0, 2³²).
    """
    width = torch.Size(shape).numel()
    return lambda t: streams.normal(seed, "sample.noise", t, index, width).view(-1, *shape)


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
