"""Intervals against published numbers and exact coverage; verdicts at their boundaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.measures.intervals import (
    Interval,
    binomial_bounds,
    clopper_pearson,
    mean_over_seeds,
    newcombe,
)
from analysis.measures.verdicts import bars_of, in_each, more, same, share, together


@pytest.mark.parametrize(
    "successes, runs, low, high",
    [
        (6, 6, 0.541, 1),
        (3, 3, 0.292, 1),
        (0, 6, 0, 0.459),
        (0, 0, 0, 1),
        (81, 263, 0.2527, 0.3676),  # the example of Newcombe 1998 (Stat. Med. 17, 857)
    ],
)
def test_clopper_pearson(successes, runs, low, high):
    assert clopper_pearson(successes, runs) == pytest.approx((low, high), abs=5e-4)


def test_clopper_pearson_covers():
    ends = np.array([clopper_pearson(k, 20) for k in range(21)])
    for p in (0.02, 0.1, 0.5, 0.83):
        inside = (ends[:, 0] <= p) & (p <= ends[:, 1])
        assert 0.95 <= stats.binom.pmf(np.arange(21), 20, p)[inside].sum() <= 1


@pytest.mark.parametrize(
    "successes, runs, low, high",
    [  # method 10 in Newcombe 1998 (Stat. Med. 17, 873), Table II
        ((56, 48), (70, 80), 0.0524, 0.3339),
        ((9, 3), (10, 10), 0.1705, 0.8090),
        ((10, 0), (10, 10), 0.6075, 1.0),
    ],
)
def test_newcombe(successes, runs, low, high):
    assert newcombe(successes, runs) == pytest.approx((low, high), abs=5e-5)


@given(runs=st.integers(1, 500), data=st.data())
def test_bounds_of_shares_are_those_of_the_exact_test(runs, data):
    successes = data.draw(st.integers(0, runs))
    expected = stats.binomtest(successes, runs).proportion_ci(method="exact")
    low, high = binomial_bounds(np.array([float(successes)]), np.array([float(runs)]))
    assert (low[0], high[0]) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("n", [8, 16, 64, 384])
def test_shares_are_covered_near_one_too(n):
    counts = np.arange(n + 1.0)
    low, high = binomial_bounds(counts, np.full(n + 1, float(n)))
    for p in (0.5, 0.9, 0.95, 0.98, 0.99, 0.995):
        inside = (low <= p) & (p <= high)
        assert stats.binom.pmf(counts, n, p)[inside].sum() >= 0.95


@pytest.mark.parametrize("seeds, num_draws", [(8, 1), (16, 1), (40, 500)])
def test_means_over_seeds_are_covered(seeds, num_draws):
    """Of 400 draws of normal values, .95 within four standard errors."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(400, seeds))
    found = [mean_over_seeds(x, rng=rng, num_draws=num_draws) for x in draws]
    covered = np.mean([low < 0 < high for low, high in found])
    assert abs(covered - 0.95) <= 4 * np.sqrt(0.95 * 0.05 / 400)


def test_few_seeds_have_students_interval_and_many_that_of_a_bootstrap():
    rng = np.random.default_rng(0)
    draws = rng.exponential(size=(40, 64))
    few = draws[0][:12]
    expected = stats.ttest_1samp(few, 0).confidence_interval()
    assert mean_over_seeds(few, rng=rng) == pytest.approx(tuple(expected))
    found = [mean_over_seeds(x, rng=rng, num_draws=500) for x in draws]
    reach = [
        (high - x.mean()) / (x.mean() - low) for x, (low, high) in zip(draws, found, strict=True)
    ]
    assert np.median(reach) > 1.1  # it follows the skew; Student's would be 1


