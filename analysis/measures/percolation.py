"""Percolation: sites appear one by one in random order, and links join those that are there.

Newman and Ziff (2000) follow the clusters by union–find. A link appears with the later of its two
sites, so their unions are those of Kruskal's minimum spanning forest, and all that they read off
while sites appear is read off the finished forest: one call of scipy for many orders at once.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

# Half of the steps to the neighbors of a site on a square lattice; the others are their negatives.
STEPS = {
    4: ((1, 0), (0, 1)),
    8: ((1, 0), (0, 1), (1, 1), (1, -1)),
    12: ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2)),
}
MOST_LINKS = 1_000_000  # of several runs at once: some 100 MB


class Links(NamedTuple):
    """Links between sites, each once.

    Attributes:
        start, stop: int64 (links,), the sites of each.
        seams: int (links, k): how often the way from start to stop crosses each of k seams, by its
            sign. A cluster winds around where a way through it returns to its first site and does
            not cross back all seams that it has crossed.
    """

    start: Int[ndarray, " links"]
    stop: Int[ndarray, " links"]
    seams: Int[ndarray, "links k"]


def torus_links(size: int, neighbors: int) -> Links:
    """Links of a torus of size × size sites to 4, 8 or 12 neighbors; seams: its two edges.

    Raises ValueError for other neighbors, and for a torus on which one site is two neighbors of
    another.
    """
    if neighbors not in STEPS:
        raise ValueError(f"neighbors: got {neighbors}, allowed {', '.join(map(str, STEPS))}")
    fewest = 2 * max(max(step) for step in STEPS[neighbors]) + 1
    if size < fewest:
        raise ValueError(f"size: got {size}, allowed from {fewest} with {neighbors} neighbors")
    start = np.repeat(np.arange(size**2), len(STEPS[neighbors]))
    steps = np.tile(STEPS[neighbors], (size**2, 1))
    place = np.column_stack(np.divmod(start, size)) + steps
    row, column = (place % size).T
    return Links(start, row * size + column, (place // size).astype(np.int8))


def random_ranks(
    runs: int, sites: int, rng: np.random.Generator, first: int = 1
) -> Int[ndarray, "runs sites"]:
    """Ranks of sites in random orders: `first` for the site that appears first, and so on."""
    return rng.permuted(np.tile(np.arange(first, first + sites), (runs, 1)), axis=1)


def first_windings(links: Links, ranks: Int[ndarray, "runs sites"]) -> Int[ndarray, " runs"]:
    """Number of sites that are there when a cluster first winds around; sites + 1 if none does.

    ranks: when each site appears, from 1 on.
    """
    parts = [_first_windings(links, part) for part in _batches(links, ranks)]
    return np.concatenate(parts)


def largest_clusters(
    links: Links, ranks: Int[ndarray, "runs sites"], counts: Int[ndarray, " counts"]
) -> Int[ndarray, "runs counts"]:
    """Sites in the largest cluster when so many sites are there, each count at least 1."""
    parts = []
    for part in _batches(links, ranks):
        start, stop, weight, _ = _copies(links, part)
        kept = spanning_forest(part.size, start, stop, weight)
        forest = start[kept], stop[kept], weight[kept]
        parts.append(np.stack([_largest(part.shape, *forest, n) for n in counts.tolist()], 1))
    return np.concatenate(parts)


def spanning_forest(
    sites: int,
    start: Int[ndarray, " links"],
    stop: Int[ndarray, " links"],
    weight: Int[ndarray, " links"],
) -> Int[ndarray, " kept"]:
    """Indices of the links that join two clusters when they appear, in the order of `weight`.

    The others close a cycle. Of equal weights the first appears first.
    """
    count = len(start)
    key = weight * count + np.arange(count) + 1.0  # names its link, and is none another's
    by_start = np.argsort(start, kind="stable")
    rows = np.searchsorted(start[by_start], np.arange(sites + 1))
    graph = csr_array((key[by_start], stop[by_start], rows), shape=(sites, sites))
    tree = minimum_spanning_tree(graph, overwrite=True)
    return (tree.data.astype(np.int64) - 1) % max(count, 1)


def winding_links(
    sites: int,
    start: Int[ndarray, " links"],
    stop: Int[ndarray, " links"],
    weight: Int[ndarray, " links"],
    seams: Int[ndarray, "links k"],
) -> Bool[ndarray, " links"]:
    """Whether the cycle that each link closes when it appears, if any, winds around.

    It closes the cycle with the only way between its ends that the forest has.
    """
    kept = spanning_forest(sites, start, stop, weight)
    crossed = _crossed(sites, start[kept], stop[kept], seams[kept])
    return (crossed[start] + seams != crossed[stop]).any(1)


def _batches(links: Links, ranks: ndarray) -> list[ndarray]:
    """Some runs at a time: their links are in memory together."""
    together = max(1, MOST_LINKS // max(1, len(links.start)))
    return [ranks[i : i + together] for i in range(0, len(ranks), together)]


def _copies(links: Links, ranks: ndarray) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Start, stop, weight and seams of the links of all runs, side by side as one graph."""
    runs, sites = ranks.shape
    offset = sites * np.arange(runs)[:, None]
    start, stop = ((offset + end).ravel() for end in (links.start, links.stop))
    weight = np.maximum(ranks.ravel()[start], ranks.ravel()[stop])
    return start, stop, weight, np.tile(links.seams, (runs, 1))


def _first_windings(links: Links, ranks: ndarray) -> ndarray:
    start, stop, weight, seams = _copies(links, ranks)
    winds = winding_links(ranks.size, start, stop, weight, seams)
    never = ranks.shape[1] + 1
    return np.where(winds, weight, never).reshape(len(ranks), -1).min(1, initial=never)


def _crossed(sites: int, start: ndarray, stop: ndarray, seams: ndarray) -> ndarray:
    """Seams crossed from the root of its tree to each site, along the forest; int32 (sites, k)."""
    parent = _parents(sites, start, stop)
    down = parent[stop] == start
    crossed = np.zeros((sites + 1, seams.shape[1]), np.int32)
    crossed[stop[down]] = seams[down]
    crossed[start[~down]] = -seams[~down]
    while (parent != sites).any():  # each round doubles the way that is summed
        crossed += crossed[parent]
        parent = parent[parent]
    return crossed[:sites]


def _parents(sites: int, start: ndarray, stop: ndarray) -> ndarray:
    """Each site's parent in the forest. That of roots, and of itself, is one more node, `sites`."""
    _, tree = connected_components(_graph(sites, start, stop), directed=False)
    _, roots = np.unique(tree, return_index=True)
    start, stop = np.append(start, np.full(len(roots), sites)), np.append(stop, roots)
    graph = _graph(sites + 1, start, stop)
    _, parent = breadth_first_order(graph, sites, directed=False)
    parent[sites] = sites
    return parent


def _largest(
    shape: tuple[int, ...], start: ndarray, stop: ndarray, weight: ndarray, count: int
) -> ndarray:
    """Of each run, with the links up to `count` alone: sites that are not there stay single."""
    there = weight <= count
    graph = _graph(shape[0] * shape[1], start[there], stop[there])
    _, cluster = connected_components(graph, directed=False)
    return np.bincount(cluster)[cluster].reshape(shape).max(1)


def _graph(sites: int, start: ndarray, stop: ndarray) -> coo_array:
    return coo_array((np.ones(len(start), np.int8), (start, stop)), shape=(sites, sites))
