"""The images that a world gives an experiment: one contract, which every kind of world meets."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from jaxtyping import Real, UInt8
from torch import Tensor

from classifiers.certificate import compare_with_oracle, degradation_curves
from classifiers.heads import Head
from classifiers.oracle import Oracle
from classifiers.probe import Batch, Probe
from classifiers.probe_config import ProbeConfig
from data_gen.dataset import Dataset, labelled_set, leak_check, training_set
from data_gen.leaks import LeakReport
from data_gen.photos.world import PhotoWorld
from data_gen.world import World
from studies.scoring.probing import (
    DEGRADED_SHARE,
    ORACLE_NOISE,
    ORACLE_RATE,
    ProbeImages,
    Readable,
    labelled_batch,
    rendered_parts,
)
from studies.worlds.exams import value_places


@dataclass(frozen=True)
class Training:
    """What a model was shown.

    Attributes:
        captions: of each image, the prompt that it was shown with.
        values: what each image shows: the place of the value of every concept, or coordinates.
        leaks: lines of the leak check.
    """

    images: UInt8[Tensor, "n c h w"]
    captions: Sequence[str]
    values: Real[Tensor, "n k"]
    leaks: Sequence[str]


class WorldImages(Readable, Protocol):
    """To train on and, labelled, for the probe and for the ceiling of its scores."""

    def training(self) -> Training:
        """Raises Mistake on a leak."""

    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        """For each plain question uint8 (n, h, w, c), n = count, or as many as there are: not those
        that a probe was taught with. seed: `evaluate.seed`."""


class CaptionedImages(ABC):
    """Of a world with captions."""

    world: World | PhotoWorld

    @property
    def heads(self) -> Mapping[str, Head]:
        return dict(self.world.space.items())

    @property
    @abstractmethod
    def num_training_images(self) -> int: ...

    @abstractmethod
    def training_set(self) -> Dataset: ...

    @abstractmethod
    def leak_check(self, data: Dataset) -> LeakReport:
        """Raises Mistake on a leak."""

    def training(self) -> Training:
        data = self.training_set()
        captions = [data.captions[i] for i in data.caption.tolist()]
        values = value_places(self.world)[data.combination]
        return Training(data.images, captions, values, self.leak_check(data).lines())


class ShapeImages(CaptionedImages):
    """Renders: as many as are asked for, of everything."""

    images_are = "renders"
    advice = "make the world easier to read"

    def __init__(self, world: World):
        self.world: World = world

    @property
    def num_training_images(self) -> int:
        return self.world.num_training_images

    def training_set(self) -> Dataset:
        return training_set(self.world)

    def leak_check(self, data: Dataset) -> LeakReport:
        return leak_check(self.world, data)

    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        return rendered_parts(partial(labelled_batch, self.world), config)

    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        """What the oracle reads in the same renders, and both under noise and blur."""
        (images, _), oracle = certificate, Oracle(self.world.config)
        limit = oracle.limit(ORACLE_RATE, config.seed, ORACLE_NOISE, len(images))
        count = len(images) // DEGRADED_SHARE
        return {
            "oracle": compare_with_oracle(probe, oracle, images, limit),
            "degradation": degradation_curves(self.world, probe, oracle, limit, config.seed, count),
        }

    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        kinds = len(self.world.space)
        images = labelled_set(self.world, seed, "render", 0, count * kinds).images
        images = images.permute(0, 2, 3, 1).unflatten(0, (count, kinds))
        return list(images.transpose(0, 1).numpy())
