"""Batched signed-distance renderer: scenes → images, anti-aliased, on any device."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data_gen.concepts import SHAPES
from data_gen.scenes import Scenes

# Signed distances to shapes of the area of a disc of radius r, centred at their centroid: negative
# inside, in the unit of x, y and r. Outside a corner they are those of the nearest edge's line.


def circle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return torch.hypot(x, y) - r


def square(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - r * (math.sqrt(math.pi) / 2)


def triangle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Equilateral, one corner up; inradius r·√(π / (3√3))."""
    sides = torch.maximum(-y, x.abs() * (math.sqrt(3) / 2) + y / 2)
    return sides - r * math.sqrt(math.pi / (3 * math.sqrt(3)))


DISTANCES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "circle": circle,
    "triangle": triangle,
    "square": square,
}


def coverage(scenes: Scenes, image_size_px: int) -> Float[Tensor, "n h w"]:
    """Share of each pixel the object covers, from the distance at the pixel's centre."""
    axis = (torch.arange(image_size_px, device=scenes.radius.device) + 0.5) * 2 / image_size_px - 1
    x = axis[None, None, :] - scenes.centre[:, 0, None, None]
    y = -axis[None, :, None] - scenes.centre[:, 1, None, None]
    r = scenes.radius[:, None, None]
    distance = x.new_empty(len(scenes), image_size_px, image_size_px)
    for number, name in enumerate(SHAPES):
        rows = torch.nonzero(scenes.shape == number)[:, 0]
        distance[rows] = DISTANCES[name](x[rows], y[rows], r[rows])
    return (0.5 - distance * (image_size_px / 2)).clamp(0, 1)


def render(scenes: Scenes, image_size_px: int) -> Float[Tensor, "n 3 h w"]:
    """float32 images in [0, 1]."""
    mask = coverage(scenes, image_size_px)[:, None]
    background = scenes.background[:, :, None, None]
    return background + mask * (scenes.color[:, :, None, None] - background)


def to_uint8(images: Float[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    """[0, 1] → the nearest of 0…255."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
