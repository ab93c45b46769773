"""What the oracle of any world sees in images, in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from classifiers.bump_oracle import BumpOracle
from classifiers.oracle import Oracle
from data_gen.bumps.config import BumpsConfig
from data_gen.photos.world import PhotoTerms
from data_gen.world import World
from studies.scoring.probing import ORACLE_NOISE, ORACLE_RATE

Facts = Mapping[str, Any]
ORACLE = "oracle"  # its name in the `probe` column of scores
ORACLE_VERSION = "2"  # raise it when it reads otherwise: samples are then read again


def oracle_of(world: World) -> tuple[Oracle, float]:
    """The oracle of a world and the residual above which it is unsure (`Oracle.limit`), both a
    function of how the world looks alone, so that all that it reads there compares."""
    oracle = Oracle(world.config)
    return oracle, oracle.limit(ORACLE_RATE, 0, ORACLE_NOISE, 512)


def reader_of(world: World | PhotoTerms | BumpsConfig) -> Callable[[Tensor], Sequence[Facts]]:
    """uint8 (n, h, w, c) ↦ per image a value per concept, or, of bumps, `centre_px`, x and y; of
    photographs, which no oracle reads, nothing at all.

    Null is what it is unsure of: an image that is further from every scene than renders with some
    noise are, or shows what no scene of the world does.
    """
    if isinstance(world, PhotoTerms):
        return lambda images: []
    return _bumps(world) if isinstance(world, BumpsConfig) else _scenes(world)


def _scenes(world: World) -> Callable[[Tensor], Sequence[Facts]]:
    (oracle, limit), values = oracle_of(world), dict(world.space.items())

    def read(images: Tensor) -> Sequence[Facts]:
        places = oracle.read(images, limit).indices.tolist()
        return [
            {
                name: words[place] if place >= 0 else None
                for (name, words), place in zip(values.items(), row, strict=True)
            }
            for row in places
        ]

    return read


def _bumps(config: BumpsConfig) -> Callable[[Tensor], Sequence[Facts]]:
    oracle = BumpOracle(config)
    limit = oracle.limit(ORACLE_RATE, 0, ORACLE_NOISE, 512)

    def read(images: Tensor) -> Sequence[Facts]:
        centres = oracle.read(images, limit).centres.tolist()
        return [{"centre_px": [None if x != x else round(x, 3) for x in row]} for row in centres]

    return read
