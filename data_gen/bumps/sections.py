"""Sections of a world of bumps: labels of one split and one kind of example, asked for apart."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen.bumps.world import EXAMPLES, SPLITS, BumpWorld
from ground import streams


@dataclass(frozen=True)
class Section:
    """Labels that differ in nothing but where they are.

    Attributes:
        name: the split; of stripes alone and blanks with the kind of example: "train 1d_x".
        held_out: whether training never shows them; of those that `kept` or `examples` leave out,
            too.
        members: int64 (n,), their indices in the world, ascending.
    """

    name: str
    held_out: bool
    members: Int[Tensor, " n"]

    def labels(self, world: BumpWorld, seed: int, count: int) -> Float[Tensor, "count 2"]:
        """Label k is a function of (seed, section, k): all members in random order, then again."""
        order = streams.permutation(seed, f"section {self.name}", 0, len(self.members))
        return world.labels[self.members[order[torch.arange(count) % len(order)]]]


def sections(world: BumpWorld) -> tuple[Section, ...]:
    """Sections that have labels: by split, then by kind of example."""
    found = []
    for s, split in enumerate(SPLITS):
        for e, example in enumerate(EXAMPLES):
            members = torch.nonzero((world.split == s) & (world.example == e))[:, 0]
            name = split if example == "2d" else f"{split} {example}"
            found.append(Section(name, split != "train", members))
    return tuple(section for section in found if len(section.members))
