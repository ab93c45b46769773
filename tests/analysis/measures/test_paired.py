"""Differences of paired shares: exact and simulated coverage of their intervals."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.measures.paired import (
    bonett_price_interval,
    design_effect,
    pitman_morgan_interval,
)

COUNTS = st.tuples(*[st.integers(0, 60)] * 3).filter(any)
LEVELS = st.floats(0.5, 0.999)


@given(counts=COUNTS, level=LEVELS)
def test_an_interval_turns_with_the_two_ways_and_widens_with_its_level(counts, level):
    first, second, others = counts
    n = first + second + others
    low, high = bonett_price_interval(first, second, n, level)
    assert -1 <= low < high <= 1
    assert bonett_price_interval(second, first, n, level) == pytest.approx((-high, -low))
    wider = bonett_price_interval(first, second, n, (1 + level) / 2)
    assert wider[0] <= low and high <= wider[1]


def test_of_many_pairs_it_is_the_interval_of_a_mean():
    """The mean of n differences, of which each is 1, −1 or 0: its standard error is known."""
    first, second, n = 60_000, 40_000, 1_000_000
    half = stats.norm.ppf(0.975) * sqrt((0.1 - 0.02**2) / n)
    expected = (0.02 - half, 0.02 + half)
    assert bonett_price_interval(first, second, n, 0.95) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("n", [24, 144, 500])
@pytest.mark.parametrize("chances", [(0.05, 0.05), (0.06, 0.02), (0.01, 0.01), (0.2, 0.05)])
@pytest.mark.parametrize("level", [0.95, 0.9])
def test_coverage_summed_over_all_counts_is_at_least_what_is_said(n, chances, level):
    """Exactly; and hardly more where ten pairs and more differ."""
    counts = range(min(n, int(n * sum(chances) + 10 * sqrt(n * sum(chances)) + 10)) + 1)
    pairs = [(b, c) for b in counts for c in counts if b + c <= min(n, counts[-1])]
    weights = stats.multinomial.pmf(
        [(b, c, n - b - c) for b, c in pairs], n, (*chances, 1 - sum(chances))
    )
    ends = np.array([bonett_price_interval(b, c, n, level) for b, c in pairs])
    truth = chances[0] - chances[1]
    covered = weights[(ends[:, 0] <= truth) & (truth <= ends[:, 1])].sum()
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert level - 1e-6 < covered
    assert covered < level + 0.035 or n * sum(chances) < 10


def snapshots(rng: np.random.Generator, n: int, m: int, shared: float) -> np.ndarray:
    """Differences (n, m) of mean .04, so many of which are those of the image's first snapshot."""
    drawn = rng.choice((0, 1, -1), size=(n, m), p=(0.84, 0.1, 0.06))
    return np.where(rng.random((n, m)) < shared, drawn[:, :1], drawn)


@pytest.mark.parametrize("shared", [0.0, 0.6, 1.0])
def test_pooled_intervals_cover_however_much_snapshots_have_in_common(shared):
    rng, covered = np.random.default_rng(0), []
    for _ in range(2000):
        difference = snapshots(rng, 144, 3, shared)
        counts = [(difference > 0).sum(), (difference < 0).sum(), difference.size]
        low, high = bonett_price_interval(*np.divide(counts, design_effect(difference)), 0.9)
        covered.append(low <= 0.04 <= high)
    assert np.mean(covered) == pytest.approx(0.91, abs=0.025)  # of 2000: 3.7 standard errors


def test_snapshots_that_say_the_same_count_once():
    once = snapshots(np.random.default_rng(0), 50, 1, 0.0)
    assert design_effect(once) == 1
    assert design_effect(np.repeat(once, 3, axis=1)) == pytest.approx(3)
    assert design_effect(np.zeros((50, 3))) == design_effect(np.ones((50, 3))) == 3
    assert design_effect(np.tile([[1, -1]], (50, 1))) == 1  # less than independent: never below


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_spreads_of_pairs_are_compared_as_often_right_as_said(correlation):
    """Of six normal pairs; the first is twice as spread."""
    rng = np.random.default_rng(0)
    covariance = [[4.0, 2 * correlation], [2 * correlation, 1.0]]
    pairs = rng.multivariate_normal([0, 0], covariance, size=(1000, 6))
    found = [pitman_morgan_interval(*own.T) for own in pairs]
    held = np.mean([one.low <= np.log(2) <= one.high for one in found])
    assert held == pytest.approx(0.95, abs=0.02)
    turned = pitman_morgan_interval(*pairs[0].T[::-1])
    assert turned == pytest.approx((-found[0].high, -found[0].low))
    with pytest.raises(ValueError, match="got 2 pairs"):
        pitman_morgan_interval(*pairs[0][:2].T)
