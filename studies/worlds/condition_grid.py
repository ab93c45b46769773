"""Grid of conditions: every combination of the values of a world's features, as prompts.

Imports no torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Literal

import numpy as np

Kind = Literal["circle", "arc", "values"]


@dataclass(frozen=True)
class Feature:
    """Feature that a grid varies.

    Attributes:
        name: of a concept or coordinate.
        values: words, or numbers in px.
        kind: circle, if the last number is beside the first; arc, if it is not; values: words.
        span: of a circle or arc, how many px it is long.
    """

    name: str
    values: Sequence[str] | Sequence[float]
    kind: Kind
    span: float = math.nan

    @property
    def targets(self) -> np.ndarray:
        """Return what a linear readout is to find, float64 (values, k): cos and sin of a place on a
        circle, a place on an arc, one-hot words."""
        if self.kind == "values":
            return np.eye(len(self.values))
        place = np.array(self.values, dtype=np.float64) / self.span
        if self.kind == "arc":
            return place[:, None]
        return np.stack([np.cos(2 * np.pi * place), np.sin(2 * np.pi * place)], axis=1)


@dataclass(frozen=True)
class ConditionGrid:
    """Grid of conditions.

    Attributes:
        features: each with two values or more.
        prompts: of every combination of their values, those of the last feature fastest.
    """

    features: tuple[Feature, ...]
    prompts: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(feature.values) for feature in self.features)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Return places of all pairs of features."""
        return list(combinations(range(len(self.features)), 2))

    @property
    def conditions(self) -> list[dict[str, str | float]]:
        """Return the value of every feature, by its name, of every prompt."""
        names = [feature.name for feature in self.features]
        every: Any = product(*(feature.values for feature in self.features))
        return [dict(zip(names, values, strict=True)) for values in every]

    def targets(self, place: int) -> np.ndarray:
        """Return what a linear readout of one feature is to find, float64 (prompts, k)."""
        values = np.indices(self.shape)[place].ravel()
        return np.asarray(self.features[place].targets[values])
