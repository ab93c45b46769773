"""Cross-fitted swing: known falls exactly, nothing in noise, and dips that are planted."""

import numpy as np
import pytest

from analysis.measures.cross_fitted import (
    cross_fitted_rise,
    cross_fitted_swing,
    largest_falls,
)
from analysis.measures.intervals import clopper_pearson

TIMES, IMAGES = 18, 64
X = np.linspace(0, 1, TIMES)
DIP = 0.9 - 0.4 * np.exp(-((X - 0.5) ** 2) / 0.02)


def binary(curve: np.ndarray, rho: float, rng: np.random.Generator) -> np.ndarray:
    """Images right with the chances of a curve: (times, images). Their luck is AR(1) in time."""
    z = rng.normal(size=(TIMES, IMAGES))
    for j in range(1, TIMES):
        z[j] = rho * z[j - 1] + np.sqrt(1 - rho**2) * z[j]
    threshold = np.quantile(np.random.default_rng(0).normal(size=100_000), curve)
    return (z < threshold[:, None]).astype(float)


def swings(curve: np.ndarray, rho: float, repeats: int) -> list:
    rng = np.random.default_rng(7)
    draws = (binary(curve, rho, rng) for _ in range(repeats))
    return [cross_fitted_swing(own, np.ones_like(own), rng=rng, num_draws=199) for own in draws]


def test_a_fall_without_noise_is_found_where_it_is():
    curve = np.array([0.1, 0.7, 0.9, 0.5, 0.3, 1.0])
    values = np.repeat(curve[:, None], 8, axis=1)
    found = cross_fitted_swing(values, np.ones_like(values), rng=np.random.default_rng(0))
    assert found[:3] == pytest.approx((0.6, 0.6, 0.6)) and (found.start, found.end) == (2, 4)
    assert found.swings


def test_what_only_rises_falls_by_less_than_nothing():
    values = np.repeat(np.array([0.1, 0.3, 0.4, 0.9])[:, None], 4, axis=1)
    found = cross_fitted_swing(values, np.ones_like(values), rng=np.random.default_rng(0))
    assert found.fall == pytest.approx(-0.1) and (found.start, found.end) == (1, 2)
    assert not found.swings


def test_images_that_move_together_leave_no_doubt():
    """What differs between images but not in time cancels in every fall."""
    offsets = np.random.default_rng(1).normal(size=20)
    values = DIP[:, None] + offsets
    found = cross_fitted_swing(values, np.ones_like(values), rng=np.random.default_rng(0))
    assert found.high - found.low < 1e-9


def test_units_weigh_by_their_counts():
    """A unit without counts at some time says nothing there."""
    counts = np.tile([1.0, 1, 3, 3], (3, 1))
    values = np.array([[0.5], [0.9], [0.2]]) * counts
    assert cross_fitted_swing(values, counts, rng=np.random.default_rng(0)).fall == pytest.approx(
        0.7
    )
    sparse = np.ones((3, 40))
    sparse[1, ::3] = 0
    values = np.array([[0.5], [0.9], [0.2]]) * sparse
    assert cross_fitted_swing(values, sparse, rng=np.random.default_rng(0)).low == pytest.approx(
        0.7
    )


@pytest.mark.parametrize("rho", [0.0, 0.8])
@pytest.mark.parametrize("curve", [np.full(TIMES, 0.5), 1 / (1 + np.exp(-12 * (X - 0.5)))])
def test_noise_alone_does_not_swing(curve, rho):
    found = swings(curve, rho, 150)
    assert clopper_pearson(sum(one.swings for one in found), 150).low < 0.05


def test_the_fall_of_a_flat_curve_is_nothing_on_average():
    """Whatever is chosen on one half, the other half's fall is 0 on average."""
    falls = np.array([one.fall for one in swings(np.full(TIMES, 0.5), 0.0, 300)])
    assert abs(falls.mean()) < 4 * falls.std() / np.sqrt(300)


def test_a_planted_dip_is_found():
    found = swings(DIP, 0.0, 60)
    assert clopper_pearson(sum(one.swings for one in found), 60).high > 0.9
    assert np.mean([X[one.end] for one in found]) == pytest.approx(0.5, abs=0.05)


def test_unknown_values_are_passed_over():
    start, end = largest_falls(np.array([[0.1, np.nan, 0.8, np.nan, 0.3, 0.5]]))
    assert (start[0], end[0]) == (2, 4)


@pytest.mark.parametrize("shape", [(1, 8), (5, 3)])
def test_too_little_is_refused(shape):
    with pytest.raises(ValueError, match=f"got {shape[0]} times and {shape[1]} units"):
        cross_fitted_swing(np.ones(shape), np.ones(shape), rng=np.random.default_rng(0))


def test_the_distance_of_several_coordinates_rises_where_it_is_planted():
    """Both are means over the same units; the mean of (c − 1)² is (1, .5, .02, .25, 0)."""
    curves = np.array([[0.0, 0.0, 0.8, 0.3, 1.0], [0.0, 1.0, 1.0, 0.9, 1.0]])
    values = np.repeat(curves[..., None], 8, axis=2)
    found = cross_fitted_rise(values, rng=np.random.default_rng(0))
    assert found[:3] == pytest.approx((0.23, 0.23, 0.23)) and (found.start, found.end) == (2, 3)
    with pytest.raises(ValueError, match="got 1 times and 8 units"):
        cross_fitted_rise(values[:, :1], rng=np.random.default_rng(0))
