"""Second opinion on render.py: the same scenes drawn with Pillow, polygon by polygon.

Shares no formula with the signed distances: corners are placed by their angles, and area and
centroid are then measured and put right. Supersampled; without blur and noise.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageChops, ImageDraw
from torch import Tensor

from data_gen.factors import FACTORS
from data_gen.render import OUTLINED, Canvas
from data_gen.scenes import Scenes

Corners = np.ndarray  # float64 (m, 2): x to the right, y upwards
SHAPES = tuple(FACTORS["shape"].words)


def _regular(corners: int) -> Corners:
    return _radial([1.0] * corners)


def _radial(radii: list[float]) -> Corners:
    """Corners at equal angles, the first straight up."""
    angle = math.pi / 2 + 2 * math.pi * np.arange(len(radii)) / len(radii)
    return np.array(radii)[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)


TIP = math.cos(2 * math.pi / 5) / math.cos(math.pi / 5)  # inner over outer radius of a pentagram
POLYGONS: dict[str, Corners] = {
    "triangle": _regular(3),
    "square": np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)], float),
    "pentagon": _regular(5),
    "hexagon": _regular(6),
    "star": _radial([1.0, TIP] * 5),
    "cross": np.array(
        [(1, 3), (1, 1), (3, 1), (3, -1), (1, -1), (1, -3)]
        + [(-1, -3), (-1, -1), (-3, -1), (-3, 1), (-1, 1), (-1, 3)],
        float,
    ),
}


@lru_cache
def unit_polygon(shape: str) -> Corners:
    """Corners of the area of the unit disc, centred at the centroid."""
    x, y = POLYGONS[shape].T
    turn = x * np.roll(y, -1) - np.roll(x, -1) * y  # twice the area of each edge's triangle
    area = turn.sum() / 2
    centroid = [(turn * (v + np.roll(v, -1))).sum() / (6 * area) for v in (x, y)]
    return (POLYGONS[shape] - centroid) * math.sqrt(math.pi / abs(area))


def _isosceles() -> Corners:
    """Base = height, its base below the centre as in arXiv:2406.19370's released images."""
    base = math.sqrt(4 * math.pi / math.sqrt(3))
    bottom = -base / (2 * math.sqrt(3))
    return np.array([(0, bottom + base), (base / 2, bottom), (-base / 2, bottom)])


class _Painter:
    """One mask: draws in half-frames on a canvas of `size` pixels, centre and angle given."""

    def __init__(self, size: int, x: float, y: float, degrees: float):
        self.size, self.x, self.y = size, x, y
        self.cos, self.sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def corners(self, points: Corners) -> list[tuple[float, float]]:
        """Turned counter-clockwise, moved, and in pixels: Pillow's pixel i has its centre at i."""
        u, v = points.T
        x = self.x + u * self.cos - v * self.sin
        y = self.y + u * self.sin + v * self.cos
        column, row = (x + 1) / 2 * self.size - 0.5, (1 - y) / 2 * self.size - 0.5
        return list(zip(column.tolist(), row.tolist(), strict=True))

    def disc(self, radius: float) -> Image.Image:
        mask = Image.new("L", (self.size, self.size))
        (column, row) = self.corners(np.zeros((1, 2)))[0]
        reach = radius * self.size / 2
        if reach > 0:
            box = (column - reach, row - reach, column + reach, row + reach)
            ImageDraw.Draw(mask).ellipse(box, fill=255)
        return mask

    def polygon(self, points: Corners) -> Image.Image:
        mask = Image.new("L", (self.size, self.size))
        ImageDraw.Draw(mask).polygon(self.corners(points), fill=255)
        return mask

    def edge(self, points: Corners, width: float) -> Image.Image:
        """The band within `width` of the polygon's edge, inside and outside."""
        mask, corners = Image.new("L", (self.size, self.size)), self.corners(points)
        ImageDraw.Draw(mask).line(
            [*corners, *corners[:2]], fill=255, width=round(width * self.size), joint="curve"
        )
        return mask


def coverage(scenes: Scenes, canvas: Canvas, supersample: int = 4) -> Float[Tensor, "n h w"]:
    """Share of each pixel the object covers, on a grid of supersample² points a pixel."""
    masks = [_mask(scenes[i : i + 1], canvas, supersample) for i in range(len(scenes))]
    return torch.from_numpy(np.stack(masks)).float() / 255


def _mask(scene: Scenes, canvas: Canvas, supersample: int) -> np.ndarray:
    shape, r = SHAPES[int(scene.shape)], float(scene.size)
    size = canvas.image_size_px * supersample
    painter = _Painter(size, float(scene.x), float(scene.y), float(scene.rotation))
    if shape in ("circle", "ring"):
        mask = _round(painter, shape, r, canvas.line_width * (int(scene.style) == OUTLINED))
    else:
        isosceles = shape == "triangle" and canvas.triangle == "isosceles"
        points = (_isosceles() if isosceles else unit_polygon(shape)) * r
        mask = painter.polygon(points)
        if int(scene.style) == OUTLINED:
            mask = ImageChops.darker(mask, painter.edge(points, canvas.line_width))
    return np.asarray(mask.reduce(supersample))


def _round(painter: _Painter, shape: str, r: float, line: float) -> Image.Image:
    """Disc or ring; with line > 0 only what lies within `line` of its edge."""
    hole = 0.55 if shape == "ring" else 0.0
    outer = r / math.sqrt(1 - hole**2)
    mask = ImageChops.subtract(painter.disc(outer), painter.disc(hole * outer))
    if line and outer * (1 - hole) > (2 if hole else 1) * line:
        inside = ImageChops.subtract(
            painter.disc(outer - line), painter.disc(hole * outer + line * bool(hole))
        )
        mask = ImageChops.subtract(mask, inside)
    return mask


def render(scenes: Scenes, canvas: Canvas, supersample: int = 4) -> Float[Tensor, "n 3 h w"]:
    """Render scenes as float32 images in [0, 1]."""
    background = scenes.background[:, :, None, None]
    contrast = scenes.color[:, :, None, None] - background
    return background + coverage(scenes, canvas, supersample)[:, None] * contrast
