"""What a scene offers a model as its condition, beside captions: vectors of numbers."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen.concepts import ConceptSpace
from data_gen.dataset import Dataset
from data_gen.factors import FACTORS
from data_gen.scenes import class_tables
from data_gen.world import World

ENTRIES = ("x", "y", "color", "size", "background")  # after the shape, as in arXiv:2406.19370


def one_hot(space: ConceptSpace, combination: Int[Tensor, " n"]) -> Float[Tensor, "n values"]:
    """One entry per value of every concept, in the order of the concepts."""
    place = torch.tensor([space.value_indices(c) for c in space.combinations])[combination]
    columns = [
        torch.nn.functional.one_hot(place[:, i], len(values))
        for i, values in enumerate(space.values)
    ]
    return torch.cat(columns, dim=1).float()


def coordinates(world: World, data: Dataset) -> Float[Tensor, "n z"]:
    """The numbers of the concepts that have any (color, size, x, …), in their order."""
    names = [name for name in world.space.names if FACTORS[name].channels]
    return torch.cat([torch.zeros(len(data), 0), *(data.numbers[n] for n in names)], dim=1)


def vector(world: World, data: Dataset) -> Float[Tensor, "n entries"]:
    """The condition of arXiv:2406.19370: shape one-hot, x, y, rgb, size, background rgb.

    Eleven entries with two shapes. Entries of what is no concept of the world are 0.
    """
    shapes = world.config.concepts["shape"].values if "shape" in world.config.concepts else ()
    words = tuple(FACTORS["shape"].words)
    hot = torch.zeros(len(data), max(2, len(shapes)))
    for i, shape in enumerate(shapes):
        hot[:, i] = data.numbers["shape"][:, 0] == words.index(shape)
    used = [data.numbers[name] * (name in world.config.concepts) for name in ENTRIES]
    return torch.cat([hot, *used], dim=1)


def class_vector(world: World) -> Float[Tensor, "combinations entries"]:
    """Condition `vector` at every combination's class means: the prompts of held-out ones too."""
    index = torch.arange(len(world.space))
    tables = class_tables(world)
    numbers = {
        name: tables[name][0].float().reshape(len(index), -1)
        if name in tables
        else torch.zeros(len(index), max(factor.channels, 1))
        for name, factor in FACTORS.items()
    }
    images = torch.zeros(len(index), 3, 1, 1, dtype=torch.uint8)
    return vector(world, Dataset(images, index, ("",), torch.zeros_like(index), numbers))
