"""Augmentation of what a probe learns from: renders, made as blurred and noisy as images may be."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from classifiers.probe_config import ProbeConfig
from ground import streams


def augment(
    images: Float[Tensor, "n c h w"], config: ProbeConfig, step: int
) -> Float[Tensor, "n c h w"]:
    """Blur each image by a random share, then add noise of a random strength, then clip."""
    index = torch.arange(len(images), device=images.device)
    strength = streams.uniform(config.seed, "probe.strength", step, index, 2)
    share = (strength[:, 0] * config.blur)[:, None, None, None]
    images = images + share * (_blurred(images) - images)
    noise = streams.normal(config.seed, "probe.noise", step, index, images[0].numel())
    sigma = (strength[:, 1] * config.noise)[:, None, None, None]
    return (images + sigma * noise.view_as(images)).clamp(0, 1)


def _blurred(images: Tensor) -> Tensor:
    """3×3 binomial blur, edges replicated."""
    line = torch.tensor([0.25, 0.5, 0.25], device=images.device)
    channels = images.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
