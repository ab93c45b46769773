"""Overlap graph of a training set: images are linked where they overlap by more than tau.

The overlap of images x and y is x·y / (|x| |y|). Of two Gaussian bumps r apart, whole in the image
and of one sigma, it is exp(−r² / 4 sigma²): bumps are points, linked within a reach.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from analysis.measures.percolation import Links, first_windings, largest_clusters, spanning_forest

BLOCK = 1024  # images against as many at once
FEW_SITES = 256  # with which a search for a cluster begins


def bump_reach(tau: float) -> float:
    """Distance in units of sigma within which two bumps overlap by more than tau.

    Raises ValueError unless 0 < tau < 1.
    """
    if not 0 < tau < 1:
        raise ValueError(f"tau: got {tau:g}, allowed above 0, below 1")
    return float(2 * np.sqrt(np.log(1 / tau)))


def count_reached(
    points: Float[ndarray, "n 2"], reach: float, box: Float[ndarray, "2"] | None = None
) -> int:
    """Number of links that `reached_links` returns."""
    tree = cKDTree(points, boxsize=box)
    return (int(tree.count_neighbors(tree, reach)) - len(points)) // 2


def reached_links(
    points: Float[ndarray, "n 2"], reach: float, box: Float[ndarray, "2"] | None = None
) -> Links:
    """Links between points within `reach`; seams: the edges of the box, on a torus.

    points: in [0, box) on a torus; anywhere on a plane, where box is None and there are no seams.
    """
    pairs = cKDTree(points, boxsize=box).query_pairs(reach, output_type="ndarray")
    start, stop = pairs.T.astype(np.int64)
    if box is None:
        return Links(start, stop, np.zeros((len(start), 0), np.int8))
    return Links(start, stop, np.rint((points[stop] - points[start]) / box).astype(np.int8))


def first_spans(
    points: Float[ndarray, "n 2"],
    reach: float,
    runs: int,
    rng: np.random.Generator,
    box: Float[ndarray, "2"] | None = None,
) -> Int[ndarray, " runs"]:
    """Number of points that are there when a cluster first spans, in each of so many random orders;
    n + 1 if none does.

    On a plane a cluster spans that holds a point of the leftmost and one of the rightmost column;
    on a torus, one that winds around in either direction. Points, reach, box: of `reached_links`.
    """
    orders = (rng.permutation(len(points)) for _ in range(runs))
    return np.array([_first_span(points[order], reach, box) for order in orders])


def _first_span(points: ndarray, reach: float, box: ndarray | None) -> int:
    """Of points in their order; only those that are needed are linked."""
    ends = points[:, 0].min(), points[:, 0].max()
    count = min(FEW_SITES, len(points))
    while True:
        links = reached_links(points[:count], reach, box)
        if box is None:
            links = _with_wall(links, points[:count, 0], ends)
        sites = count + (box is None)
        ranks = np.arange(1, sites + 1)[None]
        ranks[0, count:] = 0  # the wall is there from the beginning
        first = int(first_windings(links, ranks)[0])
        if first <= count:
            return first
        if count == len(points):
            return count + 1
        count = min(2 * count, len(points))


def _with_wall(links: Links, x: ndarray, ends: tuple[float, float]) -> Links:
    """One more site, linked with the first column and, across a seam, with the last one: a cluster
    that spans winds around through it."""
    columns = [np.flatnonzero(x == end) for end in ends]
    sites = np.concatenate(columns)
    seams = np.repeat([0, 1], [len(column) for column in columns])
    return Links(
        np.concatenate([links.start, np.full(len(sites), len(x))]),
        np.concatenate([links.stop, sites]),
        np.concatenate([np.zeros(len(links.start), np.int8), seams])[:, None],
    )


def overlapping(features: Float[ndarray, "n d"], tau: float) -> Iterator[Links]:
    """Links between images that overlap by more than tau, a block of images against another at a
    time. An image that is all 0 overlaps with none. No seams.

    Raises ValueError unless −1 ≤ tau < 1.
    """
    if not -1 <= tau < 1:
        raise ValueError(f"tau: got {tau:g}, allowed from -1, below 1")
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = np.divide(features, norms, out=np.zeros_like(features), where=norms > 0)
    for i in range(0, len(unit), BLOCK):
        for j in range(i, len(unit), BLOCK):
            linked = unit[i : i + BLOCK] @ unit[j : j + BLOCK].T > tau
            start, stop = np.nonzero(np.triu(linked, k=1) if i == j else linked)
            yield Links(start + i, stop + j, np.zeros((len(start), 0), np.int8))


def largest_overlapping(
    features: Float[ndarray, "n d"],
    tau: float,
    ranks: Int[ndarray, "runs n"],
    counts: Int[ndarray, " counts"],
) -> Int[ndarray, "runs counts"]:
    """Images in the largest linked group when so many images are kept.

    features: images, flattened: bright and noise-free, or what `tau` is to compare. ranks: the
    order in which each run keeps images. Links are never in memory all at once: of those seen so
    far each run keeps its spanning forest, at most n − 1.
    """
    nothing = Links(*np.zeros((2, 0), np.int64), np.zeros((0, 0), np.int8))
    forests = [nothing] * len(ranks)
    for links in overlapping(features, tau):
        forests = [_merged(*pair, links) for pair in zip(forests, ranks, strict=True)]
    pairs = zip(forests, ranks, strict=True)
    return np.concatenate([largest_clusters(own, rank[None], counts) for own, rank in pairs])


def _merged(forest: Links, rank: ndarray, links: Links) -> Links:
    """The links that a run's forest needs of its own and of new ones."""
    start, stop = (np.concatenate(ends) for ends in zip(forest[:2], links[:2], strict=True))
    kept = spanning_forest(len(rank), start, stop, np.maximum(rank[start], rank[stop]))
    return Links(start[kept], stop[kept], np.zeros((len(kept), 0), np.int8))
