"""Holes of ideal surfaces, and the scales on which they are seen."""

import numpy as np
import pytest

from analysis.measures.homology import TORUS, farthest_points, pairwise_distances, persistence
from analysis.measures.ideal_codes import angles, clifford_torus, solid_torus, with_noise

RNG = np.random.default_rng


def points(code, width=64, noise=0.0):
    return with_noise(code, 1, width, noise, rng=RNG(0))[0].reshape(-1, width)


@pytest.mark.parametrize("make", [clifford_torus, solid_torus])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_both_tori_have_the_holes_of_a_torus(make, noise):
    found = persistence(points(make(angles(20), angles(20)), noise=noise))
    window = found.longest()
    assert window.betti == TORUS and window.ratio > 1.3
    assert window.alive or noise  # which fills the smaller hole a little sooner
    assert found.longest(TORUS) == window and found.points == 400


def test_a_cylinder_and_a_sheet_are_no_torus():
    turn, place = angles(20), np.linspace(0, 2, 15)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    cylinder = np.concatenate([np.repeat(circle, 15, axis=0), np.tile(place, 20)[:, None]], axis=1)
    found = persistence(cylinder)
    assert found.longest().betti == (1, 1, 0) and found.longest(TORUS) is None
    sheet = np.stack(np.meshgrid(place, place), axis=-1).reshape(-1, 2)
    assert persistence(sheet).longest().betti == (1, 0, 0)


def test_the_window_of_a_grid_is_that_of_its_spacing():
    """A Clifford torus of radii 1/√2 in steps of 1/20 turn hangs together at one side of a square,
    and its squares are filled at their diagonal."""
    found = persistence(clifford_torus(angles(20), angles(20)).reshape(-1, 4))
    side = 2**0.5 * np.sin(np.pi / 20)
    assert found.longest().low == pytest.approx(2**0.5 * side, rel=1e-6)
    assert found.threshold == pytest.approx(0.55 * 2**0.5, rel=0.01)


def test_farthest_points_are_even():
    distances = pairwise_distances(np.arange(101.0)[:, None])
    assert sorted(farthest_points(distances, 5)) == [0, 25, 50, 75, 100]


def test_many_points_are_thinned_out():
    code = clifford_torus(angles(40), angles(40)).reshape(-1, 4)
    found = persistence(code)
    assert found.points == 400 and found.longest().betti == TORUS


def test_what_is_too_little_is_refused():
    with pytest.raises(ValueError, match="got 100 points; allowed are 200 and more"):
        persistence(RNG(0).normal(size=(100, 3)))
    with pytest.raises(ValueError, match="all alike"):
        persistence(np.ones((200, 3)))


def test_two_hundred_calls_keep_no_memory():
    """Rips complexes were seen to grow the memory of a process (gudhi-devel, issue 1205)."""
    psutil = pytest.importorskip("psutil")
    code = clifford_torus(angles(20), angles(20)).reshape(-1, 4)
    own = psutil.Process()
    for _ in range(20):
        persistence(code)
    before = own.memory_info().rss
    for _ in range(200):
        persistence(code)
    assert own.memory_info().rss - before < 50 << 20
