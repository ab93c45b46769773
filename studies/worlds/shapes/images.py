"""Images of a world of shapes: renders, as many as are asked for, of everything."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from classifiers.certificate import compare_with_oracle, degradation_curves
from classifiers.oracle import Oracle
from classifiers.probe import Batch, Probe
from classifiers.probe_config import ProbeConfig
from data_gen.concepts import Combination
from data_gen.dataset import Dataset, labelled_set, leak_check, training_set
from data_gen.leaks import LeakReport
from data_gen.output.describe import describe_shapes
from data_gen.output.preview import Row, combination_rows
from data_gen.output.sources import ShapeSource
from data_gen.render import Canvas, render
from data_gen.scenes import draw_scenes
from data_gen.signals import match_signal, mean_gap
from data_gen.world import World
from ground.endings import Mistake, nearest
from studies.worlds.captioned_images import CaptionedImages
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.exams import value_places
from studies.worlds.probe_images import (
    DEGRADED_SHARE,
    ORACLE_NOISE,
    ORACLE_RATE,
    ProbeImages,
    rendered_parts,
)
from studies.worlds.shapes.contrasts import ShapeContrasts

MEAN_OF = 4096  # renders: of colors .2 apart, ‖difference of means‖² is then known to 2 %
CHUNK = 1024  # of them at once


class ShapeImages(CaptionedImages):
    """Images of a world of shapes: renders, as many as are asked for, of everything."""

    images_are = "renders"
    advice = "make the world easier to read"

    def __init__(self, world: World):
        self.world: World = world

    @property
    def num_training_images(self) -> int:
        return self.world.num_training_images

    @property
    def drawable(self) -> Sequence[Combination]:
        return self.world.space.combinations

    def training_set(self) -> Dataset:
        return training_set(self.world)

    def leak_check(self, data: Dataset) -> LeakReport:
        return leak_check(self.world, data)

    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        return rendered_parts(partial(labelled_batch, self.world), config)

    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        """Return what the oracle reads in the same renders, and both under noise and blur."""
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

    def contrasts(self, seed: int, settings: DenoiserConfig) -> ShapeContrasts:
        return ShapeContrasts(self.world, seed, settings)

    def describe(self) -> list[str]:
        return describe_shapes(self.world)

    def source(self, test_images: int) -> ShapeSource:
        return ShapeSource(self.world, test_images)

    def combination_rows(self, shown: Sequence[Combination], length: int) -> list[Row]:
        return combination_rows(self.world, shown, length)

    def mean_image(self, combination: Combination) -> Float[Tensor, "c h w"]:
        """Return the mean of renders without pixel noise, whose nuisances and places within values
        are the same for every combination: means differ by what is asked alone."""
        place, canvas = self.world.space.index(combination), Canvas.of(self.world.config)
        total = torch.zeros(self.world.image_shape, dtype=torch.float64)
        for index in torch.arange(MEAN_OF).split(CHUNK):
            shown = torch.full_like(index, place)
            scenes = draw_scenes(self.world, shown, self.world.seed, "mean image", index)
            total += render(scenes, canvas).double().sum(0)
        return 2 * total / MEAN_OF - 1

    def match(self, concepts: Sequence[str]) -> str:
        names = self.world.space.names
        for name in concepts:
            if name not in names:
                hint = nearest(name, names)
                raise Mistake(f"--match: no concept {name!r}{hint}; {', '.join(names)}")
        if len(concepts) < 2:
            raise Mistake("--match: give two or more concepts; the first is the measure")
        gap = mean_gap(self.world, concepts[0])
        signals = {name: match_signal(self.world, name, gap) for name in concepts[1:]}
        flags = [f"--world.concepts.{name}.signal {signal:.3g}" for name, signal in signals.items()]
        return f"expected pixel gap of {concepts[0]}: {gap:.2f}; the same with\n{' '.join(flags)}"


def labelled_batch(world: World, seed: int, purpose: str, start: int, count: int) -> Batch:
    """Return renders of all combinations, held-out ones too, and the place of each value."""
    data = labelled_set(world, seed, purpose, start, count)
    return data.images, value_places(world)[data.combination]
