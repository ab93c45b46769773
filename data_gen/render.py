"""Batched signed-distance renderer: scenes → images, anti-aliased, on any device.

Differentiable in every number of a scene, by reverse and by forward mode.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from data_gen.factors import FACTORS
from data_gen.scenes import Scenes
from data_gen.shapes import DISTANCES, Distance, drawn_radius, isosceles
from data_gen.world import World, WorldConfig
from ground import streams

CHUNK_PIXELS = 1 << 20  # rendered at a time: with fewer, starting an operation costs too much
SHAPES = tuple(FACTORS["shape"].words)
OUTLINED = tuple(FACTORS["style"].words).index("outlined")


@dataclass(frozen=True)
class Canvas:
    """How scenes are drawn; all but `upright` is as in `WorldConfig`."""

    image_size_px: int
    triangle: str = "equilateral"
    line_width: float = 0.15
    blur_px: float = 0.0
    upright: bool = False  # no scene is turned, which saves the turning

    @classmethod
    def of(cls, config: WorldConfig) -> "Canvas":
        return cls(config.image_size_px, config.triangle, config.line_width, config.blur_px)

    def distance(self, shape: str) -> Distance:
        if shape == "triangle" and self.triangle == "isosceles":
            return isosceles
        return DISTANCES[shape]


def render(scenes: Scenes, canvas: Canvas) -> Float[Tensor, "n 3 h w"]:
    """Render scenes as float32 images in [0, 1]."""
    return _composite(scenes, coverage(scenes, canvas))


def _composite(scenes: Scenes, mask: Tensor, out: Tensor | None = None) -> Tensor:
    """Color where the mask is 1, background where it is 0; written to `out` if given."""
    background = scenes.background[:, :, None, None]
    contrast = scenes.color[:, :, None, None] - background
    return torch.mul(mask[:, None], contrast, out=out).add_(background)


def coverage(scenes: Scenes, canvas: Canvas) -> Float[Tensor, "n h w"]:
    """Share of each pixel the object covers, from the distance at the pixel's centre."""
    size = canvas.image_size_px
    shapes = scenes.shape.unique().tolist()
    if len(shapes) == 1:
        mask = _coverage(scenes, canvas, SHAPES[shapes[0]])
        return _blurred(mask, canvas.blur_px) if canvas.blur_px else mask
    mask = scenes.size.new_empty(len(scenes), size, size)
    for number in shapes:
        rows = torch.nonzero(scenes.shape == number)[:, 0]
        mask[rows] = _coverage(scenes[rows], canvas, SHAPES[number])
    return _blurred(mask, canvas.blur_px) if canvas.blur_px else mask


def _coverage(scenes: Scenes, canvas: Canvas, shape: str) -> Tensor:
    """Coverage of scenes of one shape."""
    size = canvas.image_size_px
    axis = (torch.arange(size, device=scenes.x.device) + 0.5) * 2 / size - 1
    x = axis[None, None, :] - scenes.x[:, None, None]
    y = -axis[None, :, None] - scenes.y[:, None, None]
    if not canvas.upright:
        angle = torch.deg2rad(scenes.rotation)[:, None, None]
        cos, sin = torch.cos(angle), torch.sin(angle)
        x, y = x * cos + y * sin, y * cos - x * sin
    r = drawn_radius(scenes.size, 2 / size) if shape == "star" else scenes.size
    d = canvas.distance(shape)(x, y, r[:, None, None])
    outlined = scenes.style == OUTLINED
    if outlined.any():
        half = canvas.line_width / 2
        d = torch.where(outlined[:, None, None], (d + half).abs() - half, d)
    return d.mul_(-size / 2).add_(0.5).clamp_(0, 1)


def _blurred(mask: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian, edges reflected, as a product with one matrix per axis."""
    matrix = _blur_matrix(mask.shape[-1], sigma).to(mask.device)
    return matrix.mT @ (mask @ matrix)


@lru_cache(maxsize=8)
def _blur_matrix(size: int, sigma: float) -> Tensor:
    """float32 (size, size): column j holds what pixel j takes from each pixel. Cut at 4 sigma."""
    reach = math.ceil(4 * sigma)
    offset = torch.arange(-reach, reach + 1)
    weight = torch.exp(-(offset.double() ** 2) / (2 * sigma**2))
    source = (torch.arange(size)[:, None] + offset).remainder(2 * size)
    source = torch.where(source < size, source, 2 * size - 1 - source)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(0, source.T, (weight / weight.sum())[:, None].expand(-1, size))
    return matrix.float()


def draw(
    world: World, scenes: Scenes, seed: int, purpose: str, index: Int[Tensor, " n"]
) -> UInt8[Tensor, "n 3 h w"]:
    """Finished images, noise included: that of image i comes from (seed, purpose, i).

    Rendered a cache-full at a time; memory beside the result does not grow with n.
    """
    _keep_freed_memory()
    config = world.config
    canvas = replace(Canvas.of(config), upright=not bool(scenes.rotation.any()))
    size = config.image_size_px
    images = torch.empty(len(scenes), 3, size, size, dtype=torch.uint8, device=index.device)
    chunk = max(1, min(CHUNK_PIXELS // size**2, len(scenes)))
    # written over and over: fresh memory costs as much as what is computed in it
    buffer = torch.empty(chunk, 3, size, size, device=index.device)
    rounded = torch.empty(buffer.shape, dtype=torch.int16, device=index.device)
    for start in range(0, len(scenes), chunk):
        part = slice(start, start + chunk)
        drawn = scenes[part]
        image = _composite(drawn, coverage(drawn, canvas), buffer[: len(drawn)])
        if config.pixel_noise:
            noise = streams.coarse_normal(seed, f"{purpose}.pixels", 0, index[part], 3 * size**2)
            image.add_(noise.view_as(image), alpha=config.pixel_noise).clamp_(0, 1)
        # to the nearest; by way of int16, to which float32 is converted faster
        images[part] = rounded[: len(drawn)].copy_(image.mul_(255).round_())
    return images


@lru_cache(maxsize=1)
def _keep_freed_memory() -> None:
    """Make glibc reuse the memory of one chunk for the next: a tenth more images with noise.

    It hands freed memory back to the system beyond a threshold that grows with the largest block
    ever freed, up to 32 MiB; then every chunk's pages are faulted in anew. Elsewhere: no effect.
    """
    torch.empty((1 << 25) - 8192, dtype=torch.uint8)
