"""The memoriser: the denoiser that fits a training set perfectly, in closed form.

It is what the loss has as its minimum if the training images are all there is: sampling from it
gives training images back. How far a trained model is from it tells what it has generalised.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Real, UInt8
from torch import Tensor

from diffusion.objective_config import Prediction
from diffusion.objectives import per_image, target

CHUNK = 1024  # images in float64 at once


def differing(shown: Int[Tensor, "m k"], asked: Int[Tensor, " k"]) -> Int[Tensor, " m"]:
    """Number of concepts in which combinations differ from the asked one."""
    return (shown != asked).sum(1)


class Memoriser:
    """Posterior mean E[x_0 | x_t] over the training images of the nearest combinations, as a
    network would put it out: x_0 = Σ_i w_i x_i, w = softmax_i(−‖x_t − √ᾱ_t x_i‖² / (2 (1 − ᾱ_t))).

    Args:
        images: the training set, on the device where it is to compute.
        values: of every image, the value of each concept, by number, or its coordinate.
        alphas_cumprod: ᾱ_t of the noise schedule, for every timestep, below 1.
        prediction: what `denoise` puts out.
        distance: shown combinations (m, k), asked one (k,) → how far apart, (m,).
    """

    def __init__(
        self,
        images: UInt8[Tensor, "n c h w"],
        values: Real[Tensor, "n k"],
        alphas_cumprod: Float[Tensor, " timesteps"],
        prediction: Prediction = "epsilon",
        distance: Callable[[Tensor, Tensor], Tensor] = differing,
    ):
        self.images, self.prediction, self.distance = images, prediction, distance
        self.alphas_cumprod = alphas_cumprod.double()
        self.shown, self.shown_as = torch.unique(values, dim=0, return_inverse=True)

    def denoise(
        self,
        x_t: Float[Tensor, "n c h w"],
        t: Int[Tensor, "..."],
        asked: Real[Tensor, "n k"],
    ) -> Float[Tensor, "n c h w"]:
        """Put out what `prediction` names. t: one timestep for all, or one each. asked: a
        combination per row, on the CPU; see `candidates`."""
        alpha, sigma = (x.to(x_t.device) for x in self._constants(t.expand(len(x_t))))
        x_0 = torch.empty_like(x_t, dtype=torch.float64)
        different, which = torch.unique(asked, dim=0, return_inverse=True)
        for number, combination in enumerate(different):
            rows = which == number
            images = self.images[self.candidates(combination)]
            x_0[rows] = posterior_mean(images, x_t[rows], alpha[rows], sigma[rows])
        eps = (x_t - alpha * x_0) / sigma
        return target(self.prediction, x_0, eps, alpha, sigma).to(x_t.dtype)

    def candidates(self, combination: Real[Tensor, " k"]) -> Int[Tensor, " m"]:
        """The images whose combinations are nearest to the asked one: its own, or, if it is held
        out, all of its nearest neighbours'."""
        distance = self.distance(self.shown, combination)
        return (distance == distance.min())[self.shown_as].nonzero()[:, 0]

    def _constants(self, t: Int[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        alphas_cumprod = per_image(self.alphas_cumprod[t.to(self.alphas_cumprod.device)])
        return alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()


class Posterior(NamedTuple):
    """What is known of x_0 once x_t is seen, x_0 uniform over some images.

    Attributes:
        mean: E[x_0 | x_t] in [−1, 1], float64.
        effective: float64 (n,), how many of the images count: (Σ w)² / Σ w² of their weights w
            (Kong 1992), in [1, m].
        log_evidence: float64 (n,), log Σ w up to a number that is the same for all images.
    """

    mean: Float[Tensor, "n c h w"]
    effective: Float[Tensor, " n"]
    log_evidence: Float[Tensor, " n"]


def posterior_mean(
    images: UInt8[Tensor, "m c h w"],
    x_t: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, "n 1 1 1"],
    sigma: Float[Tensor, "n 1 1 1"],
) -> Float[Tensor, "n c h w"]:
    """Posterior mean E[x_0 | x_t] in [−1, 1], float64, x_0 uniform over the images."""
    return posterior(images, x_t, alpha, sigma).mean


def posterior(
    images: UInt8[Tensor, "m c h w"],
    x_t: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, "n 1 1 1"],
    sigma: Float[Tensor, "n 1 1 1"],
) -> Posterior:
    """Posterior of x_0, uniform over the images, given x_t = α x_0 + σ ε.

    In units of grey levels, k = 127.5 (x + 1), and with ‖y − α k‖² expanded to be a matrix product.
    Its terms are up to 10⁶ times their difference near t = 0, so they need float64. The softmax is
    a running one, of which CHUNK images are in memory at a time.
    """
    noisy, alpha, sigma = (x.double().flatten(1) for x in (x_t, alpha, sigma))
    y, scale = 127.5 * (noisy + alpha), alpha / (127.5 * sigma) ** 2
    largest = torch.full_like(alpha, -torch.inf)
    total, squares, mean = (torch.zeros_like(x) for x in (alpha, alpha, y))
    for chunk in images.flatten(1).split(CHUNK):
        k = chunk.double()
        logits = scale * (y @ k.T - alpha / 2 * torch.linalg.vector_norm(k, dim=1) ** 2)
        before, largest = largest, torch.maximum(largest, logits.amax(1, keepdim=True))
        weights, kept = torch.exp(logits - largest), torch.exp(before - largest)
        total = kept * total + weights.sum(1, keepdim=True)
        squares = kept**2 * squares + weights.square().sum(1, keepdim=True)
        mean = kept * mean + weights @ k
    mean = (mean / total / 127.5 - 1).view(x_t.shape)
    return Posterior(mean, (total**2 / squares)[:, 0], (largest + total.log())[:, 0])


def joined(first: Posterior, second: Posterior) -> Posterior:
    """Posterior over the images of two, which share none."""
    log_evidence = torch.logaddexp(first.log_evidence, second.log_evidence)
    shares = [(part.log_evidence - log_evidence).exp() for part in (first, second)]
    mean = per_image(shares[0]) * first.mean + per_image(shares[1]) * second.mean
    squares = shares[0] ** 2 / first.effective + shares[1] ** 2 / second.effective
    return Posterior(mean, 1 / squares, log_evidence)
