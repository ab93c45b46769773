"""Photographs: files → images, captions, and what training never sees."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from data_gen import streams
from data_gen.dataset import Dataset
from data_gen.endings import Mistake, nearest
from data_gen.leaks import LeakCheck, LeakReport
from data_gen.photos.decoding import read_rgb
from data_gen.photos.world import SPLITS, PhotoWorld
from data_gen.wording import write_captions

BATCH = 64  # images that a thread reads at a time


@dataclass(frozen=True)
class PhotoSet:
    """A split of a world, all but its pixels: `load` reads those, in pieces of any length.

    Attributes:
        names: files in the world's folder, sorted.
        combination: int64 (n,), index into `ConceptSpace.combinations`.
        captions: the different captions that occur, each once.
        caption: int64 (n,), index into `captions`.
    """

    names: tuple[str, ...]
    combination: Int[Tensor, " n"]
    captions: tuple[str, ...]
    caption: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.names)


def photo_set(world: PhotoWorld, split: str) -> PhotoSet:
    """What the images of a split show and how they are described; opens none.

    split: train, validation (shows what training shows) or held_out. Captions of train are
    permuted if the world's are `shuffled`. Raises Mistake for another split.
    """
    rows = _rows(world, split)
    combination, place = (torch.from_numpy(a)[rows] for a in (world.combination, world.place))
    captions, caption = write_captions(world, combination, place, "photos")
    if split == "train" and world.captions.shuffled:
        caption = caption[streams.permutation(world.seed, "captions.shuffled", 0, len(rows))]
    return PhotoSet(tuple(world.names[i] for i in rows.tolist()), combination, captions, caption)


def _rows(world: PhotoWorld, split: str) -> Int[Tensor, " n"]:
    """int64 indices into `PhotoWorld.names`, ascending.

    The images of every combination have one random order: training takes from its front,
    validation from its end.
    """
    if split not in SPLITS:
        raise Mistake(f"split: got {split!r}{nearest(split, SPLITS)}, allowed {', '.join(SPLITS)}")
    rows = []
    for own, quota in zip(in_order(world), world.quotas[split].tolist(), strict=True):
        start = len(own) - quota if split == "validation" else 0
        rows.append(own[start : start + quota])
    return torch.cat(rows).sort().values


def in_order(world: PhotoWorld) -> list[Int[Tensor, " _"]]:
    """For each combination, its images in use in one random order: indices into `names`."""
    order = streams.permutation(world.seed, "photos.order", 0, int(world.place.max()) + 1)
    by_rank = torch.argsort(torch.argsort(order)[world.place])
    shown = torch.from_numpy(world.combination)[by_rank]
    return [by_rank[shown == i][:kept] for i, kept in enumerate(world.kept.tolist())]


def load(world: PhotoWorld, names: Sequence[str]) -> UInt8[Tensor, "n 3 size size"]:
    """Images of some files of the world's folder, in [0, 255]. All or none.

    Raises Mistake, naming the first file that is no whole image.
    """
    folder, size = Path(world.config.folder), world.config.image_size_px
    images = torch.empty(len(names), 3, size, size, dtype=torch.uint8)

    def fill(start: int) -> None:
        for i, name in enumerate(names[start : start + BATCH], start):
            images[i] = read_photo(folder / name, size)

    with ThreadPoolExecutor() as pool:  # Pillow decodes and scales without holding Python's lock
        list(pool.map(fill, range(0, len(names), BATCH)))
    return images


def read_photo(path: Path, size: int) -> UInt8[Tensor, "3 size size"]:
    """One image as RGB in [0, 255]: turned upright, its central square, scaled to `size` px.

    Scaled with Lanczos' filter, widened for shrinking: at ratios that are no whole numbers, such
    as 178 → 64, a box filter averages sometimes 2 and sometimes 3 pixels and so dents straight
    lines. What is transparent becomes white. An image of the right size keeps its pixels.
    """
    image = read_rgb(path)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    scaled = square.resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1)


def training_set(world: PhotoWorld) -> Dataset:
    """All training images in memory, with their captions."""
    data = photo_set(world, "train")
    return Dataset(load(world, data.names), data.combination, data.captions, data.caption)


def leak_check(world: PhotoWorld, data: PhotoSet | Dataset) -> LeakReport:
    """The leak check on a training set as it is."""
    check = LeakCheck(world.space, world.split, world.captioner, {})
    check.add([world.space.combinations[i] for i in data.combination.tolist()], data.captions, {})
    return check.report()
