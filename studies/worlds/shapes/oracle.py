"""Oracle of a world of shapes: what it sees in images, in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from classifiers.oracle import Oracle
from data_gen.world import World
from studies.worlds.kind import Facts
from studies.worlds.probe_images import ORACLE_NOISE, ORACLE_RATE

# Of `Oracle.limit`.
LIMIT_OF: Mapping[str, Any] = dict(rate=ORACLE_RATE, seed=0, noise=ORACLE_NOISE, count=512)


def measured_limit(oracle: Oracle) -> float:
    """Measure the residual above which an oracle is unsure (`Oracle.limit`), in seconds.

    It is a function of how the world looks alone, so that all that is read there compares.
    """
    return oracle.limit(**LIMIT_OF)


def oracle_reader(world: World) -> Callable[[Tensor], Sequence[Facts]]:
    """Return what reads uint8 (n, h, w, 3): per image a value per concept.

    Null is what the oracle is unsure of: an image that is further from every scene than renders
    with some noise are, or shows what no scene of the world does.
    """
    oracle, values = Oracle(world.config), dict(world.space.items())
    limit = measured_limit(oracle)

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
