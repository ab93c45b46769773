"""Percolation against a plainly written union–find, exact enumeration, and known thresholds."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from analysis.measures import percolation
from analysis.measures.finite_size import collapse_gaps, finite_size_threshold, winding_chance
from analysis.measures.percolation import (
    Links,
    first_windings,
    largest_clusters,
    random_ranks,
    spanning_forest,
    torus_links,
)

KNOWN = {4: 0.592746, 8: 0.407254, 12: 0.28912}


def union_find(links: Links, rank: np.ndarray) -> tuple[int, list[int]]:
    """Newman and Ziff's algorithm: the first winding, and the largest cluster at every count."""
    parent, crossed = list(range(len(rank))), np.zeros((len(rank), links.seams.shape[1]), int)
    size, largest, first = [1] * len(rank), [], len(rank) + 1

    def root(site: int) -> tuple[int, np.ndarray]:
        way = np.zeros(links.seams.shape[1], int)
        while parent[site] != site:
            way, site = way + crossed[site], parent[site]
        return site, way

    for count in range(1, len(rank) + 1):
        for start, stop, seams in zip(*links, strict=True):
            if max(rank[start], rank[stop]) != count:
                continue
            (above, up), (below, down) = root(start), root(stop)
            if above != below:  # the way from the lower root to the upper one
                parent[below], crossed[below] = above, up - seams - down
                size[above] += size[below]
            elif first > count and (down + seams != up).any():
                first = count
        largest.append(max(size))
    return first, largest


@st.composite
def graphs(draw) -> tuple[Links, np.ndarray]:
    """Graphs with double links and links from a site to itself, seams, and three orders."""
    sites, count = draw(st.integers(1, 12)), draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    start, stop = rng.integers(sites, size=(2, count))
    return Links(start, stop, rng.integers(-1, 2, (count, 2))), random_ranks(3, sites, rng)


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_the_forest_says_what_union_find_says(graph):
    links, ranks = graph
    expected = [union_find(links, rank) for rank in ranks]
    assert first_windings(links, ranks).tolist() == [first for first, _ in expected]
    counts = np.arange(1, ranks.shape[1] + 1)
    found = largest_clusters(links, ranks, counts)
    assert found.tolist() == [largest for _, largest in expected]


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_largest_clusters_are_components_of_what_is_there(graph):
    links, ranks = graph
    for count in range(1, ranks.shape[1] + 1):
        for rank, found in zip(
            ranks, largest_clusters(links, ranks, np.array([count])), strict=True
        ):
            there = np.maximum(rank[links.start], rank[links.stop]) <= count
            pairs = links.start[there], links.stop[there]
            graph = coo_array((np.ones(there.sum()), pairs), shape=(len(rank), len(rank)))
            _, cluster = connected_components(graph, directed=False)
            assert found == np.bincount(cluster).max()


def test_the_forest_takes_the_links_that_appear_first():
    start, stop, weight = np.array([[2, 0, 0, 1], [0, 1, 1, 2], [5, 1, 1, 4]])
    assert sorted(spanning_forest(4, start, stop, weight)) == [1, 3]


@pytest.mark.parametrize("neighbors", KNOWN)
def test_every_site_of_a_torus_has_its_neighbors(neighbors):
    links = torus_links(7, neighbors)
    ends = np.concatenate([links[:2], links[1::-1]], 1)
    assert len({*zip(*ends.tolist(), strict=True)}) == 49 * neighbors
    assert (np.bincount(ends[0]) == neighbors).all()
    reach = {4: 1, 8: 2, 12: 4}[neighbors]
    place = np.stack(np.divmod(np.arange(49), 7), 1) / 7
    gap = place[links.stop] - place[links.start] + links.seams  # the way that the link takes
    assert (((7 * gap) ** 2).sum(1) < reach + 0.5).all()


