"""Contract of a world's images, which every kind of world meets: to train on, and for the probe."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Real, UInt8
from torch import Tensor

from classifiers.heads import Head
from classifiers.probe import Batch, Probe
from classifiers.probe_config import ProbeConfig
from data_gen.output.preview import Row
from data_gen.output.sources import Source
from diffusion.model_config import ModelConfig
from ground.endings import Mistake
from studies.worlds.contrasts import Contrasts
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.probe_images import ProbeImages
from studies.worlds.tasks import Task


@dataclass(frozen=True)
class Training:
    """Images that a model was shown, with their prompts.

    Attributes:
        captions: of each image, the prompt that it was shown with.
        values: what each image shows: the place of the value of every concept, or coordinates.
        leaks: lines of the leak check.
    """

    images: UInt8[Tensor, "n c h w"]
    captions: Sequence[str]
    values: Real[Tensor, "n k"]
    leaks: Sequence[str]


class WorldImages(ABC):
    """Images to train on and, labelled, for the probe and for the ceiling of its scores.

    Class attributes:
        images_are: what its labelled images are called.
        advice: what to do, beside training longer, if the probe stays below its gate.
    """

    images_are: ClassVar[str]
    advice: ClassVar[str]

    @property
    @abstractmethod
    def heads(self) -> Mapping[str, Head]:
        """Return what the probe learns to read, in the order of the targets."""

    @abstractmethod
    def task(self, model: ModelConfig) -> Task:
        """Return what a model is to learn. Raises Mistake for a text encoder that is not to be had,
        numbers that tell too little, and a world of which nothing is left to train on."""

    @abstractmethod
    def training(self) -> Training:
        """Return what a model is shown. Raises Mistake on a leak."""

    @abstractmethod
    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        """Return labelled images for the probe. Raises Mistake where there are too few."""

    @abstractmethod
    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        """Return `oracle` and `degradation`, as the certificate of a probe has them."""

    @abstractmethod
    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        """Return for each plain question uint8 (n, h, w, c), n = count, or as many as there are:
        none that a probe was taught with. seed: `evaluate.seed`."""

    def contents(self) -> str | None:
        """Return a hash of what its files hold, which a run records; None: no files."""
        return None

    @abstractmethod
    def describe(self) -> list[str]:
        """Return lines that say what is shown how often, how far apart, and what is held out."""

    @abstractmethod
    def source(self, test_images: int) -> Source:
        """Return what can be exported, with so many test images where images are rendered."""

    @abstractmethod
    def rows(self, length: int, most: int) -> tuple[list[Row], str]:
        """Return rows of `length` images for a contact sheet, at most `most` of them, and, where
        that leaves some out, which part of all they are."""

    def contrasts(self, seed: int, settings: DenoiserConfig) -> Contrasts:
        """Return fresh scenes of every question, with the ideal denoiser of each prompt. seed:
        `evaluate.seed`."""
        raise Mistake("evaluate.denoiser.levels: allowed none where no renderer draws the world")

    def overlap_features(self) -> Float[Tensor, "n d"]:
        """Return the images whose overlap links them, float32: of training, less their mean, which
        most have in common. Raises Mistake for images of which any two overlap."""
        images = self.training().images.flatten(1).float()
        return images - images.mean(0)

    def match(self, concepts: Sequence[str]) -> str:
        """Return the flags that give concepts the measured signal of the first of them."""
        raise Mistake("--match: only worlds of shapes have signals to match")
