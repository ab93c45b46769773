"""Scenes: all that is needed to draw an image. Scene i is a pure function of (seed, purpose, i)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen import streams
from data_gen.concepts import COLORS, SHAPES, SIZES
from data_gen.world import World

SIZE_CENTRE = 0.45  # mean radius between small and large, in half-frames (arXiv:2406.19370)


@dataclass(frozen=True)
class Scenes:
    """A batch of n scenes on one device.

    Attributes:
        combination: int64 (n,), index into `ConceptSpace.combinations`.
        shape: int64 (n,), index into `SHAPES`.
        color, background: float32 (n, 3), RGB in [0, 1].
        radius: float32 (n,), of the disc of equal area, in half-frames.
        centre: float32 (n, 2), x to the right and y up, in half-frames.
    """

    combination: Int[Tensor, " n"]
    shape: Int[Tensor, " n"]
    color: Float[Tensor, "n 3"]
    radius: Float[Tensor, " n"]
    centre: Float[Tensor, "n 2"]
    background: Float[Tensor, "n 3"]

    def __len__(self) -> int:
        return len(self.combination)


def training_scenes(world: World, index: Int[Tensor, " n"]) -> Scenes:
    """Scenes `index` of the training set: a training combination each, drawn uniformly."""
    train = torch.tensor([world.space.index(c) for c in world.split.train], device=index.device)
    pick = streams.integers(world.config.seed, "scene.combination", 0, index, len(train))
    return draw_scenes(world, train[pick], world.config.seed, "scene", index)


def draw_scenes(
    world: World, combination: Int[Tensor, " n"], seed: int, purpose: str, index: Int[Tensor, " n"]
) -> Scenes:
    """Scenes of given combinations; every nuisance comes from (seed, purpose, index)."""
    shape, color, radius = (table.to(index.device)[combination] for table in class_means(world))
    concepts, low = world.space.concepts, world.config.background
    u = streams.uniform(seed, purpose, 0, index, 9) * 2 - 1
    return Scenes(
        combination=combination,
        shape=shape,
        color=color + u[:, 0:3] * concepts["color"].spread,
        radius=radius + u[:, 3] * concepts["size"].spread,
        centre=u[:, 4:6] * world.config.position,
        background=low + (u[:, 6:9] + 1) / 2 * (1 - low),
    )


def class_means(world: World) -> tuple[Tensor, Tensor, Tensor]:
    """Per combination: index of the shape (K,), mean color (K, 3), mean radius (K,)."""
    concepts = world.space.concepts
    columns = dict(zip(world.space.names, zip(*world.space.combinations, strict=True), strict=True))
    shape = torch.tensor([SHAPES.index(value) for value in columns["shape"]])
    color = torch.tensor([COLORS[value] for value in columns["color"]], dtype=torch.float32)
    size = torch.tensor([SIZES[value] for value in columns["size"]], dtype=torch.float32)
    mean_color = 0.5 + color * concepts["color"].half_gap
    return shape, mean_color, SIZE_CENTRE + size * concepts["size"].half_gap
