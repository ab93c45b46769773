"""Where the numbers of a world's scenes lie, and whether what was fitted is one of them.

A fit is free in color, size and place, so it finds a black object, or one of half the size, as well
as any other. Here it is held against the nearest scene that the world allows: what that scene
leaves unexplained of the object, and how far its background is off.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from classifiers.fits import POSE, ROUNDING, Fit, Kinds, coverage_of, fit_colors
from data_gen.concepts import place
from data_gen.factors import FACTORS
from data_gen.render import Canvas
from data_gen.world import WorldConfig, complete_nuisances

# Tolerances. The numbers of a model's images are off by more than those of noisy renders, and the
# images are scenes still.
MISSED = 0.2  # of the squares that an object explains: its contrast may be off by .45
PLACE = 0.15  # half-frames: an object is what it is a pixel beside the places that the world has
BACKGROUND = 0.15  # per channel: under the noise that passes as a scene's a fit is off by .02
# What noise adds to the squares missed, in variances: the number that chi-square of the seven
# degrees of freedom which are held (x, y, size, rotation, color) exceeds once in a hundred times.
CHANCE = 18.48


@dataclass(frozen=True)
class Spans:
    """Boxes in which the numbers of one factor lie, of every value one: mean ± spread.

    Attributes:
        mean, spread: float32 (boxes, channels).
        floor: numbers below are raised to it.
    """

    mean: Float[Tensor, "b c"]
    spread: Float[Tensor, "b c"]
    floor: float

    @classmethod
    def of(cls, config: WorldConfig, name: str) -> "Spans":
        factor = FACTORS[name]
        floor = -torch.inf if factor.floor is None else factor.floor
        if name in config.concepts:
            placed = place(name, config.concepts[name])
            return cls(torch.tensor(placed.mean), torch.tensor(placed.spread), floor)
        low, high = complete_nuisances(config)[name].range
        shape = 1, factor.channels
        return cls(torch.full(shape, (low + high) / 2), torch.full(shape, (high - low) / 2), floor)

    def offset(
        self, numbers: Float[Tensor, "n c"], period: Float[Tensor, "n 1"] | None = None
    ) -> Float[Tensor, "n b c"]:
        """Offset from each mean; of angles the shortest way around the period, nan where it is
        nan."""
        offset = numbers[:, None] - self.mean
        return offset if period is None else wrapped(offset, period[:, None])

    def distance(self, offset: Float[Tensor, "n b c"]) -> Float[Tensor, "n b"]:
        """Distance to each box; of those that hold the number, the nearer mean is nearer. nan:
        inf."""
        beyond = (offset.abs() - self.spread).clamp(min=0)
        return (beyond.norm(dim=2) + 1e-3 * offset.norm(dim=2)).nan_to_num(torch.inf)

    def nearest(
        self, numbers: Float[Tensor, "n c"], period: Float[Tensor, "n 1"] | None = None
    ) -> Float[Tensor, "n c"]:
        """The nearest numbers that a scene may have; unchanged where no angle is another one."""
        offset = self.offset(numbers, period)
        box = self.distance(offset).argmin(1)
        inside = offset.clamp(-self.spread, self.spread)[torch.arange(len(box)), box]
        moved = (self.mean[box] + inside).clamp(min=self.floor)
        return moved.where(~moved.isnan(), numbers)


def wrapped(angle: Tensor, period: Tensor) -> Tensor:
    """Wrap angles into [−period / 2, period / 2)."""
    return (angle + period / 2).remainder(period) - period / 2


class Allowed:
    """The scenes of one world, to hold fits against."""

    def __init__(self, config: WorldConfig):
        names = (*POSE, "color", "background")
        self.spans = {name: Spans.of(config, name) for name in names}
        for name in ("x", "y"):
            spans = self.spans[name]
            self.spans[name] = replace(spans, spread=spans.spread + PLACE)

    def holds(
        self,
        images: Float[Tensor, "n 3 p"],
        kinds: Kinds,
        fit: Fit,
        period: Float[Tensor, "n 1"],
        canvas: Canvas,
    ) -> Bool[Tensor, " n"]:
        """Whether a scene of the world is as good as the fit, up to the tolerances and noise.

        images: float32 in [0, 1], pixels in one row. period: of each shape, degrees; nan for none.
        """
        background = fit.background.clamp(0, 1)
        off = (background - self.spans["background"].nearest(background)).abs().amax(1)
        return self._is_near(images, kinds, fit, period, canvas) & (off <= BACKGROUND)

    def _is_near(
        self, images: Tensor, kinds: Kinds, fit: Fit, period: Tensor, canvas: Canvas
    ) -> Bool[Tensor, " n"]:
        """Whether an object of the world, on the background there is, misses little of the image:
        little of what the fit explains or, of a fit that is paler, of what that object would."""
        held, mask = self._nearest(images, kinds, fit, period, canvas)
        contrast = self.spans["color"].nearest(held.background + held.contrast) - held.background
        rest = images - held.background[:, :, None] - contrast[:, :, None] * mask[:, None]
        missed = rest.square().sum((1, 2)) - fit.residual.square() * rest.shape[1:].numel()
        would = contrast.square().sum(1) * mask.var(1, correction=0) * mask.shape[1]
        variance = fit.residual.square().clamp(min=ROUNDING**2)
        return missed <= MISSED * torch.maximum(fit.explained, would) + CHANCE * variance

    def _nearest(
        self, images: Tensor, kinds: Kinds, fit: Fit, period: Tensor, canvas: Canvas
    ) -> tuple[Fit, Float[Tensor, "n p"]]:
        """The pose moved into its spans, with the colors fitted anew, as an object drawn larger is
        paler in a blurred image; and its coverage."""
        pose = self._pose(fit.pose, period)
        mask = coverage_of(kinds, pose, canvas)
        return fit_colors(images, mask, pose), mask

    def _pose(self, pose: Float[Tensor, "n 4"], period: Tensor) -> Float[Tensor, "n 4"]:
        columns = []
        for name, column in zip(POSE, pose.split(1, dim=1), strict=True):
            around = period if name == "rotation" else None
            columns.append(self.spans[name].nearest(column, around))
        return torch.cat(columns, dim=1)
