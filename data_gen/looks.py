"""When scenes of different numbers look the same: shapes turned onto themselves, values that
overlap. Imports no torch.

A rotation counts up to the symmetry of its shape: what is held out is how a scene looks.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_gen.concepts import Concept, ConceptSpace, place
from data_gen.factors import FACTORS

PERIODS = {  # degrees after which a shape looks the same; nan: at any angle
    **dict(circle=math.nan, ring=math.nan, triangle=120.0, square=90.0, pentagon=72.0),
    **dict(hexagon=60.0, star=72.0, cross=90.0),
}
SHAPES = tuple(FACTORS["shape"].words)
ROUNDING = 1e-5  # of numbers drawn in float32


def period(shape: str, triangle: str) -> float:
    """Degrees after which a shape looks the same; nan if it does at any angle.

    triangle: as in `WorldConfig`.
    """
    return 360.0 if shape == "triangle" and triangle == "isosceles" else PERIODS[shape]


def periods(triangle: str) -> tuple[float, ...]:
    """Periods of all shapes in degrees, in the order of their words: see `period`."""
    return tuple(period(shape, triangle) for shape in SHAPES)


def as_seen(angle: Any, low: float, high: float, turn: Any) -> Any:
    """Angle in [low, high] among those that look the same, else the one nearest to it.

    angle, turn: arrays or tensors of float64, degrees; turn: the shape's period. nan where that is
    nan: nothing of a disc is in a range of angles, as nothing of it is outside.
    """
    low, high = float(np.float32(low)), float(np.float32(high))
    above = low + (angle - low) % turn
    return above - turn * (above - high > low - (above - turn))


def seen_share(ends: tuple[float, float], low: float, high: float, turn: float) -> float:
    """Share of the angles between two ends, uniform, that look as one in [low, high] does."""
    if math.isnan(turn):
        return 0.0
    if ends[0] == ends[1]:
        return float(low <= as_seen(np.float64(ends[0]), low, high, turn) <= high)
    first, last = math.floor((ends[0] - high) / turn), math.ceil((ends[1] - low) / turn)
    places = [turn * k for k in range(first, last + 1)]
    parts = (min(ends[1], high + p) - max(ends[0], low + p) for p in places)
    return min(1.0, sum(max(0.0, part) for part in parts) / (ends[1] - ends[0]))


class Lookalikes:
    """Which combinations draw what others draw too, as far as their concepts say.

    A disc of which only an outline is drawn and a ring, or an outline so thick that it leaves no
    hole and a filled shape, count as different.
    """

    def __init__(
        self,
        space: ConceptSpace,
        concepts: Mapping[str, Concept],
        shapes: Sequence[str],
        triangle: str,
    ):
        """shapes: of all scenes."""
        self.space, self.shapes = space, [SHAPES.index(shape) for shape in shapes]
        self.turns = np.array(periods(triangle))
        self.placed = {n: _placed(n, c) for n, c in concepts.items() if FACTORS[n].channels}
        self.values = np.array([space.value_indices(c) for c in space.combinations])

    def pairs(self, first: np.ndarray, second: np.ndarray, exactly: bool) -> np.ndarray:
        """Tell, as bool (n, m), whether combination first[i] may draw an image of second[j].

        exactly: are all its images such, equally often?
        """
        alike = np.ones((len(first), len(second)), bool)
        for i, name in enumerate(self.space.names):
            a, b = self.values[first, i][:, None], self.values[second, i][None]
            if name == "rotation":
                tables = {shape: self._table(name, exactly, shape) for shape in self.shapes}
                alike &= self._turned(tables, first, a, b, exactly)
            else:
                alike &= self._table(name, exactly)[a, b] if name in self.placed else a == b
        return alike

    def _turned(
        self, tables: dict[int, np.ndarray], first: np.ndarray, a: Any, b: Any, exactly: bool
    ) -> np.ndarray:
        """Of each combination's own shape; of the world's, if shape is no concept."""
        if "shape" not in self.space.names:
            parts = np.stack([table[a, b] for table in tables.values()])
            return (np.all if exactly else np.any)(parts, axis=0)
        own = self.values[first, self.space.names.index("shape")]
        return np.stack([tables[self.shapes[s]] for s in own])[np.arange(len(first))[:, None], a, b]

    def _table(self, name: str, exactly: bool, shape: int | None = None) -> np.ndarray:
        """bool (values, values): do two values of a concept of numbers look alike?"""
        mean, spread = self.placed[name]
        offset = mean[:, None] - mean[None]
        if shape is not None:
            offset = _wrapped(offset, self.turns[shape])
        if exactly:
            alike = (abs(offset) < ROUNDING) & (abs(spread[:, None] - spread[None]) < ROUNDING)
        else:
            reach = spread[:, None] + spread[None]
            alike = abs(offset) < np.where(reach > 0, reach - ROUNDING, ROUNDING)
        return np.all(alike | np.isnan(offset), axis=-1)

    def count(
        self, shown: np.ndarray, numbers: Mapping[str, np.ndarray], others: np.ndarray
    ) -> tuple[int, Counter[tuple[int, int]]]:
        """How many images lie where any of some other combinations is drawn too, and by pair.

        shown: int (n,), indices of combinations; numbers: factor → float (n, channels).
        """
        first = np.unique(shown)
        found, counts = np.zeros(len(shown), bool), Counter[tuple[int, int]]()
        for i, j in np.argwhere(self.pairs(first, others, exactly=False)):
            rows = np.flatnonzero(shown == first[i])
            inside = self._inside({n: part[rows] for n, part in numbers.items()}, int(others[j]))
            counts[int(first[i]), int(others[j])] += int(inside.sum())
            found[rows[inside]] = True
        return int(found.sum()), +counts

    def _inside(self, numbers: Mapping[str, np.ndarray], combination: int) -> np.ndarray:
        """bool (n,): are these numbers of scenes also some of a combination's?"""
        inside = np.ones(len(numbers["shape"]), bool)
        for name, (mean, spread) in self.placed.items():
            value = self.values[combination, self.space.names.index(name)]
            offset = numbers[name].astype(float) - mean[value]
            if name == "rotation":
                offset = _wrapped(offset, self.turns[numbers["shape"].astype(int)])
            inside &= ((abs(offset) <= spread[value] + ROUNDING) | np.isnan(offset)).all(1)
        return inside


def _placed(name: str, concept: Concept) -> tuple[np.ndarray, np.ndarray]:
    """Means and spreads, float64 (values, channels), of what is drawn: raised to the floor."""
    placement, floor = place(name, concept), FACTORS[name].floor
    low, high = placement.mean - placement.spread, placement.mean + placement.spread
    if floor is not None:
        low, high = np.maximum(low, floor), np.maximum(high, floor)
    return (low + high).astype(float) / 2, (high - low).astype(float) / 2


def _wrapped(angle: Any, turn: Any) -> Any:
    """Into [−turn / 2, turn / 2); nan where turn is."""
    return (angle + turn / 2) % turn - turn / 2
