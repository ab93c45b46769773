"""What a network means by x_0: its denoised images at a noise level, told what one likes.

A level is a signal fraction ᾱ, x_t = √ᾱ x_0 + √(1 − ᾱ) ε, which means the same under every
objective, schedule and prediction.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from diffusion.model import Denoiser
from diffusion.objective_config import Prediction
from diffusion.objectives import image_in, per_image
from diffusion.sampling import in_tiles
from ground.endings import Mistake


class Level(NamedTuple):
    """Timestep of a noise schedule, with its ᾱ."""

    timestep: int
    alpha_bar: float

    @property
    def alpha(self) -> float:
        return self.alpha_bar**0.5

    @property
    def sigma(self) -> float:
        return (1 - self.alpha_bar) ** 0.5


def level_at(alphas_cumprod: Float[Tensor, " timesteps"], alpha_bar: float) -> Level:
    """Find the timestep whose ᾱ is the nearest one, in log ᾱ / (1 − ᾱ).

    Raises Mistake for an ᾱ beyond the ends of the schedule.
    """
    there = alphas_cumprod.double()
    low, high = there.min().item(), there.max().item()
    if not low <= alpha_bar <= high:
        raise Mistake(
            f"evaluate.denoiser.levels: got {alpha_bar:g}, allowed {low:.3g} to {high:.6g}, "
            f"the ends of this model's noise schedule"
        )
    asked = torch.tensor(alpha_bar, dtype=torch.float64)
    timestep = int((torch.logit(there) - torch.logit(asked)).abs().argmin())
    return Level(timestep, there[timestep].item())


def noisy(
    x_0: Float[Tensor, "n c h w"], eps: Float[Tensor, "n c h w"], level: Level
) -> Float[Tensor, "n c h w"]:
    """Noisy images x_t = α x_0 + σ ε."""
    return level.alpha * x_0 + level.sigma * eps


@torch.no_grad()
def denoised(
    denoiser: Denoiser,
    schedule: Any,
    x_t: Float[Tensor, "n c h w"],
    timestep: Shaped[Tensor, " n"],
    inputs: Shaped[Tensor, "n k"],
) -> Float[Tensor, "n c h w"]:
    """Denoised images: the x_0, of no bound, that a network means by its output at x_t.

    schedule: the model's scheduler, which knows ᾱ and what the network predicts. inputs: raw rows
    for `denoiser.encode`. One call of the network for each image, in tiles of one size, so that an
    image has the same bits whatever is asked beside it. On the device of the network; returned on
    the CPU.
    """
    device, prediction = denoiser.unet.device, schedule.config.prediction_type
    alphas_cumprod = schedule.alphas_cumprod.double()[timestep]

    def draw(x_t: Tensor, t: Tensor, inputs: Tensor) -> Tensor:
        return denoiser.predict(x_t, t, denoiser.encode(inputs))

    output = in_tiles(draw, x_t.to(device), timestep.to(device), inputs.to(device)).cpu()
    return _image(prediction, output, x_t.cpu(), alphas_cumprod.to(x_t))


def _image(
    prediction: Prediction, output: Tensor, x_t: Tensor, alphas_cumprod: Tensor
) -> Float[Tensor, "n c h w"]:
    alpha, sigma = alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()
    return image_in(prediction, output, x_t, per_image(alpha), per_image(sigma))
