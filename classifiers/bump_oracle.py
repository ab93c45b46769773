"""Reads the centre of a Gaussian bump, or of crossed stripes, off its pixels, to sub-pixel.

Nothing is learned: each axis is a matched filter on its marginal (background + amplitude · profile,
both by least squares), refined by Gauss–Newton; on a torus the profile wraps. Where an axis shows
nothing, there is no centre. Needs profiles that differ from a constant: sigma well below the frame.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from classifiers.degradation import limit_at
from classifiers.oracle import check_images
from data_gen.bumps.config import BumpsConfig, check_bumps
from data_gen.bumps.world import BumpWorld, draw, profile, render
from ground import streams

GRID_PX = 0.25  # of the matched filter: a start well inside the profile's width
STEPS = 6
LONGEST_PX = 0.25
SHOWN = 0.5  # least amplitude of what is shown, as a share of the amplitude of the world's renders
FAINT = 0.3  # by which an amplitude may be off 0 or 1: one half as wide or twice has .63² or 1.26²
CHANCE = 3.0  # standard deviations of what noise adds to that
NULL = -1e6  # a label outside the frame: shows nothing
CHUNK = 1024  # images read at a time: bounds the memory


@dataclass(frozen=True)
class BumpReadings:
    """What n images show.

    Attributes:
        centres: float64 (n, 2), x to the right and y down from the upper left corner, px; nan
            where nothing is shown or nothing can be said.
        shown: bool (n, 2), whether there is a stripe (or a bump's side) at x and at y.
        amplitude: float64 (n, 2), what was found over what the world draws: 0 for none, 1 for it.
        residual: float64 (n,), root mean square in [0, 1] units between the image and the render
            of these centres.
        allowed: bool (n,), whether the world has such images, up to FAINT and noise: a bump or a
            stripe is there whole or, where the world has images without it, not at all.
    """

    centres: Float[Tensor, "n 2"]
    shown: Bool[Tensor, "n 2"]
    amplitude: Float[Tensor, "n 2"]
    residual: Float[Tensor, " n"]
    allowed: Bool[Tensor, " n"]


@dataclass(frozen=True)
class Peak:
    """Peak of each row's profile: its centre in px and its amplitude, float64 (n,)."""

    centre: Float[Tensor, " n"]
    amplitude: Float[Tensor, " n"]


class BumpOracle:
    """The readings of one world of bumps."""

    def __init__(self, config: BumpsConfig):
        check_bumps(config)
        self.config = config

    def read(self, images: Tensor, limit: float | None = None) -> BumpReadings:
        """Read images of the world's size.

        Args:
            images: uint8 (n, h, w, 1) in [0, 255], or (n, h, w, 3) whose channels are averaged.
            limit: largest residual of a scene (`limit`); there are no centres above it, nor where
                the world has no such image. None: every image is taken for a scene.

        Raises Mistake for another type or shape.
        """
        check_images(images, self.config.image_size_px, (1, 3))
        parts = [self._read(part, limit) for part in images.split(CHUNK)]
        names = [f.name for f in fields(BumpReadings)]
        return BumpReadings(**{n: torch.cat([getattr(p, n) for p in parts]) for n in names})

    def limit(self, rate: float, seed: int, noise: float = 0.0, count: int = 2048) -> float:
        """The residual that a share `rate` of the world's renders exceeds: see `limit_at`."""
        images = self.renders(seed, count)
        return limit_at(lambda noisy: self.read(noisy).residual, images, rate, seed, noise)

    def renders(self, seed: int, count: int) -> UInt8[Tensor, "n h w 1"]:
        """Renders of random labels of the world's tiling, held-out ones too."""
        world = BumpWorld(self.config)
        rows = streams.integers(seed, "oracle.limit", 0, torch.arange(count), len(world))
        return draw(self.config, world.labels[rows]).permute(0, 2, 3, 1)

    def _read(self, images: Tensor, limit: float | None) -> BumpReadings:
        bright = images.double().mean(3) / 255
        if self.config.polarity == "dark":
            bright = 1 - bright
        peaks = (self._stripes if self.config.image == "stripes" else self._bump)(bright)
        amplitude = torch.stack([peak.amplitude for peak in peaks], 1)
        centres, shown = torch.stack([peak.centre for peak in peaks], 1), amplitude > SHOWN
        residual = self._residual(bright, torch.where(shown, centres, NULL))
        allowed = self._allowed(centres, amplitude, residual)
        known = shown if limit is None else shown & ((residual <= limit) & allowed)[:, None]
        centres = torch.where(known, centres, torch.nan)
        return BumpReadings(centres, shown, amplitude, residual, allowed)

    def _allowed(
        self, centres: Float[Tensor, "n 2"], amplitude: Tensor, residual: Tensor
    ) -> Bool[Tensor, " n"]:
        drawn = render(self.config, centres)[:, 0].flatten(1)
        power = (drawn - drawn.mean(1, keepdim=True)).square().sum(1).clamp(min=1e-12)
        tolerance = FAINT + CHANCE * residual / power.sqrt()
        off = (amplitude - 1).abs()
        if self.config.examples != "2d":  # where nothing may be shown as well
            off = torch.minimum(amplitude.abs(), off)
        return (off <= tolerance[:, None]).all(1)

    def _residual(self, bright: Tensor, labels: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        drawn = render(self.config, labels)[:, 0]
        if self.config.polarity == "dark":
            drawn = 1 - drawn
        return (bright - drawn).square().mean((1, 2)).sqrt()

    def _stripes(self, bright: Float[Tensor, "n h w"]) -> list[Peak]:
        """Every row is the vertical stripe plus a constant, so means over rows lose nothing."""
        return [self._peak(bright.mean(1) * 2, "x"), self._peak(bright.mean(2) * 2, "y")]

    def _bump(self, bright: Float[Tensor, "n h w"]) -> list[Peak]:
        """First from plain sums; then pixels count as much as the other axis' profile says."""
        ones = torch.ones_like(bright[:, 0])
        peaks = self._peaks(bright, ones, ones)
        shapes = [profile(self.config, peaks[0].centre, self.config.sigma_x)]
        shapes += [profile(self.config, peaks[1].centre, self.config.sigma_y)]
        weights = []
        for peak, shape, other in zip(peaks, shapes, shapes[::-1], strict=True):
            shown = peak.amplitude > SHOWN * other.sum(1)
            weights.append(torch.where(shown[:, None], shape, 1.0))
        pairs = zip(self._peaks(bright, *weights), weights[::-1], strict=True)
        return [Peak(p.centre, p.amplitude / other.square().sum(1)) for p, other in pairs]

    def _peaks(self, bright: Tensor, across: Tensor, down: Tensor) -> list[Peak]:
        """Both axes, each summed over the other with that one's weights (n, size)."""
        return [
            self._peak((bright * down[:, :, None]).sum(1), "x"),
            self._peak((bright * across[:, None]).sum(2), "y"),
        ]

    def _peak(self, line: Float[Tensor, "n size"], axis: str) -> Peak:
        """Background + amplitude · profile, of least squares."""
        sigma = self.config.sigma_x if axis == "x" else self.config.sigma_y
        line = line - line.mean(1, keepdim=True)
        centre = self._filtered(line, sigma)
        for _ in range(STEPS):
            centre = self._wrapped(centre + self._step(line, centre, sigma))
        shape = self._centred_profile(centre, sigma)
        return Peak(centre, (shape * line).sum(1) / shape.square().sum(1).clamp(min=1e-12))

    def _filtered(self, line: Tensor, sigma: float) -> Float[Tensor, " n"]:
        """The grid's centre whose profile explains most."""
        size = self.config.image_size_px
        grid = torch.linspace(0, size, round(size / GRID_PX) + 1, dtype=line.dtype)
        shapes = self._centred_profile(grid, sigma)
        shapes = shapes / shapes.norm(dim=1, keepdim=True).clamp(min=1e-9)
        return grid[(line @ shapes.T).argmax(1)]

    def _step(self, line: Tensor, centre: Tensor, sigma: float) -> Float[Tensor, " n"]:
        """Gauss–Newton for the centre alone; background and amplitude are projected out."""
        h = 1e-4
        shape = self._centred_profile(centre, sigma)
        slope = (self._centred_profile(centre + h, sigma) - shape) / h
        power = shape.square().sum(1).clamp(min=1e-12)
        slope = slope - ((slope * shape).sum(1) / power)[:, None] * shape
        amplitude = ((shape * line).sum(1) / power).clamp(min=1e-9)
        step = (slope * line).sum(1) / (amplitude * slope.square().sum(1)).clamp(min=1e-12)
        return step.clamp(-LONGEST_PX, LONGEST_PX)

    def _centred_profile(self, centre: Tensor, sigma: float) -> Float[Tensor, "n size"]:
        shape = profile(self.config, centre, sigma)
        return shape - shape.mean(1, keepdim=True)

    def _wrapped(self, centre: Tensor) -> Tensor:
        size = self.config.image_size_px
        return centre.remainder(size) if self.config.periodic else centre.clamp(0, size)
