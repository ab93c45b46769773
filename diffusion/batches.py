"""Step t's batch is a function of (seed, t): which images, times, noise and dropped conditions.

Defined for the whole global batch; each process asks for its parts. No sampler, no state.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffusion.objectives import antithetic
from ground import streams


@dataclass(frozen=True)
class Draw:
    """The random part of one step, for n images of its batch, all on the CPU.

    Attributes:
        image: int64 (n,), which training images.
        t: int64 (n,), timesteps in [0, num_timesteps); or float32 (n,), times in [0, 1).
        eps: float32 (n, *shape), standard normal noise.
        dropped: bool (n,), True where the null condition replaces the image's own.
        place: int64 (n,), in the whole batch of the step.
    """

    image: Int[Tensor, " n"]
    t: Int[Tensor, " n"] | Float[Tensor, " n"]
    eps: Float[Tensor, "n c h w"]
    dropped: Bool[Tensor, " n"]
    place: Int[Tensor, " n"]

    def checksum(self, before: int = 0) -> int:
        """CRC-32, going on from `before`. Of the noise, which has a counter per image, 16 numbers
        of each image tell."""
        few = self.eps.flatten(1)[:, :16].contiguous()
        for tensor in (self.image, self.t, few, self.dropped):
            before = zlib.crc32(tensor.numpy().tobytes(), before)
        return before


@dataclass(frozen=True)
class BatchStream:
    """Draws of one training run.

    num_timesteps: of discrete time; None: time is continuous and antithetic.
    shape: (channels, height, width) of an image.
    """

    seed: int
    num_images: int
    batch_size: int
    num_timesteps: int | None
    cond_dropout: float
    shape: tuple[int, ...]

    def draw(self, step: int, part: int = 0, parts: int = 1) -> Draw:
        """Part `part` of `parts` equal ones of step `step`; batch_size divides by parts."""
        share = self.batch_size // parts
        place = torch.arange(part * share, (part + 1) * share)
        width = torch.Size(self.shape).numel()
        eps = streams.normal(self.seed, "train.noise", step, place, width)
        drop = streams.uniform(self.seed, "train.drop", step, place)[:, 0]
        return Draw(
            image=self._images(step * self.batch_size + place),
            t=self._times(step, place),
            eps=eps.view(-1, *self.shape),
            dropped=drop < self.cond_dropout,
            place=place,
        )

    def _times(self, step: int, place: Int[Tensor, " n"]) -> Tensor:
        if self.num_timesteps is not None:
            return streams.integers(self.seed, "train.timestep", step, place, self.num_timesteps)
        u = streams.uniform(self.seed, "train.timestep", step, torch.zeros(1, dtype=torch.int64))
        return antithetic(u[0, 0], place, self.batch_size)

    def _images(self, position: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Every epoch is a permutation of its own; a batch may straddle two."""
        epoch, place = position // self.num_images, position % self.num_images
        image = torch.empty_like(position)
        for e in torch.unique(epoch).tolist():
            order = _order(self.seed, e, self.num_images)
            image[epoch == e] = order[place[epoch == e]]
        return image


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, num_images: int) -> Tensor:
    return streams.permutation(seed, "train.order", epoch, num_images)
