"""The training set in memory: uint8 images, combinations and captions, drawn in one go."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from data_gen import streams
from data_gen.render import render, to_uint8
from data_gen.scenes import Scenes, draw_scenes, training_scenes
from data_gen.splits import LeakReport, check_leaks
from data_gen.world import World

CHUNK = 4096  # images rendered at a time: bounds the memory of the float images


@dataclass(frozen=True)
class Dataset:
    """Captioned images.

    Attributes:
        images: uint8 (n, 3, h, w) in [0, 255].
        combination: int64 (n,), index into `ConceptSpace.combinations`.
        captions: the different captions that occur, each once.
        caption: int64 (n,), index into `captions`.
    """

    images: UInt8[Tensor, "n 3 h w"]
    combination: Int[Tensor, " n"]
    captions: tuple[str, ...]
    caption: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.images)


def training_set(world: World) -> Dataset:
    """All training images of a world with their captions."""
    index = torch.arange(world.config.num_images)
    data = _dataset(world, [training_scenes(world, chunk) for chunk in index.split(CHUNK)])
    if not world.captions.shuffled:
        return data
    order = streams.permutation(world.config.seed, "captions.shuffled", 0, len(data))
    return replace(data, caption=data.caption[order])


def labelled_set(world: World, seed: int, purpose: str, start: int, count: int) -> Dataset:
    """`count` images, every combination in turn, held-out ones too: for probes and ceilings.

    Numbers (start … start + count − 1) of the stream (seed, purpose); never for training a
    generative model.
    """
    chunks = []
    for index in torch.arange(start, start + count).split(CHUNK):
        combination = index % len(world.space)
        chunks.append(draw_scenes(world, combination, seed, purpose, index))
    return _dataset(world, chunks)


def _dataset(world: World, chunks: list[Scenes]) -> Dataset:
    images = torch.cat([to_uint8(render(c, world.config.image_size_px)) for c in chunks])
    combination = torch.cat([chunk.combination for chunk in chunks])
    used, caption = torch.unique(combination, return_inverse=True)
    captions = tuple(world.captioner.write(world.space.combinations[i]) for i in used.tolist())
    return Dataset(images, combination, captions, caption)


def leak_check(world: World, data: Dataset) -> LeakReport:
    """`splits.check_leaks` on what a training set really holds."""
    scenes = [world.space.combinations[i] for i in data.combination.tolist()]
    return check_leaks(world.space, world.split, world.captioner, scenes, data.captions)
