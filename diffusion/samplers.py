"""Samplers by name: diffusers' schedulers behind one contract, for every noise schedule here.

A sampler has `timesteps`, int64, and `step(output, t, x_t)` with a `prev_sample`, x_t always that
of the model: √ᾱ_t x_0 + √(1 − ᾱ_t) ε. What a scheduler wants otherwise is adapted in this file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from jaxtyping import Float, Int
from torch import Tensor

from diffusion.objective_config import Prediction
from diffusion.objectives import noise_in
from diffusion.sampler_names import check_sampler
from ground import streams

# Cosine schedules end where x_0 = (x_t − σ ε) / α divides by next to nothing; solvers, which do
# not clip x_0, begin where log α/σ is this.
LEAST_LOG_ALPHA_OVER_SIGMA = -5.1

BELOW_ONE = 1 - 2.0**-22  # so that the root of a float32 times it, squared, is no more than that

Noise = Callable[[int], Tensor]  # timestep ↦ standard normal (n, …)


@dataclass(frozen=True)
class Stochastic:
    """A scheduler that adds noise at every step, `noise(t)` and none of its own.

    ddpm is the posterior q(x_s | x_t, x_0) around the network's x_0, cut to [−1, 1] (Ho et al.
    2020, eq. 6 and 7): DDIM's step with η = 1, whatever the stride.
    """

    scheduler: Any
    noise: Noise
    options: Mapping[str, Any]

    @property
    def timesteps(self) -> Tensor:
        return self.scheduler.timesteps

    def step(self, output: Tensor, t: Tensor, x_t: Tensor) -> Any:
        noise = self.noise(int(t)).to(x_t)
        return self.scheduler.step(output, t, x_t, variance_noise=noise, **self.options)


class AncestralScheduler(DDIMScheduler):
    """DDIM's scheduler for η = 1, whose steps keep √(1 − ᾱ_s − σ²) of the noise they come from:
    where nearly all noise is new, σ² never rounds to more than there is, 1 − ᾱ_s."""

    def _get_variance(self, timestep: Tensor, prev_timestep: Tensor) -> Tensor:
        variance = super()._get_variance(timestep, prev_timestep)
        last = self.final_alpha_cumprod
        there = 1 - (self.alphas_cumprod[prev_timestep] if prev_timestep >= 0 else last)
        return torch.where((variance**0.5) ** 2 > there, there * BELOW_ONE, variance)


@dataclass(frozen=True)
class SigmaSpace:
    """A scheduler that holds x_t / α_t, noise of size σ_t / α_t (Karras et al. 2022), is told ε,
    and counts its own steps: those of Heun's method evaluate a timestep twice."""

    scheduler: Any
    prediction: Prediction

    @property
    def timesteps(self) -> Tensor:
        return self.scheduler.timesteps.long()

    def step(self, output: Tensor, t: Tensor, x_t: Tensor) -> SchedulerOutput:
        ratio = self._sigma_over_alpha()
        alpha = (1 + ratio**2) ** -0.5
        eps = noise_in(self.prediction, output, x_t, alpha, ratio * alpha)
        self.scheduler.is_scale_input_called = True  # it is: networks get x_t itself
        stepped = self.scheduler.step(eps, t.float(), x_t / alpha).prev_sample
        return SchedulerOutput(stepped * (1 + self._sigma_over_alpha() ** 2) ** -0.5)

    def _sigma_over_alpha(self) -> Float[Tensor, ""]:
        """Of what the next step takes."""
        return self.scheduler.sigmas[self.scheduler.step_index or 0]


@dataclass(frozen=True)
class Sampler:
    """A diffusers scheduler and how it is used.

    Attributes:
        scheduler, options: its class and what its config has beside the noise schedule.
        strides: True: by whole numbers over all timesteps; False: see `solver_timesteps`.
        noisy: what `step` is told where noise is added; None: it is a function of x_T.
        in_sigma_space: True for a scheduler that `SigmaSpace` adapts.
    """

    scheduler: Any
    options: Mapping[str, Any]
    strides: bool = False
    noisy: Mapping[str, Any] | None = None
    in_sigma_space: bool = False


