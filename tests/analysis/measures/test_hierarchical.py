"""Means over seeds and noise: known answers, coverage, and what few images do not prove."""

import numpy as np
import pytest
from scipy import stats

from analysis.measures.hierarchical import (
    mean_over_seeds_and_noise,
    mean_over_seeds_of_shared_noise,
)
from analysis.measures.intervals import MANY_SEEDS, binomial_bounds

NONE = (np.full(3, np.inf), np.full(3, -np.inf))  # no noise to speak of


def ends(means, variances, noise, **options):
    rng = np.random.default_rng(0)
    return mean_over_seeds_and_noise(means, variances, noise, rng=rng, **options)


@pytest.mark.parametrize("seeds", [2, 5, MANY_SEEDS - 1])
def test_below_30_seeds_it_is_students_interval(seeds):
    means = np.random.default_rng(1).normal(size=(seeds, 3))
    low, high = ends(means, np.zeros((seeds, 3)), NONE)
    for cell in range(3):
        own = means[:, cell]
        wanted = stats.t.interval(0.95, seeds - 1, own.mean(), stats.sem(own))
        assert (low[cell], high[cell]) == pytest.approx(wanted)


def test_from_30_seeds_on_seeds_and_their_noise_are_redrawn():
    """Of a bootstrap of normal values the width is known; noise adds its variance."""
    means = np.random.default_rng(3).normal(size=(50, 3))
    for noise in (0.0, 2.0):
        low, high = ends(means, np.full((50, 3), noise), NONE)
        wanted = 2 * 1.96 * np.sqrt((means.var(0) + noise) / 50)
        assert high - low == pytest.approx(wanted, rel=0.04)
        assert (low + high) / 2 == pytest.approx(means.mean(0), abs=0.02)


@pytest.mark.parametrize("seeds", [1, 3, MANY_SEEDS])
def test_seeds_that_agree_are_as_certain_as_their_images(seeds):
    """All images of all seeds right: of one seed it is the interval of noise, too."""
    right = np.full((seeds, 1), 64.0)
    noise = binomial_bounds(right.sum(0), right.sum(0))
    low, high = ends(np.ones((seeds, 1)), np.zeros((seeds, 1)), noise)
    assert low[0] == pytest.approx(0.025 ** (1 / (64 * seeds))) and high[0] == pytest.approx(1)


def test_cells_of_a_curve_are_drawn_together():
    """Equal cells have equal ends: seeds are drawn once for all."""
    means = np.random.default_rng(2).normal(size=(40, 1)).repeat(3, axis=1)
    low, high = ends(means, np.full((40, 3), 0.1), NONE, num_draws=199)
    assert len({*low}) == len({*high}) == 1


@pytest.mark.parametrize("seeds", [3, 8, 40])
def test_it_holds_the_truth_of_seeds_and_noise(seeds):
    """Accuracies normal over seeds, each read off 64 images: 1000 repetitions at once, as cells."""
    rng, images, cells = np.random.default_rng(seeds), 64, 1000
    chance = rng.normal(0.6, 0.08, (seeds, cells)).clip(0, 1)
    right = rng.binomial(images, chance).astype(float)
    n = np.full_like(right, images)
    m, noise = right / n, binomial_bounds(right.sum(0), n.sum(0))
    low, high = ends(m, m * (1 - m) / n, noise, num_draws=999)
    assert 0.93 <= np.mean((low <= 0.6) & (0.6 <= high)) <= 0.98


def test_a_diverged_value_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        ends(np.array([[0.5], [np.nan]]), np.zeros((2, 1)), (np.zeros(1), np.ones(1)))


def test_shared_noise_does_not_shrink_with_seeds():
    """Alone, it is its normal interval, of one seed or of many; without it, Student's is left."""
    for seeds in (1, 5):
        low, high = mean_over_seeds_of_shared_noise(np.ones((seeds, 1)), np.array([0.04]))
        assert (low[0], high[0]) == pytest.approx((1 - 1.96 * 0.2, 1 + 1.96 * 0.2), rel=1e-3)
    means = np.random.default_rng(1).normal(size=(5, 1))
    low, high = mean_over_seeds_of_shared_noise(means, np.zeros(1))
    wanted = stats.t.interval(0.95, 4, means.mean(), stats.sem(means[:, 0]))
    assert (low[0], high[0]) == pytest.approx(wanted)


@pytest.mark.parametrize("seeds", [3, 8])
def test_it_holds_the_truth_of_seeds_that_share_their_noise(seeds):
    """Other scenes move all seeds alike: 2000 repetitions at once, as cells."""
    rng, cells = np.random.default_rng(seeds), 2000
    means = 0.4 + rng.normal(0, 0.1, cells) + rng.normal(0, 0.1, (seeds, cells))
    low, high = mean_over_seeds_of_shared_noise(means, np.full(cells, 0.01))
    assert 0.935 <= np.mean((low <= 0.4) & (0.4 <= high)) <= 0.99
