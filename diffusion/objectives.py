"""Objectives: the forward process, what the network is to predict, and the loss per image."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from diffusion.objective_config import ObjectiveConfig, Prediction

Predict = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) ↦ what the network puts out


class Objective(nn.Module, ABC):
    """What a denoiser learns. Its parameters, if it has any, are trained with the network's."""

    def __init__(self, config: ObjectiveConfig):
        super().__init__()
        self.config = config

    @abstractmethod
    def loss(
        self,
        predict: Predict,
        x_0: Float[Tensor, "n c h w"],
        eps: Float[Tensor, "n c h w"],
        t: Shaped[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """One number per image; training minimises their mean. x_0: in [−1, 1], eps: N(0, 1)."""

    @abstractmethod
    def scheduler(self) -> DDPMScheduler:
        """The noise schedule as it is now; samplers are made from its config."""

    @abstractmethod
    def timestep_quartile(self, t: Shaped[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Quarter of the time axis, int64 in 0 … 3, the least noise first."""


def build_objective(config: ObjectiveConfig) -> Objective:
    return Ddpm(config) if config.kind == "ddpm" else Variational(config)


def target(
    prediction: Prediction,
    x_0: Float[Tensor, "n c h w"],
    eps: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, "#n 1 1 1"],
    sigma: Float[Tensor, "#n 1 1 1"],
) -> Float[Tensor, "n c h w"]:
    """What the network is to put out at x_t = α x_0 + σ ε, α² + σ² = 1: ε, x_0, or
    v = α ε − σ x_0 (Salimans & Ho 2022, appendix D). Given x_t, each determines the others."""
    if prediction == "epsilon":
        return eps
    return x_0 if prediction == "sample" else alpha * eps - sigma * x_0


def noise_in(
    prediction: Prediction,
    output: Float[Tensor, "n c h w"],
    x_t: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, ""],
    sigma: Float[Tensor, ""],
) -> Float[Tensor, "n c h w"]:
    """The ε of x_t = α x_0 + σ ε that a network means by its output: `target` solved for it."""
    if prediction == "epsilon":
        return output
    return (
        (x_t - alpha * output) / sigma if prediction == "sample" else alpha * output + sigma * x_t
    )


def image_in(
    prediction: Prediction,
    output: Float[Tensor, "n c h w"],
    x_t: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, "#n 1 1 1"],
    sigma: Float[Tensor, "#n 1 1 1"],
) -> Float[Tensor, "n c h w"]:
    """The x_0 of x_t = α x_0 + σ ε that a network means by its output: `target` solved for it."""
    if prediction == "epsilon":
        return (x_t - sigma * output) / alpha
    return output if prediction == "sample" else alpha * x_t - sigma * output


class Ddpm(Objective):
    """Unweighted squared error of the network's output (Ho et al. 2020, eq. 14, for the noise).

    t: int64 in [0, num_timesteps). Nothing of it is learned or saved.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, config: ObjectiveConfig):
        super().__init__(config)
        alphas_cumprod = self.scheduler().alphas_cumprod
        self.register_buffer("alpha", alphas_cumprod**0.5, persistent=False)
        self.register_buffer("sigma", (1 - alphas_cumprod) ** 0.5, persistent=False)

    def loss(
        self,
        predict: Predict,
        x_0: Float[Tensor, "n c h w"],
        eps: Float[Tensor, "n c h w"],
        t: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Mean squared error of each image, at x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε (eq. 4)."""
        alpha, sigma = per_image(self.alpha[t]), per_image(self.sigma[t])
        wanted = target(self.config.prediction, x_0, eps, alpha, sigma)
        return _square(wanted - predict(alpha * x_0 + sigma * eps, t)).mean(1)

    def scheduler(self) -> DDPMScheduler:
        return build_scheduler(self.config)

    def timestep_quartile(self, t: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        return 4 * t // self.config.num_timesteps


class Variational(Objective):
    """Variational diffusion in continuous time (Kingma et al. 2021), γ(t) linear and learned:

        γ(t) = γ_0 + |slope| t = −log SNR(t)        z_t = √sigmoid(−γ) x + √sigmoid(γ) ε

    t: float32 in [0, 1). The network predicts ε and is told the time as t · num_timesteps − 1, so
    that samplers, which know the grid t = (i + 1) / num_timesteps alone, call its points i.
    """

    def __init__(self, config: ObjectiveConfig):
        super().__init__(config)
        self.gamma_0 = nn.Parameter(torch.tensor(config.gamma_min))
        self.slope = nn.Parameter(torch.tensor(config.gamma_max - config.gamma_min))

    def gamma(self, t: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return self.gamma_0 + self.slope.abs() * t

    def loss(
        self,
        predict: Predict,
        x_0: Float[Tensor, "n c h w"],
        eps: Float[Tensor, "n c h w"],
        t: Float[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Bits per dimension: a bound, in expectation, on −log₂ p(x_0) / (c h w) of the uint8 image
        k that x_0 = k / 127.5 − 1 stands for. Gradients reach γ_0 and slope too."""
        return torch.stack(self.terms(predict, x_0, eps, t)).sum(0)

    def terms(
        self,
        predict: Predict,
        x_0: Float[Tensor, "n c h w"],
        eps: Float[Tensor, "n c h w"],
        t: Float[Tensor, " n"],
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Diffusion, prior and reconstruction loss, all in bits per dimension.

        eps and t are drawn for the first alone. The other two know no network, so they are
        computed as expectations over their noise: no variance, no second draw.
        """
        bit = math.log(2)
        diffusion = self.diffusion_loss(predict, x_0, eps, t)
        prior = prior_loss(self.gamma_0 + self.slope.abs(), x_0)
        level = ((x_0 + 1) * 127.5).round().long()
        reconstruction = reconstruction_loss(self.gamma_0)[level].flatten(1).mean(1).to(x_0.dtype)
        return diffusion / bit, prior / bit, reconstruction / bit

    def diffusion_loss(
        self,
        predict: Predict,
        x_0: Float[Tensor, "n c h w"],
        eps: Float[Tensor, "n c h w"],
        t: Float[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Loss ½ γ'(t) (ε − ε̂(z_t))² in nats, mean over dimensions (section 4)."""
        gamma = per_image(self.gamma(t))
        z_t = torch.sigmoid(-gamma).sqrt() * x_0 + torch.sigmoid(gamma).sqrt() * eps
        predicted = predict(z_t, t * self.config.num_timesteps - 1)
        return 0.5 * self.slope.abs() * _square(eps - predicted).mean(1)

    def scheduler(self) -> DDPMScheduler:
        """Scheduler of ᾱ_i = sigmoid(−γ((i + 1) / num_timesteps)), which diffusers keeps in
        float32."""
        slope, gamma_0 = self.slope.abs().item(), self.gamma_0.item()
        count = self.config.num_timesteps
        t = torch.arange(count + 1, dtype=torch.float64) / count
        alphas_cumprod = torch.sigmoid(-(gamma_0 + slope * t))
        alphas_cumprod[0] = 1  # before the first point of the grid there is no noise
        betas = 1 - alphas_cumprod[1:] / alphas_cumprod[:-1]
        return build_scheduler(self.config, betas.tolist())

    def timestep_quartile(self, t: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
        return (4 * t).long()


def learned_gamma(scheduler: DDPMScheduler) -> tuple[float, float]:
    """γ_0 and slope of the variational model whose `scheduler()` this is, by least squares.

    In float64 from its betas: of the ᾱ that diffusers keeps, little noise is lost to rounding.
    """
    betas = torch.tensor(scheduler.config.trained_betas, dtype=torch.float64)
    gamma = -torch.logit((1 - betas).cumprod(0))
    t = torch.arange(1, len(betas) + 1, dtype=torch.float64) / len(betas)
    line = torch.stack((torch.ones_like(t), t), dim=1)
    gamma_0, slope = torch.linalg.lstsq(line, gamma[:, None]).solution[:, 0].tolist()
    return gamma_0, slope


def prior_loss(gamma_1: Float[Tensor, ""], x_0: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """KL(q(z_1 | x) ‖ N(0, 1)) in nats, mean over dimensions."""
    squared = torch.sigmoid(-gamma_1) * (_square(x_0).mean(1) - 1)
    return 0.5 * (squared - F.logsigmoid(gamma_1))


def reconstruction_loss(gamma_0: Float[Tensor, ""]) -> Float[Tensor, "256"]:
    """Expectation E[−log p(x | z_0)] in nats of a pixel, float64, for each of its 256 levels x.

    p(x | z_0) ∝ q(z_0 | x) over all levels (Kingma et al. 2021, section 3.3); with ε the noise of
    z_0 and s its size in levels, q(z_0 | x + m) / q(z_0 | x) = exp(m ε / s − m² / 2s²). The
    expectation is a sum over equidistant ε, which converges exponentially: the error is below
    1e-6 for every γ_0.
    """
    s = (gamma_0.double() / 2).exp() * 127.5
    eps = torch.linspace(-6, 6, 41, dtype=torch.float64, device=gamma_0.device)
    m = torch.arange(-255, 256, device=gamma_0.device) / s
    below = F.pad(torch.exp(m * eps[:, None] - m**2 / 2).cumsum(1), (1, 0))
    ratios = (below[:, 256:] - below[:, :256]).flip(1)  # summed over m = −x … 255 − x
    return torch.softmax(-(eps**2) / 2, 0) @ ratios.log()


def antithetic(
    u: Float[Tensor, ""], place: Int[Tensor, " n"], batch_size: int
) -> Float[Tensor, " n"]:
    """Times t_i = (u + i / batch_size) mod 1 of images at places i of a batch, u uniform in [0, 1):
    each uniform, together evenly spread (Kingma et al. 2021, appendix I.1)."""
    return (u + place / batch_size) % 1


def build_scheduler(config: ObjectiveConfig, betas: list[float] | None = None) -> DDPMScheduler:
    """Build the scheduler of a config. betas: in place of the schedule that the config names."""
    return DDPMScheduler(
        num_train_timesteps=config.num_timesteps,
        beta_schedule=config.schedule,
        trained_betas=betas,
        prediction_type=config.prediction,
        clip_sample=True,
    )


def per_image(values: Shaped[Tensor, " n"]) -> Shaped[Tensor, "n 1 1 1"]:
    return values[:, None, None, None]


def _square(x: Tensor) -> Tensor:
    """Elementwise, the dimensions of an image side by side: (n, c h w)."""
    return x.square().flatten(1)
