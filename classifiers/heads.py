"""What one head of a probe reads: a value among words, or a coordinate in px.

A concept with words is a plain tuple of them. A coordinate is read like a word too, as a
probability of every place along its side of the image, one px apart; between two places it is
shared by both, so that their mean is the coordinate, to sub-pixel.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

WITHIN_PX = 1.0  # a coordinate is read right if it is no further off
READ_AS = ("there", "elsewhere", "none")  # of a coordinate: within WITHIN_PX of what was asked, …


@dataclass(frozen=True)
class Coordinate:
    """A coordinate in px along a side of the image.

    Attributes:
        image_size_px: N. Places are 0, 1, …, N, or, where the ends are one, N − 1.
        periodic: whether it lies on a circle of N px.
        nullable: whether there may be none, which is one more place, the last.
    """

    image_size_px: int
    periodic: bool = False
    nullable: bool = False

    @property
    def places(self) -> int:
        """Number of places, none not counted."""
        return self.image_size_px + (not self.periodic)

    def __len__(self) -> int:
        return self.places + self.nullable

    def shares(self, px: Float[Tensor, " n"]) -> Float[Tensor, "n v"]:
        """The probabilities of coordinates that are known; nan: none."""
        if self.periodic:
            px = px.remainder(self.image_size_px)
        below = px.nan_to_num().floor()
        share = (px.nan_to_num() - below)[:, None]
        low, high = below.long() % self.places, (below.long() + 1) % self.places
        shares = (1 - share) * F.one_hot(low, len(self)) + share * F.one_hot(high, len(self))
        if self.nullable:
            shares[px.isnan()] = F.one_hot(torch.tensor(self.places), len(self)).to(shares)
        return shares

    def read(self, probabilities: Float[Tensor, "n v"]) -> Float[Tensor, " n"]:
        """The mean place, of a circle the direction of the mean; nan where none is likelier."""
        places, p = torch.arange(self.places).double(), probabilities[:, : self.places].double()
        if self.periodic:
            angle = places * (2 * math.pi / self.image_size_px)
            angle = torch.atan2(p @ angle.sin(), p @ angle.cos())
            px = (angle * (self.image_size_px / (2 * math.pi))).remainder(self.image_size_px)
        else:
            px = p @ places / p.sum(1).clamp(min=1e-12)
        return px.where(p.sum(1) >= 0.5, torch.nan)

    def offset(self, px: Float[Tensor, "*n"], other: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """How far, and in which direction, `px` lies from `other`: on a circle the shorter way.
        nan where either is none."""
        off, size = px - other, self.image_size_px
        return (off + size / 2).remainder(size) - size / 2 if self.periodic else off

    def is_right(self, px: Float[Tensor, " n"], target: Float[Tensor, " n"]) -> Tensor:
        """Whether each is right, bool (n,): within WITHIN_PX, or none where there is none."""
        near = self.offset(px, target).abs() <= WITHIN_PX
        return near | (px.isnan() & target.isnan())

    def outcomes(
        self, probabilities: Float[Tensor, "n v"], target: Float[Tensor, " n"]
    ) -> Float[Tensor, "n 3"]:
        """Probability given to each of READ_AS: to places within WITHIN_PX of the target, to
        others, and to none."""
        places = torch.arange(self.places).to(target)
        near = self.offset(*torch.broadcast_tensors(places, target[:, None])).abs() <= WITHIN_PX
        p = probabilities.double()
        there, shown = (p[:, : self.places] * near).sum(1), p[:, : self.places].sum(1)
        return torch.stack((there, shown - there, p[:, self.places :].sum(1)), 1)


Head = tuple[str, ...] | Coordinate
