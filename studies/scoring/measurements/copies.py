"""Measurement of copying: how near every image is to the training images."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from studies.run.measured import COPIES
from studies.run.opened import Experiment
from studies.scoring.measurements.measurement import Measurement, Subject

CHUNK = 256  # images whose distances to all training images are in memory at once


class CopyReadings(Measurement):
    """Distances of every image to its nearest training image and to the second nearest one.

    Equal training images count once. A row per image, with its place in `scores` and `nearest` and
    `second_nearest`, root mean squares over pixels and channels, in grey levels.
    """

    name = table = COPIES
    facts: Mapping[str, str] = {}

    def __init__(self, experiment: Experiment):
        self.experiment = experiment

    @cached_property
    def training(self) -> UInt8[Tensor, "m c h w"]:
        return self.experiment.training.images.unique(dim=0)

    def measure(self, subject: Subject) -> pd.DataFrame:
        nearest, second = nearest_two(subject.images, self.training).numpy().T
        rows = pd.DataFrame(subject.rows).assign(nearest=nearest, second_nearest=second)
        return rows.assign(**subject.common)


def nearest_two(
    images: UInt8[Tensor, "n c h w"], training: UInt8[Tensor, "m c h w"]
) -> Float[Tensor, "n 2"]:
    """Return float64 distances to the two nearest training images, the nearest first: root mean
    squares over pixels and channels, in grey levels. Of one training image, the second is infinite.
    """
    known = training.flatten(1).double()
    norms, found = known.square().sum(1), []
    for part in images.flatten(1).double().split(CHUNK):
        squares = part.square().sum(1, keepdim=True) + norms - 2 * part @ known.T
        two = squares.clamp(min=0).topk(min(2, len(known)), largest=False).values
        found.append(torch.nn.functional.pad(two, (0, 2 - two.shape[1]), value=torch.inf))
    return (torch.cat(found) / known.shape[1]).sqrt()
