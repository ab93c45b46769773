"""Points without structure: how long may a bar of theirs be, before it stands for a hole?

Turn n points among themselves: X becomes QX, where Q turns the space of n dimensions at random
around the mean. Means and covariances stay exactly as they are, shapes such as circles go. Of
Gaussian noise, whatever its covariance, QX is as likely as X itself. So the longest bar of noise is
the longest of twenty, itself and those of nineteen turns, one time in twenty.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from analysis.measures.homology import (
    MOST_POINTS,
    TORUS,
    Persistence,
    bar_lengths,
    loop_lengths,
)

TURNS = 19  # of which none has a bar as long: a false alarm in 20


def principal_sizes(points: Float[ndarray, "n d"]) -> Float[ndarray, " n"]:
    """Singular values of the points around their mean, the largest first; the last one is 0."""
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(centred @ centred.T), 0))[::-1]


def turned(sizes: Float[ndarray, " n"], *, rng: np.random.Generator) -> Float[ndarray, "n n"]:
    """Points of given principal sizes and no other structure, along principal axes. float64."""
    frame = rng.normal(size=(len(sizes), len(sizes)))
    frame -= frame.mean(0)
    return np.linalg.qr(frame)[0] * sizes  # the last, of size 0, is that of the mean


def noise_line(
    points: Float[ndarray, "n d"], most_points: int = MOST_POINTS, *, rng: np.random.Generator
) -> float:
    """Longest bar of dimension 1 of TURNS clouds that have the covariance of the points and no
    other structure, over the longest edge. Points are chosen, and refused, as by `persistence`."""
    sizes = principal_sizes(points)
    longest = [
        loop_lengths(turned(sizes, rng=rng), most_points).max(initial=0) for _ in range(TURNS)
    ]
    return float(max(longest))


def holes_beyond(line: float, found: Persistence) -> int:
    """Bars of dimension 1 beyond a line, of those alive on the widest range of scales with a
    torus's Betti numbers; where there is none, on the widest range of any; 0 without that.

    On coarse grids far more are alive on other ranges: rings that do not hang together yet.
    """
    window = found.longest(TORUS) or found.longest()
    if window is None:
        return 0
    births, deaths = found.diagrams[1].T
    alive = found.diagrams[1][(births <= window.low) & (window.low < deaths)]
    return int((bar_lengths(alive, found.threshold) > line).sum())
