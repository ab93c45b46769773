"""Overlap graph of a training set: images are linked where they overlap by more than tau.

The overlap of images x and y is x·y / (|x| |y|). Of two Gaussian bumps r apart, whole in the image
and of one sigma, it is exp(−r² / 4 sigma²): bumps are points, linked within a reach.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from analysis.measures.percolation import Links, largest_clusters, spanning_forest, winding_links

BLOCK = 1024  # images against as many at once
FEW_SITES = 32  # with which the search for a cluster begins
MOST_SITES = 2**14  # of several runs at once


def bump_reach(tau: float) -> float:
    """Distance in units of sigma within which two bumps overlap by more than tau.

    Raises ValueError unless 0 < tau < 1.
    """
    if not 0 < tau < 1:
        raise ValueError(f"tau: got {tau:g}, allowed above 0, below 1")
    return float(2 * np.sqrt(np.log(1 / tau)))


def count_reached(
    points: Float[ndarray, "n k"], reach: float, box: Float[ndarray, " k"] | None = None
) -> int:
    """Number of links that `reached_links` returns."""
    tree = cKDTree(points, boxsize=box)
    return (int(tree.count_neighbors(tree, reach)) - len(points)) // 2


def reached_links(
    points: Float[ndarray, "n k"], reach: float, box: Float[ndarray, " k"] | None = None
) -> Links:
    """Links between points within `reach` of each other. Seams: the edges of the box.

    box: along which axes space is a torus, and how long it is; points lie in [0, box) there. 0 or
    None: it is not, and has no seam to cross.
    """
    tree = cKDTree(points, boxsize=box)
    start, stop = tree.query_pairs(reach, output_type="ndarray").T.astype(np.int64)
    length = np.full(points.shape[1], np.inf) if box is None else np.where(box > 0, box, np.inf)
    return Links(start, stop, np.rint((points[stop] - points[start]) / length).astype(np.int8))


def first_spans(
    points: Float[ndarray, "n 2"],
    reach: float,
    runs: int,
    rng: np.random.Generator,
    box: Float[ndarray, "2"] | None = None,
) -> Int[ndarray, " runs"]:
    """Number of points that are there when a cluster first spans, in each of so many random orders;
    n + 1 if none does.

    On a plane (box None) a cluster spans that holds a point of the leftmost and one of the
    rightmost column; on a torus, one that winds around in either direction. Points, reach and box
    are those of `reached_links`.
    """
    orders = np.array([rng.permutation(len(points)) for _ in range(runs)])
    columns = [points[:, 0] == end for end in (points[:, 0].min(), points[:, 0].max())]
    first, pending = np.full(runs, len(points) + 1), np.arange(runs)
    count = min(FEW_SITES, len(points))
    while len(pending):  # only the points that are needed are linked
        for i in range(0, len(pending), max(1, MOST_SITES // count)):
            part = pending[i : i + max(1, MOST_SITES // count)]
            there = orders[part, :count]
            walls = [] if box is not None else [column[there] for column in columns]
            first[part] = _first_spans(points[there], reach, box, walls)
        pending = pending[first[pending] > count] if count < len(points) else pending[:0]
        count = min(2 * count, len(points))
    return first


def _first_spans(
    points: ndarray, reach: float, box: ndarray | None, walls: list[ndarray]
) -> ndarray:
    """Of points (runs, count, 2) in their orders, each run in a layer of its own; count + 1 if none
    does. walls: which points, (runs, count), are linked with either wall of a plane."""
    runs, count, _ = points.shape
    layer = np.repeat(2 * reach * np.arange(runs), count)
    space = None if box is None else np.append(box, 0)
    links = reached_links(np.column_stack([points.reshape(-1, 2), layer]), reach, space)
    start, stop, seams = _with_walls(links, walls, count)
    rank = np.append(np.tile(np.arange(1, count + 1), runs), np.zeros(runs, np.int64))
    weight = np.maximum(rank[start], rank[stop])
    winds = winding_links(len(rank), start, stop, weight, seams)
    first = np.full(runs, count + 1)
    np.minimum.at(first, stop[winds] // count, weight[winds])
    return first


def _with_walls(links: Links, walls: list[ndarray], count: int) -> Links:
    """One more site a run, both walls, which one reaches across a seam from the second one: a
    cluster that spans winds around through it."""
    for seam, linked in enumerate(walls):
        sites = np.flatnonzero(linked)
        wall, across = linked.size + sites // count, np.zeros((len(sites), 3), np.int8)
        across[:, 0] = seam
        start, stop = np.append(links.start, wall), np.append(links.stop, sites)
        links = Links(start, stop, np.concatenate([links.seams, across]))
    return links


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
    none = np.zeros(0, np.int64)
    forests = [Links(none, none, np.zeros((0, 0), np.int8))] * len(ranks)
    for links in overlapping(features, tau):
        forests = [_merged(*pair, links) for pair in zip(forests, ranks, strict=True)]
    pairs = zip(forests, ranks, strict=True)
    return np.concatenate([largest_clusters(own, rank[None], counts) for own, rank in pairs])


def _merged(forest: Links, rank: ndarray, links: Links) -> Links:
    """The links that a run's forest needs of its own and of new ones."""
    start, stop = (np.concatenate(ends) for ends in zip(forest[:2], links[:2], strict=True))
    kept = spanning_forest(len(rank), start, stop, np.maximum(rank[start], rank[stop]))
    return Links(start[kept], stop[kept], np.zeros((len(kept), 0), np.int8))
