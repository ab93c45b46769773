"""The config of a world of shapes and what follows from it without drawing. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import (
    Combination,
    Concept,
    ConceptSpace,
    check_concepts,
    place,
    with_signals,
)
from data_gen.factors import FACTORS
from data_gen.looks import Lookalikes, period, seen_share
from data_gen.splits import make_split, weigh
from data_gen.word_rates import read_rates
from ground.endings import Mistake, check_all, nearest, refuse

LEAST_SHARE = 0.05  # of a value that must be in a held-out range, and that must be left outside


@dataclass(frozen=True)
class Nuisance:
    """Distribution of a factor that is no concept. In YAML: [low, high], or `values: […]`.

    Attributes:
        range: lowest and highest number, uniform between, the same for every channel.
        values: kinds, equally often (for shape and style).
    """

    range: tuple[float, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorldConfig:
    """One synthetic world. Lengths are in half-frames: the image spans [−1, 1] in x and y.

    Attributes:
        seed: of the scenes; runs with another training seed share the world.
        image_size_px: height and width.
        concepts: the axes of concept space, each with its values.
        kind: what the world is made of.
        num_images: images in all.
        validation: share of them that is kept out of training, the last ones.
        held_out: sets of combinations that training never shows.
        held_out_ranges: factor → [low, high], numbers training never shows. Of rotation also the
            angles at which a shape looks as at one of these; discs and rings have no angle.
        frequencies: set → relative frequency of each of its combinations in training; others have
            1, later sets override.
        correlations: two concepts, as "shape color" → strength in [0, 1): with that probability
            the second takes the value in the same place as the first's, else any.
        exact_counts: give every combination its exact share, of all images and of the training
            images, instead of drawing each image's. The share of one image then depends on their
            number.
        nuisances: distributions of the factors that are no concepts.
        triangle: equilateral, of the area of its disc; or isosceles as in arXiv:2406.19370's
            released images (base = height, 15.5 % more area, .12 radii off-centre).
        line_width: of the style `outlined`.
        blur_px: standard deviation of a Gaussian blur of the object's mask.
        pixel_noise: standard deviation of the noise added to every channel, in [0, 1] units.
    """

    concepts: dict[str, Concept] = field(default_factory=dict)
    kind: Literal["shapes"] = "shapes"
    held_out: tuple[str, ...] = ()
    held_out_ranges: dict[str, tuple[float, ...]] = field(default_factory=dict)
    seed: int = 0
    image_size_px: int = 16
    num_images: int = 16384
    validation: float = 0.0
    frequencies: dict[str, float] = field(default_factory=dict)
    correlations: dict[str, float] = field(default_factory=dict)
    exact_counts: bool = False
    nuisances: dict[str, Nuisance] = field(default_factory=dict)
    triangle: Literal["equilateral", "isosceles"] = "equilateral"
    line_width: float = 0.15
    blur_px: float = 0.0
    pixel_noise: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "concepts", with_signals(self.concepts))


class World:
    """Concept space, split, weights and captioner of one config, checked. Raises Mistake of all
    that is wrong, as far as one part can be read without the others."""

    def __init__(self, config: WorldConfig, captions: CaptionConfig | None = None):
        check_all(partial(check_concepts, config.concepts), partial(_check_numbers, config))
        self.config, self.captions = config, captions or CaptionConfig()
        self.space = ConceptSpace({name: c.values for name, c in config.concepts.items()})
        check_all(self._read_split, self._read_captions, self._read_nuisances)
        self.lookalikes = Lookalikes(self.space, config.concepts, shapes(self), config.triangle)
        _check_looks(self)
        for name, limits in config.held_out_ranges.items():
            _check_range(name, limits, self)
        _check_what_is_left(self)

    def _read_split(self) -> None:
        config = self.config
        self.split = make_split(self.space, config.held_out)
        self.weights = weigh(self.space, self.split, config.frequencies, config.correlations)

    def _read_captions(self) -> None:
        self.captioner = Captioner(self.space, self.captions)
        self.rates = read_rates(self.space, self.captions)

    def _read_nuisances(self) -> None:
        self.nuisances = complete_nuisances(self.config)

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image: (channels, height, width)."""
        return (3, self.config.image_size_px, self.config.image_size_px)

    @property
    def num_training_images(self) -> int:
        return round(self.config.num_images * (1 - self.config.validation))


