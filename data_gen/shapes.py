"""Signed distances of the shapes: negative inside, in the unit of x, y and r.

Every shape has the area of a disc of radius r and is centred at its centroid, one corner up (the
isosceles triangle of arXiv:2406.19370 is neither). Outside a corner the distance is that of the
nearest edge's line, so that corners stay sharp.

Drawn with edges one pixel wide, a filled shape whose parts are no thinner gets somewhat more, on
average over places within a pixel: the mean of its areas at distances −½ … ½ px. Where an offset of
t px adds κ t² px² beyond what it adds along the edge, that is κ/12 px² at every size: π/12 for a
disc (.26), 4/12 for square and cross, .43 for the triangle, .29 for the hexagon, .30 for the
pentagon, 0 for the ring. So they draw within .27 px² of their disc. The star's sharp tips would
take .98: see `drawn_radius`.

x: (…, 1, w) and y: (…, h, 1), or both (…, h, w); r: (…, 1, 1). All return (…, h, w).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor, Tensor], Tensor]
SIDE, TIP = math.tan(math.pi / 5), math.tan(2 * math.pi / 5)  # of a star about an inradius of 1
STAR_INRADIUS = math.sqrt(math.pi / (5 * SIDE + 5 * SIDE**2 * TIP))  # of the unit disc's area


def circle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return _radius(x, y) - r


def ring(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Annulus whose hole has .55 of its outer radius."""
    outer = r / math.sqrt(1 - 0.55**2)
    return (_radius(x, y) - outer * 0.775).abs() - outer * 0.225


def square(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - r * (math.sqrt(math.pi) / 2)


def triangle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Equilateral triangle; inradius r·√(π / (3√3))."""
    sides = torch.maximum(-y, x.abs() * (math.sqrt(3) / 2) + y / 2)
    return sides - r * math.sqrt(math.pi / (3 * math.sqrt(3)))


def isosceles(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Isosceles triangle, base = height = r·√(4π/√3), the base .7776 r below the centre
    (arXiv:2406.19370's code)."""
    base = r * math.sqrt(4 * math.pi / math.sqrt(3))
    bottom = base / (2 * math.sqrt(3))
    slope = x.abs() * (2 / math.sqrt(5)) + (y - (base - bottom)) / math.sqrt(5)
    return torch.maximum(-y - bottom, slope)


def pentagon(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return _polygon(x, y, 5) - r * _inradius(5)


def hexagon(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    x, y = x.abs(), y.abs()
    sides = torch.maximum(x, x / 2 + y * (math.sqrt(3) / 2))
    return sides - r * _inradius(6)


def star(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Pentagram: the points outside at most one side of its inner pentagon."""
    lines = [_line(x, y, math.pi / 2 + 2 * math.pi * k / 5) for k in range(5)]
    first, second = torch.maximum(*lines[:2]), torch.minimum(*lines[:2])
    for line in lines[2:]:
        second = torch.maximum(second, torch.minimum(first, line))
        first = torch.maximum(first, line)
    return second - r * STAR_INRADIUS


def cross(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Two bars, three times as long as wide."""
    x, y = x.abs(), y.abs()
    length = r * math.sqrt(9 * math.pi / 20)
    lying = torch.maximum(x - length, y - length / 3)
    return torch.minimum(lying, torch.maximum(x - length / 3, y - length))


def drawn_radius(r: Tensor, pixel: float) -> Tensor:
    """Radius with which a star, filled and drawn with edges one pixel wide, has as much area as a
    disc of radius r that is drawn so. pixel: width of one, in the unit of r."""
    share = STAR_INRADIUS**2 * _ramp_area(r / pixel)
    return _ramp_inradius(share) * (pixel / STAR_INRADIUS)


def _ramp_area(inradius: Tensor) -> Tensor:
    """∫ (inradius + t)² dt over the t of [−½, ½] where that is no negative length, in px."""
    return torch.where(inradius > 0.5, inradius**2 + 1 / 12, (inradius + 0.5) ** 3 / 3)


def _ramp_inradius(area: Tensor) -> Tensor:
    """The inverse of `_ramp_area`."""
    wide = (area.clamp(min=1 / 3) - 1 / 12).sqrt()
    return torch.where(area > 1 / 3, wide, (3 * area) ** (1 / 3) - 0.5)


def _radius(x: Tensor, y: Tensor) -> Tensor:
    """√(x² + y²), rounded once: as exact as torch.hypot, and faster; its slope at 0 is 0."""
    u, v = x.double(), y.double()
    # no square of a float32 is as small, but 0, where the slope of √ is infinite
    return (u * u + v * v).clamp_(min=1e-300).sqrt().to(x.dtype)


def _line(x: Tensor, y: Tensor, angle: float) -> Tensor:
    """Distance along the direction `angle`."""
    return x * math.cos(angle) + y * math.sin(angle)


def _polygon(x: Tensor, y: Tensor, corners: int) -> Tensor:
    """Largest distance along the normals of a regular polygon with one corner up (odd)."""
    normals = [-math.pi / 2 + 2 * math.pi * k / corners for k in range(corners // 2 + 1)]
    x, distance = x.abs(), -y
    for angle in normals[1:]:
        distance = torch.maximum(distance, _line(x, y, angle))
    return distance


def _inradius(corners: int) -> float:
    """Of the regular polygon of the unit disc's area."""
    return math.sqrt(math.pi / (corners * math.tan(math.pi / corners)))


DISTANCES: dict[str, Distance] = {
    "circle": circle,
    "triangle": triangle,
    "square": square,
    "pentagon": pentagon,
    "hexagon": hexagon,
    "star": star,
    "ring": ring,
    "cross": cross,
}
