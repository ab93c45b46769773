"""Oracle of a world of shapes: what it sees in images, in words."""

from collections.abc import Callable, Sequence

from torch import Tensor

from classifiers.oracle import Oracle
from data_gen.world import World
from studies.worlds.kind import Facts
from studies.worlds.probe_images import ORACLE_NOISE, ORACLE_RATE

LIMIT_IMAGES = 512


def oracle_of(world: World) -> tuple[Oracle, float]:
    """Return the oracle of a world and the residual above which it is unsure (`Oracle.limit`), both
    a function of how the world looks alone, so that all that it reads there compares."""
    oracle = Oracle(world.config)
    return oracle, oracle.limit(ORACLE_RATE, 0, ORACLE_NOISE, LIMIT_IMAGES)


def oracle_reader(world: World) -> Callable[[Tensor], Sequence[Facts]]:
    """Return what reads uint8 (n, h, w, 3): per image a value per concept.

    Null is what the oracle is unsure of: an image that is further from every scene than renders
    with some noise are, or shows what no scene of the world does.
    """
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
