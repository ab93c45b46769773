"""Step t's batch is a function of (seed, t): which images, times, noise and dropped conditions.

Defined for the whole global batch; each process asks for its parts. No sampler, no state. All of it
is made on the device that trains: nothing is read from there, and nothing copied to it.
"""

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffusion.objectives import antithetic
from ground import streams
from ground.streams import Step

CPU = torch.device("cpu")
FEW = 16  # numbers of an image's noise that a checksum looks at: the noise has a counter per image


@dataclass(frozen=True)
class Draw:
    """The random part of one step, for n images of its batch, all on one device.

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

    def few(self) -> "Draw":
        """What its checksum needs of it, in memory of its own: the noise is (n, FEW, 1, 1)."""
        image, t, dropped, place = (
            tensor.clone() for tensor in (self.image, self.t, self.dropped, self.place)
        )
        return Draw(image, t, self._few_numbers()[..., None, None].clone(), dropped, place)

    def _few_numbers(self) -> Float[Tensor, "n few"]:
        return self.eps.flatten(1)[:, :FEW].contiguous()

    def checksum(self, before: int = 0) -> int:
        """CRC-32, going on from `before`. Waits for the device."""
        for tensor in (self.image, self.t, self._few_numbers(), self.dropped):
            before = zlib.crc32(tensor.cpu().numpy().tobytes(), before)
        return before


@dataclass(frozen=True)
class BatchStream:
    """Draws of one training run.

    num_timesteps: of discrete time; None: time is continuous and antithetic.
    shape: (channels, height, width) of an image.
    device: where draws are made. Whole numbers and uniforms have the same bits on every device,
        noise up to rounding in log and cos.
    """

    seed: int
    num_images: int
    batch_size: int
    num_timesteps: int | None
    cond_dropout: float
    shape: tuple[int, ...]
    device: torch.device = CPU

    def on(self, device: torch.device) -> "BatchStream":
        """The same stream, drawn on another device."""
        return replace(self, device=device)

    def draw(self, step: int, part: int = 0, parts: int = 1) -> Draw:
        """Part `part` of `parts` equal ones of step `step`; batch_size divides by parts."""
        share = self.batch_size // parts
        return self.draw_from(self.orders(step), step, part * share, share)

    def draw_from(
        self, orders: Int[Tensor, "epochs images"], step: Step, start: Step, count: int
    ) -> Draw:
        """Images start … start + count − 1 of the batch of a step, whose `orders` these are.

        A step and a start that are tensors are read by kernels alone: what was captured for one
        step draws any other.
        """
        place = torch.arange(count, device=self.device) + start
        width = torch.Size(self.shape).numel()
        eps = streams.normal(self.seed, "train.noise", step, place, width)
        drop = streams.uniform(self.seed, "train.drop", step, place)[:, 0]
        return Draw(
            image=self._images(orders, step, place),
            t=self._times(step, place),
            eps=eps.view(-1, *self.shape),
            dropped=drop < self.cond_dropout,
            place=place,
        )

    def _times(self, step: Step, place: Int[Tensor, " n"]) -> Tensor:
        if self.num_timesteps is not None:
            return streams.integers(self.seed, "train.timestep", step, place, self.num_timesteps)
        first = torch.zeros(1, dtype=torch.int64, device=self.device)
        u = streams.uniform(self.seed, "train.timestep", step, first)
        return antithetic(u[0, 0], place, self.batch_size)

    def _images(
        self, orders: Int[Tensor, "epochs images"], step: Step, place: Int[Tensor, " n"]
    ) -> Int[Tensor, " n"]:
        """Every epoch is a permutation of its own; a batch may straddle several."""
        position = step * self.batch_size + place
        first = step * self.batch_size // self.num_images
        return orders[position // self.num_images - first, position % self.num_images]

    def orders(self, step: int) -> Int[Tensor, "epochs images"]:
        """Orders of the images in the epoch in which a step begins and in those after it that a
        batch may reach: equally many for every step."""
        first = step * self.batch_size // self.num_images
        reached = 1 + -(-(self.batch_size - 1) // self.num_images)
        return _orders(self.seed, first, reached, self.num_images, self.device)


@lru_cache(maxsize=2)
def _orders(seed: int, first: int, count: int, num_images: int, device: torch.device) -> Tensor:
    epochs = range(first, first + count)
    return torch.stack([_order(seed, epoch, num_images, device) for epoch in epochs])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, num_images: int, device: torch.device) -> Tensor:
    return streams.permutation(seed, "train.order", epoch, num_images, device)
