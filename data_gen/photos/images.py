"""Photographs: files → images, captions, and what training never sees."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from data_gen.concepts import Combination
from data_gen.dataset import Dataset
from data_gen.leaks import LeakCheck, LeakReport
from data_gen.photos.decoding import read_rgb
from data_gen.photos.world import SPLITS, PhotoWorld
from data_gen.wording import write_captions
from ground import streams
from ground.endings import Mistake, nearest

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


@dataclass(frozen=True)
class Ordered:
    """The images in use of one combination in one random order, copies of a picture together.

    Copies are images of equal pixels, as a model gets them. A picture with all its copies falls
    on one side of whatever is split.

    Attributes:
        rows: int64 (n,), indices into `PhotoWorld.names`.
        picture: int64 (n,), which picture each shows: 0, 1, 1, 2, …
    """

    rows: Int[Tensor, " n"]
    picture: Int[Tensor, " n"]

    @property
    def num_pictures(self) -> int:
        return len(self.picture.unique())

    def between(self, start: int, stop: int) -> Int[Tensor, " m"]:
        """The rows of pictures start … stop − 1."""
        return self.rows[(self.picture >= start) & (self.picture < stop)]


def photo_set(world: PhotoWorld, split: str) -> PhotoSet:
    """What the images of a split show and how they are described.

    split: train, validation (shows what training shows) or held_out. Captions of train are
    permuted if the world's are `shuffled`. Reads every image in use, to know copies. Raises Mistake
    for another split, and as `in_order` does.
    """
    rows = _rows(world, split)
    combination, place = (torch.from_numpy(a)[rows] for a in (world.combination, world.place))
    captions, caption = write_captions(world, combination, place, "photos")
    if split == "train" and world.captions.shuffled:
        caption = caption[streams.permutation(world.seed, "captions.shuffled", 0, len(rows))]
    return PhotoSet(tuple(world.names[i] for i in rows.tolist()), combination, captions, caption)


def _rows(world: PhotoWorld, split: str) -> Int[Tensor, " n"]:
    """int64 indices into `PhotoWorld.names`, ascending."""
    if split not in SPLITS:
        raise Mistake(f"split: got {split!r}{nearest(split, SPLITS)}, allowed {', '.join(SPLITS)}")
    pairs = zip(world.space.combinations, in_order(world), strict=True)
    return torch.cat([_share(world, split, c, own) for c, own in pairs]).sort().values


def _share(world: PhotoWorld, split: str, combination: Combination, own: Ordered) -> Tensor:
    """What a split holds of a combination: training takes from the front of its order, validation
    from the end. Rounding down leaves training one picture of whatever it may show."""
    if (split == "held_out") != (world.split.of(combination) == "held_out"):
        return own.rows[:0]
    if split == "held_out":
        return own.rows
    count = own.num_pictures
    seen = count - math.floor(count * world.config.validation + 1e-9)  # .29 · 100 is 28.999…
    if split == "validation":
        return own.between(seen, count)
    return own.between(0, seen)[: world.limits.get(combination)]


def in_order(world: PhotoWorld) -> list[Ordered]:
    """For each combination, its images in use.

    Raises Mistake, naming the files, for copies that the table calls by two combinations, and for
    the first file that is no whole image.
    """
    order = streams.permutation(world.seed, "photos.order", 0, int(world.place.max()) + 1)
    by_rank = torch.argsort(torch.argsort(order)[world.place])
    shown = torch.from_numpy(world.combination)[by_rank]
    used = [by_rank[shown == i][:kept] for i, kept in enumerate(world.kept.tolist())]
    rows = torch.cat(used).tolist()
    prints = dict(zip(rows, fingerprints(world, [world.names[i] for i in rows]), strict=True))
    _check_copies(world, prints)
    return [_copies_together(own, prints) for own in used]


def _copies_together(own: Tensor, prints: Mapping[int, bytes]) -> Ordered:
    number: dict[bytes, int] = {}
    numbers = [number.setdefault(prints[i], len(number)) for i in own.tolist()]
    picture, order = torch.tensor(numbers, dtype=torch.int64).sort(stable=True)
    return Ordered(own[order], picture)


def _check_copies(world: PhotoWorld, prints: Mapping[int, bytes]) -> None:
    """A picture shows one combination; else it might train under one and be held out as another."""
    first: dict[bytes, int] = {}
    pairs = [(first.setdefault(prints[i], i), i) for i in sorted(prints)]
    wrong = [(a, b) for a, b in pairs if world.combination[a] != world.combination[b]]
    if wrong:
        original, copy = (
            f"{world.names[i]!r} ({world.space.name(world.space.combinations[int(shown)])})"
            for i, shown in zip(wrong[0], world.combination[list(wrong[0])], strict=True)
        )
        raise Mistake(
            f"{world.config.table}: {len(wrong)} of {len(pairs)} images are copies of one under "
            f"another combination, pixel by pixel at {world.config.image_size_px} px, the first "
            f"{copy} of {original}; mend or remove the rows, or raise world.image_size_px"
        )


def fingerprints(world: PhotoWorld, names: Sequence[str]) -> list[bytes]:
    """Hashes of the pixels that `load` gives, equal for copies, in whatever lossless format.

    What was compressed again with losses, scaled, moved or mirrored is another picture here.
    """
    folder, size = Path(world.config.folder), world.config.image_size_px

    def read(name: str) -> bytes:
        try:
            there = (folder / name).stat()
        except OSError as error:
            raise Mistake(f"{folder / name}: not readable as a whole image ({error})") from None
        return _file_fingerprint(folder / name, size, there.st_mtime_ns, there.st_size)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(read, names))


@lru_cache(maxsize=1 << 18)  # a process may ask several times, and decoding takes the time
def _file_fingerprint(path: Path, size: int, modified: int, length: int) -> bytes:
    """modified, length: of the file, so that a changed one is read again."""
    return _fingerprint(read_photo(path, size))


def _fingerprint(image: UInt8[Tensor, "3 size size"]) -> bytes:
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()


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
    """The leak check on a training set as it is, by what its rows say and by its pixels.

    Raises Mistake if an image is held out by its row, or a copy of one that training never shows.
    """
    check = LeakCheck(world.space, world.split, world.captioner, {})
    check.add([world.space.combinations[i] for i in data.combination.tolist()], data.captions, {})
    if isinstance(data, Dataset):
        prints = [_fingerprint(image) for image in data.images]
    else:
        prints = fingerprints(world, data.names)
    kept_out = [n for split in SPLITS[1:] for n in photo_set(world, split).names]
    unseen = dict(zip(fingerprints(world, kept_out), kept_out, strict=True))
    for i, found in enumerate(prints):
        if found in unseen:
            raise Mistake(
                f"leak: training image {i} is a copy of {unseen[found]!r}, which training never "
                f"shows"
            )
    looks = (
        f"0 of {len(prints)} training images are a copy of one of the {len(kept_out)} that it does "
        f"not show (pixel by pixel at {world.config.image_size_px} px)"
    )
    return replace(check.report(), looks=(looks,))
