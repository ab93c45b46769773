"""The line that a hole must pass: calibrated on noise, passed by the holes of tori."""

import numpy as np
import pytest

from analysis.measures.homology import loop_lengths, pairwise_distances, persistence
from analysis.measures.ideal_codes import angles, clifford_torus, solid_torus, with_noise
from analysis.measures.structureless import holes_beyond, noise_line, principal_sizes, turned

RNG = np.random.default_rng


def cloud(code, noise, seed=0):
    return with_noise(code, 1, 32, noise, rng=RNG(seed)).reshape(-1, 32)


def alarm(points, seed=0):
    return loop_lengths(points).max(initial=0) > noise_line(points, rng=RNG([seed, 1]))


def test_turned_points_keep_their_covariance_alone():
    points = RNG(0).normal(size=(60, 5)) * [5, 3, 1, 1, 0.5] + 7
    found = turned(principal_sizes(points), rng=RNG(1))
    own, other = (np.linalg.eigvalsh(np.cov(p.T))[::-1][:5] for p in (points, found))
    np.testing.assert_allclose(own, other)
    assert found.shape == (60, 60) and np.abs(found.mean(0)).max() < 1e-9
    first, second = (pairwise_distances(p) for p in (points, found))
    assert (first**2).sum() == pytest.approx((second**2).sum())
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < 0.5


@pytest.mark.parametrize("make", [clifford_torus, solid_torus])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_torus_has_two_holes_beyond_the_line(make, noise):
    points = cloud(make(angles(20), angles(20)), noise)
    line, found = noise_line(points, rng=RNG(1)), persistence(points)
    assert holes_beyond(line, found) == 2
    assert holes_beyond(1.0, found) == 0


def test_rings_that_do_not_hang_together_are_no_holes():
    """On a coarse grid the rings of a solid torus are 16 loops before its outer side is closed."""
    points = solid_torus(angles(16), angles(16)).reshape(-1, 3)
    line = noise_line(points, rng=RNG(1))
    assert (loop_lengths(points) > line).sum() > 10
    assert holes_beyond(line, persistence(points)) == 2


def test_a_sheet_that_bends_has_none():
    half = angles(16, periodic=False)
    assert not alarm(cloud(clifford_torus(half, half), 0.2))


@pytest.mark.slow
def test_noise_passes_one_time_in_twenty():
    """Gaussian noise in 3 dimensions, of 30 clouds: more than 5 would be one time in 300."""
    assert sum(alarm(RNG(i).normal(size=(200, 3)), i) for i in range(30)) <= 5


def test_few_points_are_refused():
    with pytest.raises(ValueError, match="got 100 points; allowed are 200 and more"):
        noise_line(RNG(0).normal(size=(100, 3)), rng=RNG(0))
