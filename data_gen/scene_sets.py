"""Sets of scenes: one can draw from them and ask whether a scene lies in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from data_gen.concepts import Combination
from data_gen.looks import as_seen, periods
from data_gen.scenes import Scenes, draw_scenes, joined
from data_gen.splits import share_out
from data_gen.world import LEAST_SHARE, World, held_out_share
from ground import streams
from ground.endings import Mistake

ATTEMPTS = 1024  # a share of .05 is missed by all of them once in 10²² scenes


@runtime_checkable  # so that tests can check it
class SceneSet(Protocol):
    """A set of scenes of one world."""

    def sample(
        self, seed: int, purpose: str, index: Int[Tensor, " n"], attempt: int = 0
    ) -> Scenes: ...

    def contains(self, scenes: Scenes) -> Bool[Tensor, " n"]: ...


@dataclass(frozen=True, eq=False)
class OfCombinations:
    """Scenes that show one of some combinations.

    Attributes:
        combinations: int64 (m,), indices into `ConceptSpace.combinations`.
        weights: relative frequency of each.
        parts: if given, images 0 … sum − 1 show each combination its exact share of times, all of
            them and the first part alone, in a random order; otherwise every image's is drawn.
    """

    world: World
    combinations: Int[Tensor, " m"]
    weights: tuple[float, ...]
    parts: tuple[int, int] | None = None

    def sample(self, seed: int, purpose: str, index: Int[Tensor, " n"], attempt: int = 0) -> Scenes:
        combination = self.combinations.to(index.device)[self._pick(seed, purpose, index)]
        return draw_scenes(self.world, combination, seed, purpose, index, attempt)

    def contains(self, scenes: Scenes) -> Bool[Tensor, " n"]:
        return torch.isin(scenes.combination, self.combinations.to(scenes.combination.device))

    def _pick(self, seed: int, purpose: str, index: Tensor) -> Tensor:
        """Which of the combinations; the same at every attempt."""
        if self.parts is not None:
            return _deal(self.weights, seed, purpose, self.parts).to(index.device)[index]
        word = streams.words(seed, f"{purpose}.combination", 0, index, 1)[:, 0].contiguous()
        return torch.searchsorted(self._bounds().to(index.device), word, right=True)

    def _bounds(self) -> Tensor:
        """Where in [0, 2³²) each combination's share ends; the last end is left out."""
        share = torch.tensor(self.weights, dtype=torch.float64).cumsum(0) / sum(self.weights)
        return torch.ceil(share * 2.0**32).long()[:-1]


@lru_cache(maxsize=4)
def _deal(weights: tuple[float, ...], seed: int, purpose: str, parts: tuple[int, int]) -> Tensor:
    """int64 (sum of parts,): places among the weights, each its exact share of times, at random."""
    counts = share_out(weights, sum(parts))
    first = share_out(counts, parts[0])
    dealt = []
    for i, part in enumerate((first, [a - b for a, b in zip(counts, first, strict=True)])):
        places = torch.arange(len(part)).repeat_interleave(torch.tensor(part))
        dealt.append(places[streams.permutation(seed, f"{purpose}.deal", i, len(places))])
    return torch.cat(dealt)


@dataclass(frozen=True, eq=False)
class InTurn:
    """All scenes: image i shows combination i modulo their number."""

    world: World

    def sample(self, seed: int, purpose: str, index: Int[Tensor, " n"], attempt: int = 0) -> Scenes:
        combination = index % len(self.world.space)
        return draw_scenes(self.world, combination, seed, purpose, index, attempt)

    def contains(self, scenes: Scenes) -> Bool[Tensor, " n"]:
        return scenes.combination < len(self.world.space)


