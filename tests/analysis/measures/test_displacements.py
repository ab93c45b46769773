"""Steps through ideal codes, with and without noise; components; linear readouts; subspaces."""

import numpy as np
import pytest

from analysis.measures.displacements import displacements, spectrum
from analysis.measures.ideal_codes import (
    angles,
    clifford_torus,
    one_hot,
    solid_torus,
    with_noise,
)
from analysis.measures.linear_readout import readout_r2
from analysis.measures.subspaces import (
    carrying_subspace,
    held_share,
    leading_directions,
    random_subspace,
    shorter_way,
)

GRID = angles(16)
RNG = np.random.default_rng


def means(code, norm=0.0):
    codes = with_noise(code, 6, 256, norm, rng=RNG(0))
    found = displacements(codes, rng=RNG(1), pairs=4000)
    return {steps: np.nanmean(cosines) for steps, cosines in found.items()}


@pytest.mark.parametrize("norm", [0.0, 0.5])
def test_tori_are_told_apart_by_their_steps(norm):
    """On the solid torus steps along the big circle are parallel, those along the small are not."""
    solid, clifford = means(solid_torus(GRID, GRID), norm), means(clifford_torus(GRID, GRID), norm)
    off = 0.005 if norm == 0 else 0.08
    assert clifford["x against y"] == pytest.approx(0, abs=off)
    assert clifford["x along y"] == pytest.approx(1, abs=off)
    assert clifford["y along x"] == pytest.approx(1, abs=off)
    assert solid["x against y"] == pytest.approx(0.42, abs=0.03)
    assert max(solid["x along y"], solid["y along x"]) == pytest.approx(1, abs=off)
    assert min(solid["x along y"], solid["y along x"]) == pytest.approx(0.49, abs=0.04)


def test_only_a_one_hot_code_is_orthogonal_to_itself():
    assert means(one_hot(GRID, GRID))["x against x"] == pytest.approx(0, abs=1e-9)
    assert means(clifford_torus(GRID, GRID))["y against y"] > 0.5


def test_few_values_have_no_steps_against_their_own():
    code = one_hot(np.arange(2.0), np.arange(4.0))
    found = displacements(np.stack([code] * 2), rng=RNG(0))
    assert "x against x" not in found and "y against y" in found


def test_noise_adds_no_component():
    shares = spectrum(with_noise(clifford_torus(GRID, GRID), 6, 256, 1.0, rng=RNG(2)))
    assert shares[:4] == pytest.approx(np.full(4, 0.25), abs=0.03)
    assert np.abs(shares[4:]).max() < 0.05 and len(shares) == 15


def test_a_readout_finds_what_is_there_and_nothing_else():
    codes = with_noise(clifford_torus(GRID, GRID), 1, 64, 0.3, rng=RNG(3))[0].reshape(256, 64)
    turn = np.repeat(GRID, 16)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert readout_r2(codes, circle, rng=RNG(0)) > 0.9
    assert readout_r2(codes, RNG(5).normal(size=(256, 2)), rng=RNG(0)) < 0.1
    assert readout_r2(codes, np.cos(2 * circle[:, :1] + 9 * circle[:, 1:]), rng=RNG(0)) < 0.5
    with pytest.raises(ValueError, match="allowed are 8 rows|8 and more"):
        readout_r2(codes[:7], circle[:7], rng=RNG(0))


def test_a_subspace_holds_what_carries_a_feature():
    frame = np.linalg.qr(RNG(6).normal(size=(20, 4)))[0]
    of_x = np.stack([np.cos(GRID), np.sin(GRID)], axis=1) @ frame[:, :2].T
    basis = carrying_subspace([of_x, 100 * of_x, np.zeros((16, 20))])
    assert basis.shape == (20, 2)
    np.testing.assert_allclose(basis @ basis.T @ of_x.T, of_x.T, atol=1e-9)
    turned = random_subspace(basis, rng=RNG(0))
    np.testing.assert_allclose(turned.T @ turned, np.eye(2), atol=1e-9)
    with pytest.raises(ValueError, match="varies at no level"):
        carrying_subspace([np.zeros((16, 20))])


def test_the_shorter_way_goes_around():
    start, end = np.array([15.0, 1.0, 4.0]), np.array([1.0, 15.0, 6.0])
    assert shorter_way(start, end, 16.0).tolist() == [2, -2, 2]
    assert shorter_way(start, end, None).tolist() == [-14, 14, 2]


def test_leading_directions_are_of_the_largest_variance_and_none_beyond():
    frame = np.linalg.qr(RNG(7).normal(size=(20, 3)))[0]
    part = RNG(8).normal(size=(16, 3)) * [5, 2, 0.1] @ frame.T
    found = leading_directions(part - part.mean(0))
    assert np.abs(np.diag(found.T @ frame[:, :2])).min() > 0.99
    two = leading_directions(np.array([[1.0, 0, 0], [-1, 0, 0]]))
    np.testing.assert_allclose(np.abs(two), [[1, 0], [0, 0], [0, 0]], atol=1e-12)
    assert not leading_directions(np.zeros((4, 3))).any()


def test_what_a_subspace_holds_is_free_of_noise():
    """Of a part with 4 / 5 of its variance along the first axis, in noise of twice its norm."""
    part = np.zeros((16, 64))
    part[:, 0], part[:, 1] = 2 * np.sign(np.arange(16) - 7.5), (-1) ** np.arange(16)
    readings = part + RNG(9).normal(size=(200, 16, 64)) * 2 * 5**0.5 / 8
    basis = np.eye(64)[:, :1]
    assert held_share(readings, basis) == pytest.approx(0.8, abs=0.02)
    assert np.isnan(held_share(np.zeros((2, 16, 64)), basis))
