"""Reads a scene off its pixels without having learned anything: a second opinion on the probe.

Every shape and style of a world is fitted with the renderer itself (fits.py); the one that leaves
least is what is shown, its numbers are the estimates, and a concept's value is the one whose
declared span is nearest. Knows nothing of the probe, of training images, nor of how likely a value
is. It presumes that an image *is* a scene of the world: the residual says how far that is wrong.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from classifiers.fits import POSE, ROUNDING, Bank, Fit, Kinds, best_starts, make_bank, refine
from classifiers.degradation import limit_at
from data_gen.concepts import ConceptSpace, place
from data_gen.dataset import labelled_set
from data_gen.endings import Mistake
from data_gen.factors import FACTORS
from data_gen.render import OUTLINED, SHAPES, Canvas
from data_gen.world import World, WorldConfig, complete_nuisances

UNSURE = -1
COARSE_PX = 14  # least size of the reduced images that are searched first
STEPS = 4, 12  # at most, at reduced and at full size
FIRST = 6, 3  # starts refined per image at reduced size, one of a kind; of them in full
SECOND = 16, 6  # the same where that leaves too much: several of a kind
SPACING = 0.125  # of the bank's positions, half-frames: a start within half a small object
RATIO = 1.35  # of neighbouring sizes of the bank
OUTLINE_RATIO = 1.15  # the same where lines must meet lines
TURNS = 5  # angles of the bank per period of a shape
DETECTED = 60.0  # explained / variance; the best fit to pure noise had 38 at most in 9 000 images
CHUNK_PIXELS = 1 << 16  # of images read at a time: the bank's scores bound the memory
PERIODS = {  # degrees after which a shape looks the same; 0: always
    **dict(circle=0, ring=0, triangle=120, square=90, pentagon=72, hexagon=60, star=72, cross=90)
}


@dataclass(frozen=True)
class Readings:
    """What n images show.

    Attributes:
        indices: int64 (n, concepts), place among each concept's values; UNSURE where nothing can
            be said. Columns are as in the probe's targets.
        numbers: factor → float32 (n, channels), estimates as in `Dataset.numbers`: kinds are
            whole numbers, lengths half-frames, colors RGB in [0, 1], rotation degrees (nan for
            what looks the same from all sides).
        places: concept → float32 (n,), a continuous reading: of a concept of one number that
            number; of one of two colors the place between their means, 0 the first and 1 the second.
        residual: float32 (n,), root mean square in [0, 1] units of what the best fit leaves.
        signal: float32 (n,), what the object explains over the variance left; below DETECTED
            there is no object.
    """

    indices: Int[Tensor, "n c"]
    numbers: dict[str, Float[Tensor, "n _"]]
    places: dict[str, Float[Tensor, " n"]]
    residual: Float[Tensor, " n"]
    signal: Float[Tensor, " n"]


class Oracle:
    """The readings of one world of shapes."""

    def __init__(self, config: WorldConfig):
        self.config = config
        self.space = ConceptSpace({name: c.values for name, c in config.concepts.items()})
        self.ends = {n: _ends(config, n) for n, f in FACTORS.items() if f.channels == 1}
        upright = self.ends["rotation"][0] == self.ends["rotation"][1] == 0
        self.turns = self.ends["rotation"][0] < self.ends["rotation"][1]
        self.canvas = Canvas(
            config.image_size_px, config.triangle, config.line_width, config.blur_px, upright
        )
        self.reduction = _reduction(config.image_size_px)
        self.coarse = replace(
            self.canvas,
            image_size_px=config.image_size_px // self.reduction,
            blur_px=config.blur_px / self.reduction,
        )
        self.kinds = _kinds(config)
        self.bank = self._bank()
        self.expected = 0.002 + 2 * config.pixel_noise  # residual that a good fit stays below

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
        if low == high or not period:
            return torch.tensor([low])
        count = math.ceil(TURNS * min(high - low, period) / period) + 1
        return torch.linspace(low, min(high, low + period), count)

    def period(self, shape: str) -> int:
        isosceles = shape == "triangle" and self.config.triangle == "isosceles"
        return 360 if isosceles else PERIODS[shape]

    def read(self, images: Tensor, limit: float | None = None) -> Readings:
        """Read images of the world's size.

        Args:
            images: uint8 (n, h, w, 3) in [0, 255].
            limit: largest residual of a scene (`limit`); all is UNSURE above it.

        Raises Mistake for another type or shape.
        """
        check_images(images, self.config.image_size_px, (3,))
        chunk = max(1, CHUNK_PIXELS // self.config.image_size_px**2)
        parts = [self._read(part, limit) for part in images.split(chunk)]
        return _joined(parts)

    def limit(self, rate: float, seed: int, noise: float = 0.0, count: int = 2048) -> float:
        """The residual that a share `rate` of the world's renders exceeds: see `limit_at`."""
        images = labelled_set(World(self.config), seed, "oracle.limit", 0, count).images
        images = images.permute(0, 2, 3, 1)
        return limit_at(lambda noisy: self.read(noisy).residual, images, rate, seed, noise)

    def _read(self, images: Tensor, limit: float | None) -> Readings:
        kind, fit = self._best(images.permute(0, 3, 1, 2).float() / 255)
        numbers = self._numbers(kind, fit)
        variance = fit.residual.square().clamp(min=ROUNDING**2)
        signal = fit.explained / variance
        names = self.space.names
        columns = [self._decide(name, numbers) for name in names]
        indices = torch.stack(columns, 1)
        objects = torch.tensor([name != "background" for name in names])
        indices[(signal < DETECTED)[:, None] & objects] = UNSURE
        if limit is not None:
            indices[fit.residual > limit] = UNSURE
        places = {name: p for name in names if (p := self._place(name, numbers)) is not None}
        return Readings(indices, numbers, places, fit.residual, signal)

    def _best(self, images: Float[Tensor, "n 3 h w"]) -> tuple[Kinds, Fit]:
        """The kind of smallest residual and its fit; the first of equals."""
        reduced = F.avg_pool2d(images, self.reduction).flatten(2)
        images = images.flatten(2)
        scores, poses = best_starts(reduced, self.bank)
        leaders = _leaders(scores, self.bank.kind)
        number, fit = self._search(images, reduced, leaders, poses, FIRST)
        hard = torch.nonzero(fit.residual > self.expected)[:, 0]
        if len(hard):
            again = self._search(images[hard], reduced[hard], scores[hard], poses[hard], SECOND)
            better = again[1].residual < fit.residual[hard]
            number[hard[better]] = again[0][better]
            fit.replace(hard[better], again[1][better])
        return self.kinds[number], fit

    def _search(
        self, images: Tensor, reduced: Tensor, scores: Tensor, poses: Tensor, kept: tuple[int, int]
    ) -> tuple[Int[Tensor, " n"], Fit]:
        """Kind and fit: the best groups refined at reduced size, the best of those in full."""
        group = scores.topk(min(kept[0], int(scores[:1].isfinite().sum())), dim=1).indices.sort(1).values
        start = poses.gather(1, group[:, :, None].expand(-1, -1, 4))
        number = self.bank.kind[group]
        coarse = self._refine(reduced, number, start, self.coarse, STEPS[0])
        order = coarse.residual.view(number.shape).topk(
            min(kept[1], number.shape[1]), dim=1, largest=False
        )
        number = number.gather(1, order.indices)
        start = coarse.pose.view(start.shape).gather(1, order.indices[:, :, None].expand(-1, -1, 4))
        fit = self._refine(images, number, start, self.canvas, STEPS[1])
        best = fit.residual.view(number.shape).argmin(1)
        rows = torch.arange(len(images)) * number.shape[1] + best
        return number.flatten()[rows], fit[rows]

    def _refine(
        self, images: Tensor, number: Tensor, start: Tensor, canvas: Canvas, steps: int
    ) -> Fit:
        """Fits of k kinds to each image, image by image: n · k rows."""
        repeated = images.repeat_interleave(number.shape[1], dim=0)
        return refine(repeated, self.kinds[number.flatten()], start.flatten(0, 1), canvas, steps)

    def _numbers(self, kinds: Kinds, fit: Fit) -> dict[str, Tensor]:
        numbers = {name: fit.pose[:, i : i + 1] for i, name in enumerate(POSE)}
        numbers["rotation"] = self._rotation(kinds, numbers["rotation"])
        numbers["background"] = fit.background.clamp(0, 1)
        numbers["color"] = (fit.background + fit.contrast).clamp(0, 1)
        numbers["shape"] = kinds.shape[:, None].float()
        numbers["style"] = kinds.style[:, None].float()
        return {name: numbers[name] for name in FACTORS}

    def _rotation(self, kinds: Kinds, degrees: Float[Tensor, "n 1"]) -> Float[Tensor, "n 1"]:
        """The angle nearest to the middle of the world's, among those that look the same."""
        if not self.turns:
            return degrees
        period = self._periods(kinds.shape)
        middle = sum(self.ends["rotation"]) / 2
        return middle + _wrapped(degrees - middle, period)

    def _periods(self, shape: Tensor) -> Float[Tensor, "n 1"]:
        """Degrees; nan where all angles look the same."""
        periods = torch.tensor([float(self.period(name) or math.nan) for name in SHAPES])
        return periods[shape][:, None]

    def _decide(self, name: str, numbers: dict[str, Tensor]) -> Int[Tensor, " n"]:
        """The value of a concept whose span is nearest; of overlapping spans the nearer mean."""
        concept = self.config.concepts[name]
        if not FACTORS[name].channels:
            words = tuple(FACTORS[name].words)
            kinds = torch.tensor([words.index(value) for value in concept.values])
            return (numbers[name] == kinds).long().argmax(1)
        placed = place(name, concept)
        offset = numbers[name][:, None] - torch.from_numpy(placed.mean)
        if name == "rotation":
            offset = _wrapped(offset, self._periods(numbers["shape"][:, 0].long())[:, None])
        beyond = (offset.abs() - torch.from_numpy(placed.spread)).clamp(min=0)
        nearest = (beyond.norm(dim=2) + 1e-3 * offset.norm(dim=2)).nan_to_num(torch.inf)
        return nearest.argmin(1).where(nearest.isfinite().any(1), UNSURE)

    def _place(self, name: str, numbers: dict[str, Tensor]) -> Float[Tensor, " n"] | None:
        channels, concept = FACTORS[name].channels, self.config.concepts[name]
        if channels == 1:
            return numbers[name][:, 0]
        if not channels or len(concept.values) != 2:
            return None
        first, second = torch.from_numpy(place(name, concept).mean)
        along = second - first
        return ((numbers[name] - first) @ along / along.square().sum()).clamp(0, 1)


def check_images(images: Tensor, size: int, channels: tuple[int, ...]) -> None:
    """Raises Mistake unless images are uint8 (n, size, size, one of `channels`), one at least."""
    shape = tuple(images.shape)
    fits = len(shape) == 4 and shape[0] > 0 and shape[1:3] == (size, size) and shape[3] in channels
    if images.dtype != torch.uint8 or not fits:
        allowed = " or ".join(f"(n, {size}, {size}, {count})" for count in channels)
        raise Mistake(f"images: got {images.dtype} {shape}, allowed torch.uint8 {allowed}")


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


def _wrapped(angle: Tensor, period: Tensor) -> Tensor:
    """Into [−period / 2, period / 2)."""
    return (angle + period / 2).remainder(period) - period / 2


def _joined(parts: list[Readings]) -> Readings:
    def join(name: str):
        items = [getattr(part, name) for part in parts]
        if isinstance(items[0], Tensor):
            return torch.cat(items)
        return {key: torch.cat([item[key] for item in items]) for key in items[0]}

    names = ("indices", "numbers", "places", "residual", "signal")
    return Readings(**{name: join(name) for name in names})
