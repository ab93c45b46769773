"""Persistent homology of a code: has it the holes of a torus, and over which range of scales?

The Rips complex of Gudhi (https://gudhi.inria.fr): edges up to a threshold, edge collapse, then
expansion; coefficients in Z/2. A torus has Betti numbers (1, 2, 1), the 3-D and the Clifford torus
alike, so they say nothing of how two features lie to each other; see geometry.py for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

MOST_POINTS = 400
FEWEST_POINTS = 200  # of which the threshold still holds the holes of both ideal tori
THRESHOLD = 0.55  # of the root mean squared distance; more explodes: at 1.5 radii it never ends
DIMENSIONS = 3  # homology up to dimension 2 needs simplices up to 3
TORUS = (1, 2, 1)


@dataclass(frozen=True)
class Window:
    """Range of scales on which Betti numbers stay what they are. alive: to the threshold."""

    betti: tuple[int, int, int]
    low: float
    high: float
    alive: bool

    @property
    def ratio(self) -> float:
        return self.high / self.low if self.low > 0 else np.inf


@dataclass(frozen=True)
class Persistence:
    """Persistence diagrams of points.

    Attributes:
        diagrams: of dimension 0, 1 and 2: float64 (n, 2), birth and death, in units of the points;
            infinite: alive at the threshold.
        threshold: the longest edge.
        points: how many were used.
    """

    diagrams: Sequence[Float[ndarray, "_ 2"]]
    threshold: float
    points: int

    def windows(self) -> list[Window]:
        """Return all ranges on which the points hang together, β0 = 1, by Betti numbers."""
        bounds = np.concatenate([diagram.ravel() for diagram in self.diagrams])
        edges = np.unique(bounds[np.isfinite(bounds)])
        ends = [*edges[1:], self.threshold]
        found: list[Window] = []
        for low, high in zip(map(float, edges), map(float, ends), strict=True):
            betti = self.betti_at(low)
            alive = high >= self.threshold
            if found and found[-1].betti == betti and found[-1].high == low:
                found[-1] = Window(betti, found[-1].low, high, alive)
            elif betti[0] == 1 and high > low:
                found.append(Window(betti, low, high, alive))
        return found

    def betti_at(self, scale: float) -> tuple[int, int, int]:
        """Return the Betti numbers (β0, β1, β2) at a scale."""
        zero, one, two = (
            int(((d[:, 0] <= scale) & (scale < d[:, 1])).sum()) for d in self.diagrams
        )
        return zero, one, two

    def longest(self, betti: tuple[int, int, int] | None = None) -> Window | None:
        """Return the window of largest ratio, of given Betti numbers or of any; None: there is
        none."""
        fitting = [w for w in self.windows() if betti in (None, w.betti)]
        return max(fitting, key=lambda window: window.ratio, default=None)


def persistence(
    points: Float[ndarray, "n d"], most_points: int = MOST_POINTS, start: int = 0
) -> Persistence:
    """Persistence of at most `most_points` of the points, chosen farthest first from `start` on.

    Raises ValueError for fewer points than the threshold needs, and points that are all alike.
    """
    distances, threshold = _edges(points, most_points, start)
    return Persistence(_diagrams(distances, threshold, DIMENSIONS), threshold, len(distances))


def loop_lengths(
    points: Float[ndarray, "n d"], most_points: int = MOST_POINTS, start: int = 0
) -> Float[ndarray, " bars"]:
    """Lengths of the bars of dimension 1, over the longest edge, the longest first; a bar that is
    alive at the longest edge ends there. Points are chosen, and refused, as by `persistence`."""
    distances, threshold = _edges(points, most_points, start)
    return bar_lengths(_diagrams(distances, threshold, 2)[1], threshold)


def bar_lengths(diagram: Float[ndarray, "_ 2"], threshold: float) -> Float[ndarray, " bars"]:
    """Lengths of the bars of a diagram, over the longest edge, the longest first."""
    births, deaths = diagram.T
    return np.sort(np.minimum(deaths, threshold) - births)[::-1] / threshold


def _edges(points: ndarray, most_points: int, start: int) -> tuple[ndarray, float]:
    """Return distances of the points that are used, and how long edges may be."""
    if len(points) < FEWEST_POINTS:
        raise ValueError(f"got {len(points)} points; allowed are {FEWEST_POINTS} and more")
    distances = pairwise_distances(points.astype(np.float64))
    if len(points) > most_points:
        chosen = farthest_points(distances, most_points, start)
        distances = distances[np.ix_(chosen, chosen)]
    rms = float(np.sqrt((distances**2).sum() / (len(distances) * (len(distances) - 1))))
    if not rms > 0:
        raise ValueError("got points that are all alike")
    return distances, THRESHOLD * rms


def pairwise_distances(points: Float[ndarray, "n d"]) -> Float[ndarray, "n n"]:
    """Euclidean distances of all pairs of points."""
    points = points - points.mean(0)
    squares = (points**2).sum(1)
    square = squares[:, None] + squares[None] - 2 * points @ points.T
    np.fill_diagonal(square, 0)
    return np.sqrt(np.maximum(square, 0))


def farthest_points(
    distances: Float[ndarray, "n n"], count: int, start: int = 0
) -> Int[ndarray, " count"]:
    """Choose points one by one, each the farthest from all before it. Random ones are too uneven:
    the torus shows on a much shorter window."""
    chosen, nearest = [start], distances[start].copy()
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances[chosen[-1]])
    return np.array(chosen)


def _diagrams(distances: Float[ndarray, "n n"], threshold: float, dimensions: int) -> list[ndarray]:
    """Return diagrams of the dimensions below `dimensions`, that of the largest simplices."""
    import gudhi

    complex_ = gudhi.RipsComplex(distance_matrix=distances, max_edge_length=threshold)
    tree = complex_.create_simplex_tree(max_dimension=1)
    tree.collapse_edges()
    tree.expansion(dimensions)
    # the highest dimension of a complex counts too where that is below the largest, and then alone
    highest = tree.dimension() < dimensions
    tree.compute_persistence(homology_coeff_field=2, persistence_dim_max=highest)
    found = [tree.persistence_intervals_in_dimension(i) for i in range(dimensions)]
    return [np.asarray(one, dtype=np.float64).reshape(-1, 2) for one in found]
