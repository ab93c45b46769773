"""Reads a scene off its pixels without having learned anything: a second opinion on the probe.

Every shape and style of a world is fitted with the renderer itself (scene_search.py); the one that
leaves least is what is shown, its numbers are the estimates, and a concept's value is the one whose
declared span is nearest. Knows nothing of the probe, of training images, nor of how likely a value
is. It presumes that an image *is* a scene of the world: the residual says how far that is wrong.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from classifiers.degradation import limit_at
from classifiers.fits import POSE, ROUNDING, Fit, Kinds
from classifiers.scene_search import Search
from classifiers.spans import Allowed, Spans, wrapped
from data_gen.concepts import ConceptSpace, place
from data_gen.dataset import labelled_set
from data_gen.factors import FACTORS
from data_gen.render import SHAPES
from data_gen.world import World, WorldConfig
from ground.endings import Mistake

UNSURE = -1
DETECTED = 60.0  # explained / variance; the best fit to pure noise had 40 at most in 7 000 images
CHUNK_PIXELS = 1 << 16  # of images read at a time: the bank's scores bound the memory
CHUNKS_OF_GPU = 16  # of these at a time: there, starting an operation costs more than most of them


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
            number; of one of two colors the place between their means, from 0 to 1.
        residual: float32 (n,), root mean square in [0, 1] units of what the best fit leaves; that
            fit may be somewhat softer than the world's scenes (scene_search.SOFT).
        signal: float32 (n,), what the object explains over the variance left; below DETECTED
            there is no object.
        allowed: bool (n,), whether the world has such a scene, up to the tolerances of spans.py;
            true where there is no object.
    """

    indices: Int[Tensor, "n c"]
    numbers: dict[str, Float[Tensor, "n _"]]
    places: dict[str, Float[Tensor, " n"]]
    residual: Float[Tensor, " n"]
    signal: Float[Tensor, " n"]
    allowed: Bool[Tensor, " n"]


