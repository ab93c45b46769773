"""The search for the scene of a world that is most like an image.

Images are reduced and compared with a bank of all kinds, sizes and rotations at all places; the
best are refined there, and the best of those at full size (fits.py). Where too much is left, a
second search starts from more of the bank (a long edge outside the frame traps the first), and then
the scene may be softer than the world draws it.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from classifiers.fits import Bank, Fit, Kinds, best_starts, make_bank, refine
from data_gen import looks
from data_gen.concepts import place
from data_gen.factors import FACTORS
from data_gen.render import OUTLINED, SHAPES, Canvas
from data_gen.world import WorldConfig, complete_nuisances

COARSE_PX = 14  # least size of the reduced images that are searched first
STEPS = 4, 12  # at most, at reduced and at full size
FIRST = 6, 3  # starts refined per image at reduced size, one of a kind; of them in full
SECOND = 16, 6  # the same where that leaves too much: several of a kind
SOFT = 0.09, 0.18  # then: scenes blurred by as many half-frames, as a model's images often are
SPACING = 0.125  # of the bank's positions, half-frames: a start within half a small object
RATIO = 1.35  # of neighbouring sizes of the bank
OUTLINE_RATIO = 1.15  # the same where lines must meet lines
ROUGH = 0.002  # residual of a good fit without noise: rounding leaves .0011 at most
TURNS = 5  # angles of the bank per period of a shape


@dataclass(frozen=True)
class Batch:
    """Images with what the bank says of them.

    Attributes:
        images, reduced: float32 in [0, 1], in full and reduced, pixels in one row.
        scores, poses: of each group of the bank, what its best start explains, and that start.
    """

    images: Float[Tensor, "n 3 p"]
    reduced: Float[Tensor, "n 3 q"]
    scores: Float[Tensor, "n g"]
    poses: Float[Tensor, "n g 4"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> "Batch":
        return Batch(self.images[rows], self.reduced[rows], self.scores[rows], self.poses[rows])


class Search:
    """Where the scenes of one world are looked for.

    Attributes:
        ends: lowest and highest number of each factor of one number, over all scenes.
        kinds: pairs of shape and style that the world shows.
        canvas, coarse: how scenes are drawn, in full and reduced.
        canvases: the first of these, and softer ones.
    """

    def __init__(self, config: WorldConfig):
        self.triangle = config.triangle
        self.ends = {n: _ends(config, n) for n, f in FACTORS.items() if f.channels == 1}
        self.kinds, self.reduction = _kinds(config), _reduction(config.image_size_px)
        upright = self.ends["rotation"] == (0.0, 0.0)
        self.canvas = replace(Canvas.of(config), upright=upright)
        self.canvases = (self.canvas, *(self._softened(blur) for blur in SOFT))
        self.coarse = self._reduced(self.canvas)
        self.bank = self._bank()
        self.expected = ROUGH + 2 * config.pixel_noise

    def period(self, shape: str) -> float:
        """Degrees after which a shape looks the same; nan: at any angle."""
        return looks.period(shape, self.triangle)

    def best(self, images: Float[Tensor, "n 3 h w"]) -> tuple[Kinds, Fit, Int[Tensor, " n"]]:
        """The kind of smallest residual, the first of equals, its fit, and on which of `canvases`
        that is drawn."""
        reduced = F.avg_pool2d(images, self.reduction).flatten(2)
        every = Batch(images.flatten(2), reduced, *best_starts(reduced, self.bank))
        leaders = replace(every, scores=_leaders(every.scores, self.bank.kind))
        first = min(FIRST[0], len(self.kinds)), FIRST[1]
        number, fit = self._search(leaders, first, self.canvas)
        drawn = torch.zeros_like(number)
        soft = [(leaders, first, i) for i in range(1, len(self.canvases))]
        for batch, kept, i in [(every, SECOND, 0), *soft]:
            hard = torch.nonzero(fit.residual > self.expected)[:, 0]
            if not len(hard):
                break
            new_number, new_fit = self._search(batch[hard], kept, self.canvases[i])
            better = new_fit.residual < fit.residual[hard]
            number[hard[better]], drawn[hard[better]] = new_number[better], i
            fit.replace(hard[better], new_fit[better])
        return self.kinds[number], fit, drawn

    def _search(
        self, batch: Batch, kept: tuple[int, int], canvas: Canvas
    ) -> tuple[Int[Tensor, " n"], Fit]:
        """Kind and fit: the best groups refined at reduced size, the best of those in full."""
        count = min(kept[0], batch.scores.shape[1])
        group = batch.scores.topk(count, dim=1).indices.sort(1).values
        number, start = self.bank.kind[group], _picked(batch.poses, group)
        coarse = self._refine(batch.reduced, number, start, self._reduced(canvas), STEPS[0])
        order = coarse.residual.view(group.shape).argsort(dim=1, stable=True)[:, : kept[1]]
        number, start = number.gather(1, order), _picked(coarse.pose.view(start.shape), order)
        fit = self._refine(batch.images, number, start, canvas, STEPS[1])
        best = fit.residual.view(order.shape).argmin(1)
        rows = torch.arange(len(batch)) * order.shape[1] + best
        return number.flatten()[rows], fit[rows]

    def _reduced(self, canvas: Canvas) -> Canvas:
        size, blur = canvas.image_size_px // self.reduction, canvas.blur_px / self.reduction
        return replace(canvas, image_size_px=size, blur_px=blur)

    def _softened(self, blur: float) -> Canvas:
        """blur: standard deviation in half-frames, beside what the world has."""
        blur_px = blur * self.canvas.image_size_px / 2
        return replace(self.canvas, blur_px=math.hypot(self.canvas.blur_px, blur_px))

    def _refine(
        self, images: Tensor, number: Tensor, start: Tensor, canvas: Canvas, steps: int
    ) -> Fit:
        """Fits of k kinds to each image, image by image: n · k rows."""
        repeated = images.repeat_interleave(number.shape[1], dim=0)
        return refine(repeated, self.kinds[number.flatten()], start.flatten(0, 1), canvas, steps)

    def _bank(self) -> Bank:
        """A grid over where the world's objects can be, and a little beyond."""
        places = torch.cartesian_prod(*(_grid(*self.ends[name]) for name in ("x", "y")))
        kind, poses = [], []
        for i, shape in enumerate(self.kinds.shape.tolist()):
            for pair in torch.cartesian_prod(self._sizes(), self._angles(SHAPES[shape])):
                kind.append(i)
                poses.append(torch.cat((places, pair.expand(len(places), 2)), dim=1))
        return make_bank(self.kinds, torch.tensor(kind), torch.stack(poses), self.coarse)

    def _sizes(self) -> Float[Tensor, " s"]:
        low, high = self.ends["size"]
        ratio = OUTLINE_RATIO if (self.kinds.style == OUTLINED).any() else RATIO
        count = math.ceil(math.log(high / low) / math.log(ratio)) + 1
        return torch.logspace(math.log10(low), math.log10(high), count)

    def _angles(self, shape: str) -> Float[Tensor, " a"]:
        (low, high), period = self.ends["rotation"], self.period(shape)
        if low == high or math.isnan(period):
            return torch.tensor([low])
        count = math.ceil(TURNS * min(high - low, period) / period) + 1
        return torch.linspace(low, min(high, low + period), count)