@pytest.mark.parametrize("neighbors", (4, 8))
def test_winding_chances_are_those_of_all_sets_of_sites(neighbors):
    """On 3 × 3 sites: all 512 sets, against all orders that begin with the first site."""
    links = torus_links(3, neighbors)
    orders = np.array([(1, *order) for order in permutations(range(2, 10))])
    kept = np.linspace(0, 1, 11)
    expected = np.zeros(11)
    for there in product((0, 1), repeat=9):
        late = np.where(there, 1, 10)  # at once, or never
        winds = union_find(Links(*links), late)[0] == 1
        expected += winds * kept ** sum(there) * (1 - kept) ** (9 - sum(there))
    found = winding_chance(first_windings(links, orders), 9, kept)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_never_winds_adds_no_chance():
    first = np.array([3, 10])
    assert winding_chance(first, 9, np.array([0.0, 1.0])).tolist() == [0, 0.5]


def test_runs_are_simulated_in_batches_that_fit(monkeypatch):
    links, ranks = torus_links(5, 8), random_ranks(7, 25, np.random.default_rng(0))
    first, largest = first_windings(links, ranks), largest_clusters(links, ranks, np.array([9]))
    monkeypatch.setattr(percolation, "MOST_LINKS", 250)
    assert (first_windings(links, ranks) == first).all()
    assert (largest_clusters(links, ranks, np.array([9])) == largest).all()


def threshold(neighbors: int, sizes: dict[int, int]):
    rng = np.random.default_rng(0)
    first = {}
    for size, runs in sizes.items():
        ranks = random_ranks(runs, size**2, rng)
        first[size] = first_windings(torus_links(size, neighbors), ranks)
    return finite_size_threshold(first, rng=rng)


@pytest.mark.parametrize("neighbors", KNOWN)
def test_thresholds_are_the_known_ones(neighbors):
    found = threshold(neighbors, {8: 2000, 16: 1000, 32: 300})
    assert found.estimate == pytest.approx(KNOWN[neighbors], abs=0.003)
    assert found.interval.low < KNOWN[neighbors] < found.interval.high
    assert 0 < found.interval.high - found.interval.low < 0.008


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("neighbors", KNOWN)
def test_many_runs_know_the_thresholds_better(neighbors):
    found = threshold(neighbors, dict.fromkeys((8, 12, 16, 24, 32, 48, 64), 2000))
    assert found.estimate == pytest.approx(KNOWN[neighbors], abs=0.001)


def test_curves_of_all_sizes_are_one_at_the_threshold_alone():
    rng, curves = np.random.default_rng(0), {}
    for size, runs in ((16, 400), (32, 200), (64, 50)):
        counts = np.round((KNOWN[4] + np.linspace(-1, 1, 9) * size**-0.75) * size**2).astype(int)
        largest = largest_clusters(torus_links(size, 4), random_ranks(runs, size**2, rng), counts)
        curves[size] = counts / size**2, largest.mean(0) / size**2
    assert max(collapse_gaps(curves, KNOWN[4]).values()) < 0.05
    assert max(collapse_gaps(curves, KNOWN[4] - 0.03).values()) > 0.1


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="neighbors: got 6, allowed 4, 8, 12"):
        torus_links(8, 6)
    with pytest.raises(ValueError, match="size: got 4, allowed from 5 with 12 neighbors"):
        torus_links(4, 12)
    first = np.array([3, 4])
    for few in ({8: first}, {8: first, 16: first[:1]}):
        with pytest.raises(ValueError, match="two and more sizes, each with two and more runs"):
            finite_size_threshold(few, rng=np.random.default_rng(0))
    curve = np.array([0.4, 0.5]), np.array([0.1, 0.2])
    with pytest.raises(ValueError, match="allowed are two and more sizes"):
        collapse_gaps({8: curve}, 0.5)
    with pytest.raises(ValueError, match="size 8 reaches nowhere where the others do"):
        collapse_gaps({8: curve, 16: (curve[0] + 0.5, curve[1])}, 0.5)
