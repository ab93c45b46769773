"""A world's images in memory, with what they show and how they are described."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from data_gen.factors import FACTORS
from data_gen.leaks import LeakCheck, LeakReport
from data_gen.render import draw
from data_gen.scene_sets import InTurn, SceneSet, training_scenes
from data_gen.scenes import joined
from data_gen.wording import Captioned, write_captions
from data_gen.world import World
from ground import streams

CHUNK = 1 << 14  # scenes drawn at a time: bounds the memory beside the images


@dataclass(frozen=True)
class Dataset:
    """Captioned images.

    Attributes:
        images: uint8 (n, 3, h, w) in [0, 255].
        combination: int64 (n,), index into `ConceptSpace.combinations`.
        captions: the different captions that occur, each once.
        caption: int64 (n,), index into `captions`.
        numbers: factor → float32 (n, channels), what is seen in each image; kinds as whole
            numbers. Empty for photographs.
    """

    images: UInt8[Tensor, "n 3 h w"]
    combination: Int[Tensor, " n"]
    captions: tuple[str, ...]
    caption: Int[Tensor, " n"]
    numbers: dict[str, Float[Tensor, "n _"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


def training_set(world: World) -> Dataset:
    """All training images of a world with their captions."""
    data = images_of(world, training_scenes(world), torch.arange(world.num_training_images))
    return shuffled(world, data) if world.captions.shuffled else data


def shuffled(world: Captioned, data: Dataset) -> Dataset:
    """Give the images each other's captions: the control."""
    order = streams.permutation(world.seed, "captions.shuffled", 0, len(data))
    return replace(data, caption=data.caption[order])


def shuffled_captions(
    world: World, index: Int[Tensor, " n"]
) -> tuple[tuple[str, ...], Int[Tensor, " n"]]:
    """The captions that `training_set` gives images `index` of a world with shuffled captions."""
    order = streams.permutation(world.seed, "captions.shuffled", 0, world.num_training_images)
    scenes = training_scenes(world).sample(world.seed, "scene", order[index])
    return write_captions(world, scenes.combination, order[index], "scene")


def labelled_set(world: World, seed: int, purpose: str, start: int, count: int) -> Dataset:
    """Draw `count` images, every combination in turn, held-out ones too: for probes and ceilings.

    Numbers (start … start + count − 1) of the stream (seed, purpose); never for training a
    generative model.
    """
    return images_of(world, InTurn(world), torch.arange(start, start + count), seed, purpose)


def images_of(
    world: World,
    scenes: SceneSet,
    index: Int[Tensor, " n"],
    seed: int | None = None,
    purpose: str = "scene",
) -> Dataset:
    """Images `index` of a set of scenes, from (seed, purpose, index); seed: None is the world's."""
    seed = world.seed if seed is None else seed
    drawn = joined([scenes.sample(seed, purpose, chunk) for chunk in index.split(CHUNK)])
    numbers = {name: drawn.numbers(name) for name in FACTORS}
    images = draw(world, drawn, seed, purpose, index)
    captions, caption = write_captions(world, drawn.combination, index, purpose)
    return Dataset(images, drawn.combination, captions, caption, numbers)


def leak_check(world: World, data: Dataset) -> LeakReport:
    """The leak check on a training set as it is."""
    check = _checker(world)
    shown = [world.space.combinations[i] for i in data.combination.tolist()]
    check.add(shown, data.captions, {n: v.numpy() for n, v in data.numbers.items()})
    return check.report()


def check_training(world: World) -> LeakCheck:
    """The leak check on a training set that is never in memory as a whole, nor drawn."""
    check, scenes = _checker(world), training_scenes(world)
    for index in torch.arange(world.num_training_images).split(CHUNK):
        drawn = scenes.sample(world.seed, "scene", index)
        captions, _ = write_captions(world, drawn.combination, index, "scene")
        shown = [world.space.combinations[i] for i in drawn.combination.tolist()]
        check.add(shown, captions, {n: drawn.numbers(n).numpy() for n in FACTORS})
    return check


def _checker(world: World) -> LeakCheck:
    ranges = world.config.held_out_ranges
    return LeakCheck(world.space, world.split, world.captioner, ranges, world.lookalikes)
