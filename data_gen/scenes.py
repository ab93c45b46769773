"""Scenes: all that is needed to draw an image. Scene i is a pure function of (seed, purpose, i)."""

from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen.concepts import place
from data_gen.factors import COLUMNS, FACTORS
from data_gen.world import World
from ground import streams


@dataclass(frozen=True)
class Scenes:
    """A batch of n scenes on one device; one field per factor (units: factors.py).

    Attributes:
        combination: int64 (n,), index into `ConceptSpace.combinations`.
        shape, style: int64 (n,), place among the words of the factor.
        color, background: float32 (n, 3), RGB in [0, 1].
        size: float32 (n,), radius of the disc of equal area.
        x, y: float32 (n,), of the centroid, to the right and upwards.
        rotation: float32 (n,), degrees counter-clockwise.
    """

    combination: Int[Tensor, " n"]
    shape: Int[Tensor, " n"]
    color: Float[Tensor, "n 3"]
    size: Float[Tensor, " n"]
    x: Float[Tensor, " n"]
    y: Float[Tensor, " n"]
    background: Float[Tensor, "n 3"]
    rotation: Float[Tensor, " n"]
    style: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.combination)

    def __getitem__(self, rows: Tensor | slice) -> "Scenes":
        return Scenes(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def numbers(self, factor: str) -> Float[Tensor, "n channels"]:
        """A factor's numbers, one column per channel; kinds as whole numbers."""
        return getattr(self, factor).float().reshape(len(self), -1)


def joined(parts: list[Scenes]) -> Scenes:
    names = [f.name for f in fields(Scenes)]
    return Scenes(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def draw_scenes(
    world: World,
    combination: Int[Tensor, " n"],
    seed: int,
    purpose: str,
    index: Int[Tensor, " n"],
    attempt: int = 0,
) -> Scenes:
    """Scenes of given combinations; all else comes from (seed, purpose, attempt, index)."""
    u = streams.uniform(seed, purpose, attempt, index, COLUMNS)
    drawn = {name: _factor(world, name, combination, u) for name in FACTORS}
    return Scenes(combination=combination, **drawn)


def _factor(world: World, name: str, combination: Tensor, u: Tensor) -> Tensor:
    """Values of one factor. u: float32 (n, COLUMNS) in [0, 1)."""
    factor = FACTORS[name]
    u = u[:, factor.column : factor.column + max(factor.channels, 1)]
    if not factor.channels:
        return _kind(world, name, combination, u[:, 0])
    if name in world.config.concepts:
        mean, spread = (table.to(u.device)[combination] for table in class_tables(world)[name])
        numbers = mean + (u * 2 - 1) * spread
    else:
        numbers = _between(u, *world.nuisances[name].range)
    if factor.floor is not None:
        numbers = numbers.clamp(min=factor.floor)
    return numbers if factor.channels > 1 else numbers[:, 0]


def _between(u: Tensor, low: float, high: float) -> Tensor:
    """Uniform in [low, high]; what is symmetric about 0 stays so bit by bit."""
    return (u * 2 - 1) * high + 0.0 if low == -high else low + u * (high - low)  # + 0: no −0


def _kind(world: World, name: str, combination: Tensor, u: Tensor) -> Tensor:
    if name in world.config.concepts:
        return class_tables(world)[name][0].to(u.device)[combination]
    words = tuple(FACTORS[name].words)
    places = torch.tensor([words.index(value) for value in world.nuisances[name].values])
    return places.to(u.device)[(u * len(places)).long()]


@lru_cache(maxsize=8)
def class_tables(world: World) -> dict[str, tuple[Tensor, ...]]:
    """Mean and spread per concept and combination, float32 (K, channels); of kinds int64 (K,)."""
    value = torch.tensor([world.space.value_indices(c) for c in world.space.combinations])
    tables: dict[str, tuple[Tensor, ...]] = {}
    for i, (name, concept) in enumerate(world.config.concepts.items()):
        if FACTORS[name].channels:
            placement = place(name, concept)
            pair = (torch.from_numpy(placement.mean), torch.from_numpy(placement.spread))
            tables[name] = tuple(table[value[:, i]] for table in pair)
        else:
            words = tuple(FACTORS[name].words)
            kinds = torch.tensor([words.index(word) for word in concept.values])
            tables[name] = (kinds[value[:, i]],)
    return tables
