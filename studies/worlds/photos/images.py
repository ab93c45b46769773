"""Images of a world of photographs: to train on, and three parts of them for the probe."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from classifiers.degradation import degraded_rows, judged_by
from classifiers.probe import Batch, Probe
from classifiers.probe_config import ProbeConfig
from data_gen.concepts import Combination
from data_gen.dataset import Dataset
from data_gen.leaks import LeakReport
from data_gen.output.describe import describe_photos
from data_gen.output.preview import Row, photo_rows
from data_gen.output.sources import PhotoSource
from data_gen.photos.images import Ordered, in_order, leak_check, load, photo_set, training_set
from data_gen.photos.world import PhotoWorld
from ground import streams
from ground.endings import Mistake
from studies.worlds.captioned_images import CaptionedImages
from studies.worlds.exams import value_places
from studies.worlds.probe_images import DEGRADED_SHARE, ProbeImages

SHARE = 5  # one image in so many certifies the probe, one sets its limit; the others teach it
CHUNK = 1024  # images of which a sum is taken at once
LEAST = 3  # images of a combination: one for each of these
NO_ORACLE = "none: no renderer draws photographs, so there is nothing to fit to them"

Rows = Sequence[Int[Tensor, " _"]]  # for each combination, indices into `PhotoWorld.names`


@dataclass(frozen=True)
class Parts:
    """Disjoint images of every combination, each in the world's random order."""

    taught: Rows
    limit: Rows
    certificate: Rows


def deal_parts(world: PhotoWorld) -> Parts:
    """Share out all images in use for the probe, held-out ones too, by the world's seed alone.

    A picture with all its copies falls into one part. Certificate and limit come from the end of
    the order whose front trains the model: what `world.validation` keeps from the model is kept
    from the probe first. Raises Mistake for a combination with too few pictures.
    """
    orders = in_order(world)
    for combination, own in zip(world.space.combinations, orders, strict=True):
        if own.num_pictures < LEAST:
            raise Mistake(
                f"{world.config.table}: shows {world.space.name(combination)!r} in "
                f"{own.num_pictures} images in use, copies counted once, allowed {LEAST} or more: "
                f"the probe learns, knows its limit and is certified by different images of every "
                f"combination; add some, or drop a value from world.concepts (scripts/train.py "
                f"alone needs none)"
            )
    parts = zip(*map(_three_parts, orders), strict=True)
    return Parts(*(list(part) for part in parts))


def _three_parts(own: Ordered) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows that teach, set the limit and certify, from the end of the order on."""
    count = own.num_pictures
    share = max(1, count // SHARE)
    ends = (0, count - 2 * share, count - share, count)
    taught, limit, certificate = (
        own.between(start, stop).flip(0) for start, stop in itertools.pairwise(ends)
    )
    return taught, limit, certificate


def in_turn(rows: Rows, count: int) -> Int[Tensor, " n"]:
    """Return the first `count` images, or all there are, of the combinations in turn."""
    rank = torch.cat([torch.arange(len(own)) for own in rows])
    return torch.cat(list(rows))[torch.argsort(rank, stable=True)[:count]]


class PhotoImages(CaptionedImages):
    """Real images: as many as there are, each for one purpose of the probe."""

    images_are = "real images"
    advice = (
        "set probe.gate to what is enough for real images (the default is that of renders), or "
        "add images"
    )

    def __init__(self, world: PhotoWorld):
        self.world: PhotoWorld = world

    @cached_property
    def parts(self) -> Parts:
        return deal_parts(self.world)

    @property
    def num_training_images(self) -> int:
        return len(photo_set(self.world, "train"))

    @property
    def drawable(self) -> Sequence[Combination]:
        counts = zip(self.world.space.combinations, self.world.kept.tolist(), strict=True)
        return [combination for combination, count in counts if count]

    def contents(self) -> str:
        return self.world.contents()

    def describe(self) -> list[str]:
        return describe_photos(self.world)

    def source(self, test_images: int) -> PhotoSource:
        return PhotoSource(self.world)

    def combination_rows(self, shown: Sequence[Combination], length: int) -> list[Row]:
        return photo_rows(self.world, shown, length)

    def training_set(self) -> Dataset:
        return training_set(self.world)

    def mean_image(self, combination: Combination) -> Float[Tensor, "c h w"]:
        """Return the mean of all images in use, also of those that training does not show."""
        place = self.world.space.index(combination)
        if not self.world.kept[place]:
            name = self.world.space.name(combination)
            raise Mistake(f"{self.world.config.table}: shows {name!r} in no image in use")
        parts = in_order(self.world)[place].rows.split(CHUNK)
        total = torch.stack([self.batch(rows)[0].sum(0, dtype=torch.int64) for rows in parts]).sum(
            0
        )
        return total.double() / self.world.kept[place] / 127.5 - 1

    def leak_check(self, data: Dataset) -> LeakReport:
        return leak_check(self.world, data)

    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        """Return labelled images for the probe: of limit and certificate at most
        `config.certificate_images` each."""
        count, size = config.certificate_images, config.batch_size
        taught = Taught(self.parts.taught, self.batch(torch.cat(list(self.parts.taught))))
        return ProbeImages(
            draw=lambda step: taught.draw(config.seed, "probe.train", step * size, size),
            fitted=taught.draw(config.seed, "probe.fit", 0, count),
            limit=self.batch(in_turn(self.parts.limit, count)),
            certificate=self.batch(in_turn(self.parts.certificate, count)),
        )

    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        """Return what the probe alone reads under noise and blur."""
        count = config.certificate_images // DEGRADED_SHARE
        images, targets = (part[:count] for part in certificate)
        rows = degraded_rows(
            images.permute(0, 2, 3, 1).contiguous(),
            self.world.space.names,
            judged_by(targets, lambda seen: probe.read(seen.permute(0, 3, 1, 2)).indices()),
            config.seed,
        )
        return {"oracle": NO_ORACLE, "degradation": {"probe": [asdict(row) for row in rows]}}

    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        """Return the certificate's images, the same whatever the seed is."""
        images = [self.batch(own[:count])[0] for own in self.parts.certificate]
        return [own.permute(0, 2, 3, 1).numpy() for own in images]

    def batch(self, rows: Int[Tensor, " n"]) -> Batch:
        """Return images, read from their files, with the place of each value that they show."""
        shown = torch.from_numpy(self.world.combination)[rows]
        images = load(self.world, [self.world.names[i] for i in rows.tolist()])
        return images, value_places(self.world)[shown]


class Taught:
    """Images that teach a probe, drawn with every combination in turn, however many of its images
    there are: what a probe learns to expect is what it is asked about."""

    def __init__(self, rows: Rows, batch: Batch):
        self.images, self.targets = batch
        self.count = torch.tensor([len(own) for own in rows])
        self.first = self.count.cumsum(0) - self.count

    def draw(self, seed: int, purpose: str, start: int, count: int) -> Batch:
        """Return images start … start + count − 1 of the stream (seed, purpose), with what they
        show."""
        index = torch.arange(start, start + count)
        kind = index % len(self.count)
        share = streams.uniform(seed, purpose, 0, index)[:, 0]
        place = self.first[kind] + (share * self.count[kind]).long()
        return self.images[place], self.targets[place]
