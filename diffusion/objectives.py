"""The forward process and the loss."""

import torch.nn.functional as F
from diffusers import DDPMScheduler
from jaxtyping import Float, Int
from torch import Tensor

from diffusion.objective_config import ObjectiveConfig


def build_scheduler(config: ObjectiveConfig) -> DDPMScheduler:
    """The noise schedule; samplers are made from its config."""
    return DDPMScheduler(
        num_train_timesteps=config.num_timesteps,
        beta_schedule=config.schedule,
        prediction_type=config.prediction,
        clip_sample=True,
    )


def diffuse(
    scheduler: DDPMScheduler,
    x_0: Float[Tensor, "n 3 h w"],
    eps: Float[Tensor, "n 3 h w"],
    t: Int[Tensor, " n"],
) -> Float[Tensor, "n 3 h w"]:
    """x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε (Ho et al. 2020, eq. 4)."""
    return scheduler.add_noise(x_0, eps, t)  # type: ignore[arg-type]


def epsilon_loss(
    predicted: Float[Tensor, "n 3 h w"], eps: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, ""]:
    """Mean over images, channels and pixels, unweighted (Ho et al. 2020, eq. 14)."""
    return F.mse_loss(predicted, eps)
