"""The images that a world gives an experiment: one contract, which every kind of world meets."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from classifiers.probe import Batch, Probe
from classifiers.probe_config import ProbeConfig
from data_gen.dataset import Dataset, labelled_set, leak_check, training_set
from data_gen.leaks import LeakReport
from data_gen.photos.world import PhotoWorld
from data_gen.world import World
from studies.photo_images import PhotoImages
from studies.probing import ProbeImages, Readable, labelled_batch, second_opinion


class WorldImages(Readable, Protocol):
    """To train on and, labelled, for the probe and for the ceiling of its scores."""

    def training_set(self) -> Dataset: ...

    def leak_check(self, data: Dataset) -> LeakReport:
        """Raises Mistake on a leak."""

    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        """For each combination uint8 (n, h, w, 3), n = count, or as many as there are: not those
        that a probe was taught with."""


def images_of(world: World | PhotoWorld) -> WorldImages:
    return ShapeImages(world) if isinstance(world, World) else PhotoImages(world)


class ShapeImages:
    """Renders: as many as are asked for, of everything."""

    images_are = "renders"
    advice = "make the world easier to read"

    def __init__(self, world: World):
        self.world = world

    def training_set(self) -> Dataset:
        return training_set(self.world)

    def leak_check(self, data: Dataset) -> LeakReport:
        return leak_check(self.world, data)

    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        def batch(purpose: str, start: int, count: int) -> Batch:
            return labelled_batch(self.world, config.seed, f"probe.{purpose}", start, count)

        parts = ("fit", "limit", "certificate")
        size = config.batch_size
        return ProbeImages(
            lambda step: batch("train", step * size, size),
            *(batch(part, 0, config.certificate_images) for part in parts),
        )

    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        return second_opinion(self.world, config, probe, certificate[0])

    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        kinds = len(self.world.space)
        images = labelled_set(self.world, seed, "render", 0, count * kinds).images
        images = images.permute(0, 2, 3, 1).unflatten(0, (count, kinds))
        return list(images.transpose(0, 1).numpy())
