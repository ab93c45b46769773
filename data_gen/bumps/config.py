"""The config of a world of Gaussian bumps and what follows from it. Imports no torch.

The world of Liang, Liu, Ostrow and Fiete, "How Diffusion Models Learn to Factorize and Compose"
(NeurIPS 2024, arXiv:2408.13256). What the paper leaves open is marked "ours".
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from ground.endings import Mistake

NULL_SIGMAS = 3  # one sigma outside, a stripe would still show 61 % of its peak at the border
MAX_LABELS = 1024  # per axis and frame: bounds the memory of a tiling
ROUNDING = 1e-9  # px; 0.1 · 3 is not 0.3


@dataclass(frozen=True)
class HeldOut:
    """What training never sees: a region of the plane of centres, made of one closed interval.

    Attributes:
        region: with I = [low, high],
            none: nothing;
            bands: 2-D examples with x or y in I. The test region is a vertical band (x in I), a
                horizontal band (y in I) and their intersection, each a split of its own;
            interior: 2-D examples with x and y in I, a square of width high − low. Stripes with a
                *rim* of r px of 2-D examples are `examples: both` with the interior r to N − r
                held out, those without a rim are `examples: 1d`;
            exterior: 2-D examples outside that square;
            lesion: all examples that show a value in I, stripes too (that stripes are lesioned
                as well is ours), so the value is new and not only its combinations.
        low, high: px, 0 ≤ low ≤ high ≤ N. Both ends are held out (ours).
    """

    region: Literal["none", "bands", "interior", "exterior", "lesion"] = "bands"
    low: float = 13.0
    high: float = 19.0

    def is_new(self, px: Any) -> Any:
        """Whether no 2-D example shows a coordinate of this value, elementwise of an array: one in
        I or, of exterior, outside it. Of an interior each value is shown, beside others."""
        inside = (self.low <= px) & (px <= self.high)
        if self.region in ("bands", "lesion"):
            return inside
        return ~inside & (self.region == "exterior")


@dataclass(frozen=True)
class BumpsConfig:
    """One world of Gaussian bumps or crossed stripes. Lengths are in px, N = image_size_px.

    A label is a centre (x, y): x to the right and y *down* from the upper left corner of the
    image, so pixel [row, column] has its centre at x = column + ½, y = row + ½ (ours). Training
    centres tile [0, N)² at 0, dx, 2 dx, … and 0, dy, 2 dy, …

    Attributes:
        kind: what the world is made of.
        seed: of the choice of kept centres.
        image_size_px: height and width.
        image: bump, a 2-D Gaussian; stripes, the sum of a vertical stripe at x and a horizontal
            one at y.
        sigma_x, sigma_y: widths of the Gaussians.
        dx, dy: increments of the tiling.
        kept: λ, the fraction kept of the 2-D centres that are not held out: exactly
            round(λ · number) of them. A smaller λ keeps a subset. Stripes are never thinned (ours).
        polarity: bright on black, or dark on white: 1 − image.
        periodic: on a torus: distances are min(|d|, N − |d|) per axis.
        examples: what training gets: 2d, both coordinates in the frame; 1d, single stripes over
            the full range, and blanks; or both.
        margin: labels of 1-D examples extend over [−margin, N + margin). A coordinate outside the
            frame is the *null* value: its stripe is absent, exactly. Null labels lie 3 sigma or
            more outside (ours), where a real stripe would have left the frame too; nearer ones
            would give a label that says "nothing" next to one that shows nearly the same stripe.
        held_out: what training never sees.
    """

    kind: Literal["bumps"] = "bumps"
    seed: int = 0
    image_size_px: int = 32
    image: Literal["bump", "stripes"] = "bump"
    sigma_x: float = 1.0
    sigma_y: float = 1.0
    dx: float = 1.0
    dy: float = 1.0
    kept: float = 1.0
    polarity: Literal["bright", "dark"] = "bright"
    periodic: bool = False
    examples: Literal["2d", "1d", "both"] = "2d"
    margin: float = 6.0
    held_out: HeldOut = field(default_factory=HeldOut)

    @property
    def has_nulls(self) -> bool:
        """Whether some examples show one coordinate alone, or none."""
        return self.examples != "2d"


def frame_tiling(config: BumpsConfig, increment: float) -> list[float]:
    """Coordinates 0, d, 2d, … in [0, N): ⌈N / d⌉ of them."""
    count = math.ceil(config.image_size_px / increment - ROUNDING)
    return [i * increment for i in range(count)]


def null_tiling(config: BumpsConfig, increment: float, sigma: float) -> list[float]:
    """Coordinates i · d in [−margin, N + margin) that lie 3 sigma or more outside the frame."""
    first = math.ceil(-config.margin / increment - ROUNDING)
    stop = math.ceil((config.image_size_px + config.margin) / increment - ROUNDING)
    grid = [i * increment for i in range(first, stop)]
    far = NULL_SIGMAS * sigma - ROUNDING
    return [c for c in grid if max(-c, c - config.image_size_px) >= far]


def check_bumps(config: BumpsConfig) -> None:
    """Refuse what no world can be made of. Raises Mistake, naming the key `world.<field>`."""
    _check_numbers(config)
    _check_held_out(config)
    if config.examples == "2d":
        return
    if config.periodic:
        raise Mistake(
            f"world.examples: got {config.examples!r} with periodic true, allowed '2d': "
            f"on a torus no label is outside the frame, so none can name the null"
        )
    if config.kept < 1 and config.examples == "1d":
        raise Mistake(
            f"world.kept: got {config.kept} with examples '1d', allowed 1: "
            f"it thins 2-D examples and there are none"
        )
    _check_margin(config)


def _check_numbers(config: BumpsConfig) -> None:
    size = config.image_size_px
    for key, value, low, high in (
        ("seed", config.seed, 0, 2**64 - 1),
        ("image_size_px", size, 6, 512),
        ("dx", config.dx, size / MAX_LABELS, size),
        ("dy", config.dy, size / MAX_LABELS, size),
        ("margin", config.margin, 0, size),
    ):
        if not low <= value <= high:
            raise Mistake(f"world.{key}: got {value}, allowed {low} to {high}")
    for key, width, high in (
        ("sigma_x", config.sigma_x, size),
        ("sigma_y", config.sigma_y, size),
        ("kept", config.kept, 1),
    ):
        if not 0 < width <= high:
            raise Mistake(f"world.{key}: got {width}, allowed above 0, at most {high}")


def _check_held_out(config: BumpsConfig) -> None:
    low, high, size = config.held_out.low, config.held_out.high, config.image_size_px
    if config.held_out.region != "none" and not 0 <= low <= high <= size:
        raise Mistake(
            f"world.held_out: got low {low} and high {high}, allowed 0 <= low <= high <= {size}"
        )


def _check_margin(config: BumpsConfig) -> None:
    """Each axis needs a null label; the nearest is the first of its tiling 3 sigma outside."""
    for axis, increment, sigma in (
        ("x", config.dx, config.sigma_x),
        ("y", config.dy, config.sigma_y),
    ):
        nearest = increment * math.ceil(NULL_SIGMAS * sigma / increment - ROUNDING)
        if config.margin < nearest - ROUNDING:
            raise Mistake(
                f"world.margin: got {config.margin}, allowed from {nearest:g}: the first label of "
                f"the tiling that lies {NULL_SIGMAS} sigma_{axis} outside the frame"
            )
