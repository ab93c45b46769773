"""What can be exported, shown and described: the images of a world, by split and place."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from data_gen.bumps.world import EXAMPLES, SPLITS, BumpWorld
from data_gen.bumps.world import records as bump_records
from data_gen.dataset import Dataset, images_of, shuffled_captions
from data_gen.factors import FACTORS
from data_gen.photos.images import load, photo_set
from data_gen.photos.world import PhotoWorld
from data_gen.scene_sets import InTurn, SceneSet, training_scenes, unseen_numbers
from data_gen.vectors import coordinates, one_hot, vector
from data_gen.world import World

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Records:
    """Images and what is known of each.

    Attributes:
        images: uint8 (n, channels, h, w).
        columns: name → one plain value (text, number, list of numbers, None) per image.
        values: float64 (n, numbers); classes: int64 (n, concepts), as dSprites names them.
    """

    images: np.ndarray
    columns: Columns
    values: np.ndarray
    classes: np.ndarray


@runtime_checkable  # so that tests can check it
class Source(Protocol):
    """Images of one world in splits of known size.

    Attributes:
        splits: name → number of images.
        value_names: of the columns of `Records.values`.
        class_values: concept → its values, for each column of `Records.classes`.
    """

    splits: dict[str, int]
    value_names: list[str]
    class_values: dict[str, list[str]]

    def records(self, split: str, start: int, stop: int) -> Records: ...


class ShapeSource:
    """Splits of a world of shapes: train, validation; test: every combination in turn, held-out
    ones too; if numbers are held out, unseen_numbers: training combinations with these."""

    def __init__(self, world: World, test_images: int):
        self.world = world
        train, images = world.num_training_images, world.config.num_images
        self.splits = {"train": train, "validation": images - train, "test": test_images}
        if world.config.held_out_ranges:
            self.splits["unseen_numbers"] = test_images
        self.splits = {name: count for name, count in self.splits.items() if count}
        self.class_values = {name: list(values) for name, values in world.space.items()}
        self.value_names = [
            f"{name}.{i}" if factor.channels > 1 else name
            for name, factor in FACTORS.items()
            for i in range(max(factor.channels, 1))
        ]

    def records(self, split: str, start: int, stop: int) -> Records:
        data = images_of(self.world, *self._draw(split, start, stop))
        if split == "train" and self.world.captions.shuffled:
            captions, caption = shuffled_captions(self.world, torch.arange(start, stop))
            data = replace(data, captions=captions, caption=caption)
        space = self.world.space
        classes = torch.tensor([space.value_indices(c) for c in space.combinations])
        return Records(
            images=data.images.numpy(),
            columns=self._columns(data),
            values=torch.cat(list(data.numbers.values()), dim=1).double().numpy(),
            classes=classes[data.combination].numpy(),
        )

    def _draw(self, split: str, start: int, stop: int) -> tuple[Any, ...]:
        """Set of scenes, index, seed and stream of a split."""
        seed, index = self.world.seed, torch.arange(start, stop)
        if split == "train":
            return training_scenes(self.world), index, seed, "scene"
        if split == "validation":  # the images after the training images
            return training_scenes(self.world), index + self.splits["train"], seed, "scene"
        scenes: SceneSet = InTurn(self.world)
        if split == "unseen_numbers":
            scenes = unseen_numbers(self.world)
        return scenes, index, seed, split

    def _columns(self, data: Dataset) -> Columns:
        space = self.world.space
        shown = [space.combinations[i] for i in data.combination.tolist()]
        captions = [data.captions[i] for i in data.caption.tolist()]
        said = {caption: self.world.captioner.parse(caption) for caption in data.captions}
        columns: Columns = {name: [c[i] for c in shown] for i, name in enumerate(space.names)}
        columns["caption"] = captions
        columns["caption_names"] = [" ".join(said[caption].values()) for caption in captions]
        columns["caption_leaves_out"] = [
            " ".join(name for name in space.names if name not in said[caption])
            for caption in captions
        ]
        columns["caption_is_wrong_in"] = [
            " ".join(name for name, value in said[caption].items() if value not in combination)
            for caption, combination in zip(captions, shown, strict=True)
        ]
        columns["split"] = [self.world.split.of(combination) for combination in shown]
        for name, factor in FACTORS.items():
            if factor.channels:
                numbers = data.numbers[name]
                columns[f"{name}_number"] = _plain(
                    numbers if factor.channels > 1 else numbers[:, 0]
                )
            elif name not in space.names:
                words = list(factor.words)
                columns[name] = [words[int(i)] for i in data.numbers[name][:, 0]]
        columns["one_hot"] = _plain(one_hot(space, data.combination))
        columns["coordinates"] = _plain(coordinates(self.world, data))
        columns["vector"] = _plain(vector(self.world, data))
        return columns


def _plain(numbers: torch.Tensor) -> list[Any]:
    """float32 → the shortest decimals that give it back."""
    return [_short(row) for row in numbers.numpy()]


def _short(row: Any) -> Any:
    return [float(str(x)) for x in row] if row.ndim else float(str(row))


class BumpSource:
    """Splits of a world of bumps: train; test: every other label of the world, with the region it
    lies in as its `split`."""

    def __init__(self, world: BumpWorld):
        self.world = world
        train = world.select("train")
        rest = torch.nonzero(world.split != SPLITS.index("train"))[:, 0]
        self.rows = {name: rows for name, rows in (("train", train), ("test", rest)) if len(rows)}
        self.splits = {name: len(rows) for name, rows in self.rows.items()}
        self.value_names = ["x", "y"]
        self.class_values = {"example": list(EXAMPLES)}

    def records(self, split: str, start: int, stop: int) -> Records:
        rows = self.rows[split][start:stop]
        images, columns = bump_records(self.world, rows)
        return Records(
            images=images.numpy(),
            columns=columns,
            values=self.world.labels[rows].double().numpy(),
            classes=self.world.example[rows, None].numpy(),
        )


class PhotoSource:
    """Splits of a world of photographs: train, validation; test: the images of held-out
    combinations."""

    def __init__(self, world: PhotoWorld):
        self.world = world
        names = {"train": "train", "validation": "validation", "test": "held_out"}
        self.sets = {name: photo_set(world, split) for name, split in names.items()}
        self.splits = {name: len(photos) for name, photos in self.sets.items() if len(photos)}
        self.value_names: list[str] = []
        self.class_values = {name: list(values) for name, values in world.space.items()}

    def records(self, split: str, start: int, stop: int) -> Records:
        photos, space = self.sets[split], self.world.space
        combination = photos.combination[start:stop]
        shown = [space.combinations[i] for i in combination.tolist()]
        classes = torch.tensor([space.value_indices(c) for c in space.combinations])
        columns: Columns = {name: [c[i] for c in shown] for i, name in enumerate(space.names)}
        columns["caption"] = [photos.captions[i] for i in photos.caption[start:stop].tolist()]
        columns["split"] = [self.world.split.of(c) for c in shown]
        columns["source"] = list(photos.names[start:stop])
        return Records(
            images=load(self.world, photos.names[start:stop]).numpy(),
            columns=columns,
            values=np.zeros((len(shown), 0)),
            classes=classes[combination].numpy(),
        )