def complete_nuisances(config: WorldConfig) -> Mapping[str, Nuisance]:
    """Factor → distribution, for every factor that is no concept."""
    check_all(*(partial(_check_nuisance, n, one, config) for n, one in config.nuisances.items()))
    return {
        name: config.nuisances.get(name) or _default(name)
        for name in FACTORS
        if name not in config.concepts
    }


def _default(name: str) -> Nuisance:
    factor = FACTORS[name]
    return Nuisance(factor.nuisance) if factor.channels else Nuisance((), tuple(factor.words)[:1])


def _check_nuisance(name: str, nuisance: Nuisance, config: WorldConfig) -> None:
    key = f"world.nuisances.{name}"
    if name not in FACTORS:
        raise Mistake(f"{key}: unknown factor{nearest(name, tuple(FACTORS))}; {list(FACTORS)}")
    if name in config.concepts:
        raise Mistake(f"{key}: is a concept of this world; leave it out here")
    factor = FACTORS[name]
    if factor.channels:
        lowest = factor.floor or factor.low
        if nuisance.values or not _ordered(nuisance.range, lowest, factor.high):
            got = list(nuisance.range or nuisance.values)
            raise Mistake(f"{key}: got {got}, allowed [low, high] in {lowest:g} to {factor.high:g}")
    elif nuisance.range or not nuisance.values or not set(nuisance.values) <= set(factor.words):
        got = list(nuisance.values or nuisance.range)
        raise Mistake(f"{key}: got {got}, allowed values: some of {', '.join(factor.words)}")


def _ordered(pair: tuple[float, ...], low: float, high: float) -> bool:
    return len(pair) == 2 and low <= pair[0] <= pair[1] <= high


def _check_looks(world: World) -> None:
    """What is held out must not be drawn under another name."""
    train, held_out = (
        np.array([world.space.index(c) for c in some], dtype=int)
        for some in (world.split.train, world.split.held_out)
    )
    for i, j in np.argwhere(world.lookalikes.pairs(train, held_out, exactly=True))[:1]:
        names = (world.space.name(world.space.combinations[k]) for k in (held_out[j], train[i]))
        hidden, shown = names
        raise Mistake(
            f"world.held_out: {hidden!r} looks exactly as {shown!r} does, which trains; hold out "
            f"both or none, or move their values apart"
        )


def _check_range(name: str, limits: tuple[float, ...], world: World) -> None:
    """A range of one number, that leaves something of every value to training."""
    key = f"world.held_out_ranges.{name}"
    numbers = tuple(name for name, factor in FACTORS.items() if factor.channels == 1)
    if name not in numbers:
        raise Mistake(f"{key}: unknown{nearest(name, numbers)}; allowed {', '.join(numbers)}")
    low, high = FACTORS[name].low, FACTORS[name].high
    if not _ordered(limits, low, high) or limits[0] == limits[1]:
        raise Mistake(f"{key}: got {list(limits)}, allowed [low, high] in {low:g} to {high:g}")
    shares = {
        (f"{value}{f' of {shape}' * bool(shape)}".strip(), *ends): _share(world, name, ends, shape)
        for value, ends in extents(world, name).items()
        for shape in (shapes(world) if name == "rotation" else ("",))
    }
    if max(shares.values()) < LEAST_SHARE:
        drawn = ", ".join(f"{of} {a:g} … {b:g}".strip() for of, a, b in shares)
        raise Mistake(f"{key}: {list(limits)} holds out nothing of {name}, which is {drawn}")
    for (of, lowest, highest), share in shares.items():
        if share > 1 - LEAST_SHARE:
            raise Mistake(
                f"{key}: {list(limits)} hides {f'{name} {of}'.strip()} ({lowest:g} … {highest:g}) "
                f"completely{', by what looks the same' * (name == 'rotation')}; leave some of it "
                f"to training"
            )


