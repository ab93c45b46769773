"""Overlap graphs against their definition, in pixels and in closed form."""

import numpy as np
import pytest
import torch

from analysis.measures import overlap
from analysis.measures.overlap import (
    bump_reach,
    count_reached,
    first_spans,
    largest_overlapping,
    overlapping,
    reached_links,
)
from analysis.measures.percolation import (
    first_windings,
    largest_clusters,
    random_ranks,
    torus_links,
)
from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.world import render


def lattice(size: int) -> np.ndarray:
    return np.stack(np.divmod(np.arange(float(size**2)), size), 1)


def pairs(links) -> set[tuple[int, int]]:
    return {(min(p), max(p)) for p in zip(links.start.tolist(), links.stop.tolist(), strict=True)}


@pytest.mark.parametrize("sigmas", [(1.0, 1.0), (1.5, 0.8)])
@pytest.mark.parametrize("tau", [0.005, 0.05, 0.5])
def test_bumps_overlap_in_pixels_as_in_closed_form(sigmas, tau):
    """Of random centres at least three sigma inside the frame, but for pairs at the very limit."""
    config = BumpsConfig(image_size_px=24, sigma_x=sigmas[0], sigma_y=sigmas[1])
    centres = np.random.default_rng(0).uniform(4.5, 19.5, (120, 2))
    images = render(config, torch.tensor(centres)).flatten(1).numpy()
    in_pixels = set().union(*map(pairs, overlapping(images, tau)))
    points, reach = centres / sigmas, bump_reach(tau)
    surely, perhaps = (pairs(reached_links(points, reach * by)) for by in (0.98, 1.02))
    assert surely <= in_pixels <= perhaps
    assert 0 < len(surely) < len(perhaps) < 120 * 119 / 2


@pytest.mark.parametrize("sigma", [0.5, 0.75, 1.0, 1.5])
def test_on_a_tiling_of_pixels_narrow_bumps_are_linked_alike(sigma):
    """Between pixels the closed form fails at sigma .5, but not so far as the next distance."""
    config = BumpsConfig(image_size_px=24, sigma_x=sigma, sigma_y=sigma)
    centres = lattice(13) + 6
    images = render(config, torch.tensor(centres)).flatten(1).numpy()
    for tau in (0.005, 0.05):
        (links,) = overlapping(images, tau)
        assert pairs(links) == pairs(reached_links(centres / sigma, bump_reach(tau)))


def test_the_reach_is_where_the_overlap_is_tau():
    assert bump_reach(0.005) == pytest.approx(4.60, abs=0.005)
    assert bump_reach(0.05) == pytest.approx(3.46, abs=0.005)


def test_blocks_of_images_say_what_all_at_once_say(monkeypatch):
    rng = np.random.default_rng(1)
    images, ranks = rng.normal(size=(40, 3)), random_ranks(3, 40, rng)
    counts = np.array([1, 5, 20, 40])
    whole = largest_overlapping(images, 0.8, ranks, counts)
    (links,) = overlapping(images, 0.8)
    assert (whole == largest_clusters(links, ranks, counts)).all()
    assert 1 == whole.min() < whole.max()
    monkeypatch.setattr(overlap, "BLOCK", 7)
    assert (largest_overlapping(images, 0.8, ranks, counts) == whole).all()
    merged = set().union(*map(pairs, overlapping(images, 0.8)))
    assert merged == pairs(links)


def test_a_black_image_overlaps_with_none():
    images = np.array([[1.0, 0.0], [0.0, 0.0], [2.0, 0.1]])
    (links,) = overlapping(images, -0.5)
    assert pairs(links) == {(0, 1), (0, 2), (1, 2)}  # 0 is above −.5
    (links,) = overlapping(images, 0.0)
    assert pairs(links) == {(0, 2)}


def spans(points: np.ndarray, reach: float) -> bool:
    """By the definition: a walk from the left column that reaches the right one."""
    found, new = set(), set(np.flatnonzero(points[:, 0] == 0))
    while new:
        found |= new
        gaps = np.linalg.norm(points[:, None] - points[list(new)], axis=2)
        new = set(np.flatnonzero((gaps < reach).any(1))) - found
    return any(points[i, 0] == 6 for i in found)


@pytest.mark.parametrize("reach", [1.1, 1.5, 2.1])
def test_a_plane_is_spanned_by_a_walk_from_left_to_right(reach, monkeypatch):
    monkeypatch.setattr(overlap, "FEW_SITES", 5)
    found = first_spans(lattice(7), reach, 20, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    for first in found:
        order = rng.permutation(49)
        assert spans(lattice(7)[order[:first]], reach)
        assert not spans(lattice(7)[order[: first - 1]], reach)


def test_a_torus_is_spanned_as_the_lattice_is_wound_around():
    found = first_spans(lattice(6), 1.5, 30, np.random.default_rng(3), box=np.full(2, 6.0))
    rng = np.random.default_rng(3)
    ranks = np.array([np.argsort(rng.permutation(36)) + 1 for _ in range(30)])
    assert (found == first_windings(torus_links(6, 8), ranks)).all()


def test_what_is_out_of_reach_never_spans():
    rng = np.random.default_rng(0)
    assert first_spans(lattice(4), 0.9, 3, rng).tolist() == [17] * 3
    assert first_spans(lattice(4), 0.9, 3, rng, box=np.full(2, 4.0)).tolist() == [17] * 3
    assert first_spans(lattice(4)[:4] * [0, 1], 0.9, 3, rng).tolist() == [1] * 3  # one column


@pytest.mark.parametrize("tau", [0.005, 0.05])
def test_narrower_bumps_need_a_larger_share(tau):
    rng = np.random.default_rng(0)
    halves = [
        np.median(first_spans(lattice(32) / sigma, bump_reach(tau), 32, rng))
        for sigma in (0.5, 0.75, 1.0, 1.5, 2.0)
    ]
    assert (np.diff(halves) < 0).all()


def test_links_are_counted_before_they_are_made():
    box = np.full(2, 9.0)
    for reach, torus in ((1.1, None), (2.5, None), (2.5, box)):
        expected = len(reached_links(lattice(9), reach, torus).start)
        assert count_reached(lattice(9), reach, torus) == expected


def test_what_no_overlap_can_be_is_refused():
    for tau in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match=f"tau: got {tau:g}, allowed above 0, below 1"):
            bump_reach(tau)
    with pytest.raises(ValueError, match="tau: got 1, allowed from -1, below 1"):
        next(overlapping(np.eye(2), 1.0))