@pytest.mark.parametrize("seeds", [8, 40])
def test_means_with_less_confidence_have_narrower_intervals(seeds):
    rng = np.random.default_rng(0)
    values = rng.normal(size=seeds)
    wide, narrow = (mean_over_seeds(values, rng=rng, confidence=c) for c in (0.95, 0.9))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_means_that_cannot_be_are_refused():
    rng = np.random.default_rng(0)
    assert mean_over_seeds(np.ones(9), rng=rng) == (1, 1)
    with pytest.raises(ValueError, match="got 7 seeds; allowed are 8 and more"):
        mean_over_seeds(np.ones(7), rng=rng)
    with pytest.raises(ValueError, match="1 values that are not finite"):
        mean_over_seeds(np.append(np.ones(8), np.nan), rng=rng)
    with pytest.raises(ValueError, match="got 7, allowed are 0 to 6"):
        clopper_pearson(7, 6)


@pytest.mark.parametrize(
    "rule, successes, runs, word",
    [
        ("MOST", 6, 6, "holds"),
        ("MOST", 5, 6, "undecided"),
        ("MOST", 1, 6, "undecided"),
        ("MOST", 0, 6, "fails"),
        ("MOST", 3, 3, "undecided"),
        ("MOST", 144, 256, "undecided"),
        ("MOST", 145, 256, "holds"),
        ("MOST", 112, 256, "undecided"),
        ("MOST", 111, 256, "fails"),
        ("SOME", 20, 256, "undecided"),
        ("SOME", 21, 256, "holds"),
        ("SOME", 5, 256, "fails"),
        ("ALL", 240, 256, "holds"),
        ("ALL", 239, 256, "undecided"),
        ("ALL", 6, 6, "undecided"),
        ("ALL", 220, 256, "fails"),
        ("RARE", 5, 256, "holds"),
        ("RARE", 20, 256, "undecided"),
        ("RARE", 21, 256, "fails"),
        ("MOST", 0, 0, "undecided"),
    ],
)
def test_shares_at_the_boundaries(rule, successes, runs, word):
    verdict = share(rule, successes, runs)
    assert verdict.word == word and verdict.rule == rule
    if runs:
        assert verdict.effect == successes / runs
        assert verdict.interval.low <= verdict.effect <= verdict.interval.high


def test_rules_have_names():
    with pytest.raises(ValueError, match="got 'FEW', allowed are MOST, SOME, ALL, RARE"):
        share("FEW", 1, 2)


@pytest.mark.parametrize(
    "low, high, word",
    [(0.11, 0.3, "holds"), (0.1, 0.3, "undecided"), (-1, 0.1, "undecided"), (-1, 0.09, "fails")],
)
def test_more_than_a_difference(low, high, word):
    verdict = more(0.1, 0.1, Interval(float(low), high))
    assert verdict.word == word and verdict.rule == "MORE(0.1)"


@pytest.mark.parametrize(
    "outer, inner, word",
    [
        ((-0.04, 0.02), (-0.02, 0.01), "holds"),
        ((-0.04, 0.02), (-0.03, 0.01), "undecided"),
        ((0.02, 0.5), (0.1, 0.4), "undecided"),
        ((0.04, 0.5), (0.1, 0.4), "fails"),
        ((-0.5, -0.031), (-0.4, -0.1), "fails"),
    ],
)
def test_the_same_within_a_difference(outer, inner, word):
    assert same(0.03, 0.0, Interval(*outer), Interval(*inner)).word == word


def test_parts_and_seeds():
    assert together(["holds", "holds"]) == in_each(["holds", "holds"]) == "holds"
    assert together(["holds", "undecided"]) == in_each(["holds", "fails"]) == "undecided"
    assert together(["undecided", "fails"]) == in_each(["fails", "fails"]) == "fails"
    assert together([]) == in_each([]) == "undecided"


@pytest.mark.parametrize(
    "rule, bars",
    [
        (more(0.02, 0.0, Interval(0.0, 0.0)).rule, (0.02,)),
        (same(1e-05, 0.0, Interval(0.0, 0.0), Interval(0.0, 0.0)).rule, (-1e-05, 1e-05)),
        ("EACH MORE(-0.3)", (-0.3,)),
        (share("RARE", 1, 2).rule, (0.05,)),
        ("EACH above 0.8 holds, below 0.5 fails", (0.8, 0.5)),
        ("", ()),
    ],
)
def test_bars_are_read_off_a_rule(rule, bars):
    assert bars_of(rule) == bars