_DDIM = {"timestep_spacing": "trailing", "clip_sample": True}
SAMPLERS: dict[str, Sampler] = {
    "ddim": Sampler(DDIMScheduler, _DDIM, strides=True),
    "ddpm": Sampler(
        AncestralScheduler,
        _DDIM,
        strides=True,
        noisy={"eta": 1.0, "use_clipped_model_output": True},
    ),
    "dpmsolver++": Sampler(DPMSolverMultistepScheduler, {}),
    "sde-dpmsolver++": Sampler(
        DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}, noisy={}
    ),
    "unipc": Sampler(UniPCMultistepScheduler, {}),
    "euler": Sampler(EulerDiscreteScheduler, {}, in_sigma_space=True),
    "heun": Sampler(HeunDiscreteScheduler, {"clip_sample": False}, in_sigma_space=True),
}


def make_sampler(
    name: str,
    schedule: Mapping[str, Any],
    num_inference_steps: int,
    noise: Noise | None = None,
) -> Any:
    """A sampler for the noise schedule that a model was trained with, ready for once.

    Solvers of higher order keep what they saw, so every batch needs a new one. noise: what the
    stochastic ones add at timestep t, see `step_noise`; the others ask for none.
    """
    check_sampler("", name, num_inference_steps, schedule["num_train_timesteps"])
    sampler = SAMPLERS[name]
    # said aloud: what the model's scheduler had by default, from_config leaves to another's default
    told = {key: schedule[key] for key in ("beta_start", "beta_end")}
    if sampler.in_sigma_space:
        told["prediction_type"] = "epsilon"
    scheduler = sampler.scheduler.from_config(schedule, **told, **sampler.options)
    _set_timesteps(scheduler, sampler, num_inference_steps)
    if sampler.in_sigma_space:
        return SigmaSpace(scheduler, schedule["prediction_type"])
    if sampler.noisy is None:
        return scheduler
    if noise is None:
        raise ValueError(f"{name} adds noise at every step; make_sampler needs it")
    return Stochastic(scheduler, noise, sampler.noisy)


def _set_timesteps(scheduler: Any, sampler: Sampler, num_inference_steps: int) -> None:
    if sampler.strides:
        scheduler.set_timesteps(num_inference_steps)
        return
    timesteps = solver_timesteps(scheduler.alphas_cumprod, num_inference_steps)
    if sampler.scheduler is UniPCMultistepScheduler:  # takes no timesteps but its own
        scheduler.set_timesteps(len(timesteps))
        a = scheduler.alphas_cumprod[timesteps]
        scheduler.sigmas = torch.cat((((1 - a) / a).sqrt(), torch.zeros(1)))
        scheduler.timesteps = timesteps
    else:
        scheduler.set_timesteps(timesteps=timesteps.tolist())
    scheduler.set_begin_index(0)  # else looked up, wrongly where a timestep comes twice


def solver_timesteps(
    alphas_cumprod: Float[Tensor, " timesteps"], num_inference_steps: int
) -> Int[Tensor, " steps"]:
    """ "Trailing" ones (Lin et al. 2024, table 2), int64, falling: strides of num_timesteps /
    num_inference_steps, rounded, from the last one that LEAST_LOG_ALPHA_OVER_SIGMA leaves.

    On a cosine schedule these can be fewer than were asked for, by those that are cut. diffusers
    has an evaluation at −1 too many for some numbers of steps, such as 61 of 1000.
    """
    log_ratio = alphas_cumprod.sqrt().log() - (1 - alphas_cumprod).sqrt().log()
    end = int((log_ratio >= LEAST_LOG_ALPHA_OVER_SIGMA).sum())
    stride = len(alphas_cumprod) / num_inference_steps
    timesteps = (end - stride * torch.arange(num_inference_steps, dtype=torch.float64)).round() - 1
    return timesteps[timesteps >= 0].long()


def step_noise(seed: int, index: Int[Tensor, " n"], shape: tuple[int, ...]) -> Noise:
    """Noise t ↦ standard normal (n, *shape), for every image a function of (seed, t, its index).

    index: in [0, 2³²), on the device where the noise is wanted.
    """
    width = torch.Size(shape).numel()
    return lambda t: streams.normal(seed, "sample.noise", t, index, width).view(-1, *shape)