class Oracle:
    """The readings of one world of shapes. device: where it computes; it reads from the CPU and
    says what it sees there."""

    def __init__(self, config: WorldConfig, device: torch.device | None = None):
        self.config, self.device = config, device or torch.device("cpu")
        with self._on_device():
            self.search, self.scenes = Search(config), Allowed(config)
        self.space = ConceptSpace({name: c.values for name, c in config.concepts.items()})

    def read(self, images: Tensor, limit: float | None = None) -> Readings:
        """Read images of the world's size.

        Args:
            images: uint8 (n, h, w, 3) in [0, 255].
            limit: largest residual of a scene (`limit`); all is UNSURE above it, and where no scene
                of the world is like what is seen (`Readings.allowed`). None: every image is taken
                for a scene.

        Raises Mistake for another type or shape.
        """
        check_images(images, self.config.image_size_px, (3,))
        pixels = CHUNK_PIXELS * (1 if self.device.type == "cpu" else CHUNKS_OF_GPU)
        chunk = max(1, pixels // self.config.image_size_px**2)
        with self._on_device():
            parts = [self._read(part.to(self.device), limit) for part in images.split(chunk)]
            return _joined(parts)

    def _on_device(self) -> AbstractContextManager:
        """New tensors are made where it computes; on the CPU without asking, which costs time."""
        return nullcontext() if self.device.type == "cpu" else self.device

    def limit(self, rate: float, seed: int, noise: float = 0.0, count: int = 2048) -> float:
        """The residual that a share `rate` of the world's renders exceeds: see `limit_at`."""
        images = labelled_set(World(self.config), seed, "oracle.limit", 0, count).images
        images = images.permute(0, 2, 3, 1)
        return limit_at(lambda noisy: self.read(noisy).residual, images, rate, seed, noise)

    def class_places(self) -> dict[str, Float[Tensor, " v"]]:
        """Class means by concept, float32 (values,), as `Readings.places` has its readings."""
        concepts = [(name, c) for name, c in self.config.concepts.items() if FACTORS[name].channels]
        means = {name: torch.from_numpy(place(name, concept).mean) for name, concept in concepts}
        return {name: p for name in means if (p := self._place(name, means)) is not None}

    def _read(self, images: Tensor, limit: float | None) -> Readings:
        images = images.permute(0, 3, 1, 2).float() / 255
        kind, fit, drawn = self.search.best(images)
        numbers, names = self._numbers(kind, fit), self.space.names
        signal = fit.explained / fit.residual.square().clamp(min=ROUNDING**2)
        indices = torch.stack([self._decide(name, numbers) for name in names], 1)
        objects = torch.tensor([name != "background" for name in names])
        found = signal >= DETECTED
        indices[~found[:, None] & objects] = UNSURE
        allowed = ~found | self._allowed(images.flatten(2), kind, fit, drawn)
        if limit is not None:
            indices[(fit.residual > limit) | ~allowed] = UNSURE
        places = {name: p for name in names if (p := self._place(name, numbers)) is not None}
        return Readings(indices, numbers, places, fit.residual, signal, allowed)

    def _allowed(self, images: Tensor, kinds: Kinds, fit: Fit, drawn: Tensor) -> Bool[Tensor, " n"]:
        """drawn: which of the search's canvases each fit is drawn on."""
        period, allowed = self._periods(kinds.shape), torch.empty(len(images), dtype=torch.bool)
        for number in drawn.unique().tolist():
            rows = torch.nonzero(drawn == number)[:, 0]
            parts = images[rows], kinds[rows], fit[rows], period[rows]
            allowed[rows] = self.scenes.holds(*parts, self.search.canvases[number])
        return allowed

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
        if self.search.canvas.upright:
            return degrees
        period = self._periods(kinds.shape)
        middle = sum(self.search.ends["rotation"]) / 2
        return middle + wrapped(degrees - middle, period)

    def _periods(self, shape: Tensor) -> Float[Tensor, "n 1"]:
        """Degrees; nan where all angles look the same."""
        periods = torch.tensor([self.search.period(name) for name in SHAPES])
        return periods[shape][:, None]

    def _decide(self, name: str, numbers: dict[str, Tensor]) -> Int[Tensor, " n"]:
        if FACTORS[name].channels:
            return self._nearest(name, numbers)
        words = tuple(FACTORS[name].words)
        kinds = [words.index(value) for value in self.config.concepts[name].values]
        return (numbers[name] == torch.tensor(kinds)).long().argmax(1)

    def _nearest(self, name: str, numbers: dict[str, Tensor]) -> Int[Tensor, " n"]:
        """The value whose span is nearest; of spans that hold the number, the nearer mean."""
        spans = Spans.of(self.config, name)
        turning = name == "rotation"
        period = self._periods(numbers["shape"][:, 0].long()) if turning else None
        distance = spans.distance(spans.offset(numbers[name], period))
        return distance.argmin(1).where(distance.isfinite().any(1), UNSURE)

    def _place(self, name: str, numbers: dict[str, Tensor]) -> Float[Tensor, " n"] | None:
        channels, concept = FACTORS[name].channels, self.config.concepts[name]
        if channels == 1:
            return numbers[name][:, 0]
        if not channels or len(concept.values) != 2:
            return None
        first, second = torch.from_numpy(place(name, concept).mean).to(numbers[name].device)
        along = second - first
        return ((numbers[name] - first) @ along / along.square().sum()).clamp(0, 1)


def check_images(images: Tensor, size: int, channels: tuple[int, ...]) -> None:
    """Raises Mistake unless images are uint8 (n, size, size, one of `channels`), one at least."""
    shape = tuple(images.shape)
    fits = len(shape) == 4 and shape[0] > 0 and shape[1:3] == (size, size) and shape[3] in channels
    if images.dtype != torch.uint8 or not fits:
        allowed = " or ".join(f"(n, {size}, {size}, {count})" for count in channels)
        raise Mistake(f"images: got {images.dtype} {shape}, allowed torch.uint8 {allowed}")


def _joined(parts: list[Readings]) -> Readings:
    """Readings one after the other, on the CPU."""

    def join(name: str):
        items = [getattr(part, name) for part in parts]
        if isinstance(items[0], Tensor):
            return torch.cat(items).cpu()
        return {key: torch.cat([item[key] for item in items]).cpu() for key in items[0]}

    names = ("indices", "numbers", "places", "residual", "signal", "allowed")
    return Readings(**{name: join(name) for name in names})
