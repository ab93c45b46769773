"""Step t's batch is a function of (seed, t): which images, timesteps, noise and dropped captions.

Defined for the whole global batch; each process asks for its slice. No sampler, no state.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data_gen import streams


@dataclass(frozen=True)
class Draw:
    """The random part of one step, for the n images of one process, all on the CPU.

    Attributes:
        image: int64 (n,), which training images.
        t: int64 (n,), timesteps in [0, num_timesteps).
        eps: float32 (n, *shape), standard normal noise.
        dropped: bool (n,), True where the null caption replaces the caption.
    """

    image: Int[Tensor, " n"]
    t: Int[Tensor, " n"]
    eps: Float[Tensor, "n c h w"]
    dropped: Bool[Tensor, " n"]


@dataclass(frozen=True)
class BatchStream:
    """Draws of one training run. shape: (channels, height, width) of an image."""

    seed: int
    num_images: int
    batch_size: int
    num_timesteps: int
    cond_dropout: float
    shape: tuple[int, ...]

    def draw(self, step: int, rank: int = 0, world_size: int = 1) -> Draw:
        """The slice of process `rank` of step `step`; batch_size divides by world_size."""
        share = self.batch_size // world_size
        place = torch.arange(rank * share, (rank + 1) * share)
        width = torch.Size(self.shape).numel()
        eps = streams.normal(self.seed, "train.noise", step, place, width)
        drop = streams.uniform(self.seed, "train.drop", step, place)[:, 0]
        return Draw(
            image=self._images(step * self.batch_size + place),
            t=streams.integers(self.seed, "train.timestep", step, place, self.num_timesteps),
            eps=eps.view(-1, *self.shape),
            dropped=drop < self.cond_dropout,
        )

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