def shapes(world: World, combination: Combination = ()) -> tuple[str, ...]:
    """The shapes of a world, or of the scenes of one of its combinations, each equally often."""
    if "shape" not in world.config.concepts:
        return world.nuisances["shape"].values
    values = world.config.concepts["shape"].values
    return tuple(value for value in values if value in combination) or values


def held_out_share(world: World, name: str, combination: Combination) -> float:
    """Share of the scenes of a combination that the held-out range of a factor takes."""
    ends = extents(world, name)
    pair = next(ends[value] for value in (*combination, "") if value in ends)
    shown = shapes(world, combination)
    return sum(_share(world, name, pair, shape) for shape in shown) / len(shown)


def _share(world: World, name: str, ends: tuple[float, float], shape: str) -> float:
    """Share of the numbers of a factor, drawn between two ends, that its held-out range takes."""
    low, high = (float(np.float32(limit)) for limit in world.config.held_out_ranges[name])
    if name == "rotation":
        return seen_share(ends, low, high, period(shape, world.config.triangle))
    floor = FACTORS[name].floor
    if floor is not None and low <= floor:  # what lies below is raised to it
        low = -math.inf if floor <= high else high
    if ends[0] == ends[1]:
        return float(low <= ends[0] <= high)
    return max(0.0, min(ends[1], high) - max(ends[0], low)) / (ends[1] - ends[0])


def extents(world: World, name: str) -> dict[str, tuple[float, float]]:
    """Ends of a one-channel factor, before its floor: per value, or '' for a nuisance."""
    if name not in world.config.concepts:
        low, high = (float(np.float32(end)) for end in world.nuisances[name].range)
        return {"": (low, high)}
    concept = world.config.concepts[name]
    placement = place(name, concept)
    ends = (placement.mean - placement.spread, placement.mean + placement.spread)
    low, high = (end[:, 0].tolist() for end in ends)
    return dict(zip(concept.values, zip(low, high, strict=True), strict=True))


def _check_what_is_left(world: World) -> None:
    """Each training combination must have scenes outside of all ranges together."""
    ranges = world.config.held_out_ranges
    for combination in world.split.train if ranges else ():
        shares = [held_out_share(world, name, combination) for name in ranges]
        left = math.prod(1 - share for share in shares)
        if left < LEAST_SHARE:
            raise Mistake(
                f"world.held_out_ranges: {', '.join(ranges)} together leave {left:.1%} of the "
                f"scenes of {world.space.name(combination)!r}, allowed {LEAST_SHARE:.0%} or more"
            )


def _check_numbers(config: WorldConfig) -> None:
    """Ranges of the plain fields: (key, value, lowest, highest)."""
    ranges = (
        ("seed", config.seed, 0, 2**63 - 1),
        ("image_size_px", config.image_size_px, 8, 512),
        ("num_images", config.num_images, 1, 2**31),
        ("validation", config.validation, 0, 0.9),
        ("line_width", config.line_width, 0.01, 1),
        ("blur_px", config.blur_px, 0, 16),
        ("pixel_noise", config.pixel_noise, 0, 1),
    )
    refuse(
        f"world.{key}: got {value}, allowed {low} to {high}"
        for key, value, low, high in ranges
        if not low <= value <= high
    )
    if 0 < config.blur_px < 0.1:
        raise Mistake(f"world.blur_px: got {config.blur_px}, allowed 0, or 0.1 to 16")
    if round(config.num_images * (1 - config.validation)) < 1:
        raise Mistake(f"world.validation: {config.validation} leaves no image for training")
