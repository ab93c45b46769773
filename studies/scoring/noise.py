"""Noise that every image starts from: a function of (evaluation seed, combination, number).

Image k of a combination starts from the same noise at every snapshot, of every kind of weights and
under every set of prompts, so that all of them compare image by image.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ground import streams
from studies.experiment.config import MOST_IMAGES


def paired_noise(
    seed: int,
    images: range,
    count: int,
    shape: tuple[int, int, int],
    starts: Sequence[int] | None = None,
) -> Float[Tensor, "n c h w"]:
    """Return x_T of some of a plan's images, which are `count` of every prompt in turn.

    Image k of a combination starts from the same noise at every snapshot and under every set of
    prompts, whatever the count is.

    starts: of every prompt the number of the combination whose noise it has, increasing; None: the
        prompts are those of all combinations.
    """
    width, (combination, k) = torch.Size(shape).numel(), _places(images, count, starts)
    noise = [
        streams.normal(seed, "evaluate.noise", int(c), k[combination == c], width)
        for c in combination.unique()
    ]
    return torch.cat(noise).view(-1, *shape)


def image_index(
    images: range, count: int, starts: Sequence[int] | None = None
) -> Int[Tensor, " n"]:
    """Return int64 (n,): a number of each image, the same whatever the count is. starts: see
    `paired_noise`."""
    combination, k = _places(images, count, starts)
    return combination * MOST_IMAGES + k


def _places(
    images: range, count: int, starts: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Return int64: of each image its combination's number and its own among that combination's."""
    number = torch.arange(images.start, images.stop)
    prompt, k = number // count, number % count
    return prompt if starts is None else torch.tensor(starts)[prompt], k