@dataclass(frozen=True, eq=False)
class InRanges:
    """Scenes in which any of some factors has its number in [low, high], or looks as if it had.

    triangle: as in `WorldConfig`.
    """

    ranges: Mapping[str, tuple[float, ...]]
    triangle: str = "equilateral"

    def contains(self, scenes: Scenes) -> Bool[Tensor, " n"]:
        inside = torch.zeros_like(scenes.combination, dtype=torch.bool)
        for factor, (low, high) in self.ranges.items():
            numbers = scenes.numbers(factor)
            if factor == "rotation":
                turns = torch.tensor(periods(self.triangle), dtype=torch.float64)
                turn = turns.to(numbers.device)[scenes.shape][:, None]
                numbers = as_seen(numbers.double(), low, high, turn).float()
            inside |= ((numbers >= low) & (numbers <= high)).any(dim=1)
        return inside


def held_out_numbers(world: World) -> InRanges:
    """Scenes with numbers that training never shows."""
    return InRanges(world.config.held_out_ranges, world.config.triangle)


@dataclass(frozen=True, eq=False)
class Filtered:
    """The scenes of `base` that lie outside of `removed`, or inside if `inside`.

    A scene that does not fit is drawn again, with everything but its combination new.
    """

    base: OfCombinations
    removed: InRanges
    inside: bool = False

    def sample(self, seed: int, purpose: str, index: Int[Tensor, " n"], attempt: int = 0) -> Scenes:
        scenes = self.base.sample(seed, purpose, index, attempt)
        for again in range(attempt + 1, attempt + ATTEMPTS):
            rows = torch.nonzero(~self._fits(scenes))[:, 0]
            if not len(rows):
                return scenes
            scenes = _replaced(scenes, rows, self.base.sample(seed, purpose, index[rows], again))
        if self._fits(scenes).all():
            return scenes
        name = self.base.world.space.combinations[int(scenes.combination[rows[0]])]
        raise Mistake(
            f"world.held_out_ranges: {' '.join(name)!r} has too few scenes "
            f"{'in' if self.inside else 'outside of'} {dict(self.removed.ranges)}; "
            f"move the range, or hold the combination out"
        )

    def contains(self, scenes: Scenes) -> Bool[Tensor, " n"]:
        return self.base.contains(scenes) & self._fits(scenes)

    def _fits(self, scenes: Scenes) -> Tensor:
        return self.removed.contains(scenes) == self.inside


def _replaced(scenes: Scenes, rows: Tensor, new: Scenes) -> Scenes:
    """`scenes` with the given rows taken from `new`."""
    place = torch.arange(len(scenes), device=rows.device)
    place[rows] = torch.arange(len(scenes), len(scenes) + len(rows), device=rows.device)
    return joined([scenes, new])[place]


def _indices(world: World, combinations: tuple[Combination, ...]) -> Tensor:
    return torch.tensor([world.space.index(c) for c in combinations], dtype=torch.int64)


def training_scenes(world: World) -> Filtered:
    """What training shows."""
    train = world.num_training_images
    parts = (train, world.config.num_images - train) if world.config.exact_counts else None
    shown = OfCombinations(world, _indices(world, world.split.train), world.weights, parts)
    return Filtered(shown, held_out_numbers(world))


def held_out_scenes(world: World) -> OfCombinations:
    """All scenes of the held-out combinations, equally often. Raises Mistake if there are none."""
    held_out = world.split.held_out
    if not held_out:
        raise Mistake("world.held_out: is empty, so there are no held-out scenes")
    return OfCombinations(world, _indices(world, held_out), (1.0,) * len(held_out))


def unseen_numbers(world: World) -> Filtered:
    """Training combinations whose numbers lie in the held-out ranges: inter- or extrapolation."""
    ranges = world.config.held_out_ranges
    train = tuple(c for c in world.split.train if any(_reaches(world, c, f) for f in ranges))
    shown = OfCombinations(world, _indices(world, train), (1.0,) * len(train))
    return Filtered(shown, held_out_numbers(world), inside=True)


def _reaches(world: World, combination: Combination, factor: str) -> bool:
    """True if enough scenes of the combination have numbers in the factor's held-out range."""
    return held_out_share(world, factor, combination) >= LEAST_SHARE