def _kinds(config: WorldConfig) -> Kinds:
    """All pairs of shape and style that the world shows."""
    places = []
    for name in ("shape", "style"):
        words, shown = tuple(FACTORS[name].words), _shown(config, name)
        places.append(torch.tensor([words.index(word) for word in shown]))
    shape, style = torch.meshgrid(*places, indexing="ij")
    return Kinds(shape.flatten(), style.flatten())


def _shown(config: WorldConfig, name: str) -> tuple[str, ...]:
    """Words of a factor of kinds that the world shows, in the order of the factor's table."""
    concept = config.concepts.get(name)
    shown = concept.values if concept else complete_nuisances(config)[name].values
    return tuple(word for word in FACTORS[name].words if word in shown)


def _picked(poses: Float[Tensor, "n g 4"], columns: Int[Tensor, "n k"]) -> Float[Tensor, "n k 4"]:
    return poses.gather(1, columns[:, :, None].expand(-1, -1, 4))


def _leaders(scores: Float[Tensor, "n g"], kind: Int[Tensor, " g"]) -> Float[Tensor, "n g"]:
    """Scores with −inf but for the best group of each kind."""
    owner = kind.expand_as(scores)
    most = scores.new_zeros(len(scores), int(kind.max()) + 1)
    best = most.scatter_reduce(1, owner, scores, "amax").gather(1, owner)
    return scores.where(scores == best, -torch.inf)


def _reduction(size: int) -> int:
    """By how much images are reduced: the largest power of two that leaves COARSE_PX."""
    factor = 1
    while size % (2 * factor) == 0 and size // (2 * factor) >= COARSE_PX:
        factor *= 2
    return factor


def _ends(config: WorldConfig, name: str) -> tuple[float, float]:
    """Lowest and highest number of a factor over all of a world's scenes."""
    if name not in config.concepts:
        low, high = complete_nuisances(config)[name].range
    else:
        placed = place(name, config.concepts[name])
        low = float((placed.mean - placed.spread).min())
        high = float((placed.mean + placed.spread).max())
    floor = FACTORS[name].floor
    return (low, high) if floor is None else (max(low, floor), max(high, floor))


def _grid(low: float, high: float) -> Float[Tensor, " g"]:
    """SPACING apart or less, half a SPACING beyond both ends."""
    count = math.ceil((high - low) / SPACING) + 2
    return torch.linspace(low - SPACING / 2, high + SPACING / 2, count)
