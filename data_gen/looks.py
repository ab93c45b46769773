"""When scenes of different numbers look the same: shapes turned onto themselves, values that
overlap. Imports no torch.

A rotation counts up to the symmetry of its shape: what is held out is how a scene looks.
"""

import math
from typing import Any

import numpy as np

from data_gen.factors import FACTORS

PERIODS = {  # degrees after which a shape looks the same; nan: at any angle
    **dict(circle=math.nan, ring=math.nan, triangle=120.0, square=90.0, pentagon=72.0),
    **dict(hexagon=60.0, star=72.0, cross=90.0),
}
SHAPES = tuple(FACTORS["shape"].words)


def period(shape: str, triangle: str) -> float:
    """Degrees after which a shape looks the same; nan if it does at any angle.

    triangle: as in `WorldConfig`.
    """
    return 360.0 if shape == "triangle" and triangle == "isosceles" else PERIODS[shape]


def periods(triangle: str) -> tuple[float, ...]:
    """Of all shapes, in the order of their words."""
    return tuple(period(shape, triangle) for shape in SHAPES)


def as_seen(angle: Any, low: float, high: float, turn: Any) -> Any:
    """Of the angles that look the same, the one in [low, high], else the one nearest to it.

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
