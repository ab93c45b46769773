"""Images of a world of bumps: renders, of any centre."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from classifiers.bump_certificate import compare_with_bump_oracle
from classifiers.bump_oracle import BumpOracle
from classifiers.heads import Head
from classifiers.probe import Batch, Probe
from classifiers.probe_config import ProbeConfig
from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.sections import sections
from data_gen.bumps.world import EXAMPLES, SPLITS, BumpWorld, check_leaks, draw, example_of, render
from data_gen.output.describe import describe_bumps
from data_gen.output.preview import Row, bump_rows
from data_gen.output.sources import BumpSource
from diffusion.model_config import ModelConfig
from diffusion.training_data import TrainingData
from ground.endings import Mistake
from studies.worlds.bumps.contrasts import BumpContrasts
from studies.worlds.bumps.exam import prompt_of
from studies.worlds.bumps.percolation import percolation_lines
from studies.worlds.bumps.probing import bump_batch, bump_curves, bump_heads
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.images import Training, WorldImages
from studies.worlds.model_inputs import bump_conditioning
from studies.worlds.probe_images import (
    DEGRADED_SHARE,
    ORACLE_NOISE,
    ORACLE_RATE,
    ProbeImages,
    rendered_parts,
)
from studies.worlds.tasks import Task


class BumpImages(WorldImages):
    """Images of a world of bumps: renders, as many as are asked for."""

    images_are = "renders"
    advice = "make the world easier to read"

    def __init__(self, config: BumpsConfig):
        self.world = config

    @cached_property
    def labelled(self) -> BumpWorld:
        return BumpWorld(self.world)

    @property
    def heads(self) -> Mapping[str, Head]:
        return bump_heads(self.world)

    def training(self) -> Training:
        labels = self.labelled.labels[self.labelled.select("train")]
        captions = [prompt_of(self.world, label) for label in labels]
        leaks = check_leaks(self.labelled, labels).lines()
        return Training(draw(self.world, labels), captions, labels, leaks)

    def task(self, model: ModelConfig) -> Task:
        """Return one gray image of every training label, told its coordinates."""
        return bump_task(self.labelled, model.rendering)

    def describe(self) -> list[str]:
        return [*describe_bumps(self.labelled), *percolation_lines(self.labelled)]

    def overlap_features(self) -> Float[Tensor, "n d"]:
        """Return the training bumps, bright and not rounded: any two dark ones overlap."""
        if self.world.image != "bump":
            raise Mistake(
                "--overlap: any two crossed stripes overlap; allowed with world.image bump"
            )
        labels = self.labelled.labels[self.labelled.select("train")]
        bumps = labels[example_of(self.world, labels) == EXAMPLES.index("2d")]
        return render(replace(self.world, polarity="bright"), bumps).flatten(1)

    def source(self, test_images: int) -> BumpSource:
        return BumpSource(self.labelled)

    def rows(self, length: int, most: int) -> tuple[list[Row], str]:
        return bump_rows(self.labelled, length), ""

    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        return rendered_parts(partial(bump_batch, self.world), config)

    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        """Return what the oracle reads in the same renders, and both under noise and blur."""
        (images, _), oracle = certificate, BumpOracle(self.world)
        limit = oracle.limit(ORACLE_RATE, config.seed, ORACLE_NOISE, len(images))
        count = len(images) // DEGRADED_SHARE
        return {
            "oracle": compare_with_bump_oracle(probe, oracle, images, limit),
            "degradation": bump_curves(self.world, probe, oracle, limit, config.seed, count),
        }

    def originals(self, seed: int, count: int) -> Sequence[np.ndarray]:
        """Return renders of the centres that are asked for."""
        labels = [part.labels(self.labelled, seed, count) for part in sections(self.labelled)]
        return [draw(self.world, own).permute(0, 2, 3, 1).numpy() for own in labels]

    def contrasts(self, seed: int, settings: DenoiserConfig) -> BumpContrasts:
        return BumpContrasts(self.world, seed, settings)


def bump_task(world: BumpWorld, rendering: float = 0.0) -> Task:
    """Return one gray image of every training label, told its coordinates. rendering: as in
    `ModelConfig`."""
    size, conditioning = world.config.image_size_px, bump_conditioning(world.config, rendering)
    index = world.select("train")

    def load() -> tuple[TrainingData, list[str]]:
        labels = world.labels[index]
        leaks = check_leaks(world, labels).lines()
        inputs = torch.cat((labels, conditioning.prompts.inputs([""])))
        images, row = draw(world.config, labels), torch.arange(len(labels))
        return TrainingData(images, inputs, row, world.example[index], EXAMPLES), leaks

    counts = zip(SPLITS, world.split.bincount().tolist(), strict=False)
    shown = "labels " + ", ".join(f"{name} {count}" for name, count in counts if count)
    return Task(f"{shown}; an image each", (1, size, size), conditioning, load)
