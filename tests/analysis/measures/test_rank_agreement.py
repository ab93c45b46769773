"""Rank correlation over runs: against scipy, and how often its interval holds the truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.measures.rank_agreement import rank_agreement


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_estimate_is_spearmans_with_ties_and_infinities():
    predicted = rng(1).integers(0, 5, (9, 3)).astype(float)
    measured = predicted + rng(2).normal(size=(9, 3)) * 2
    measured[measured > 4] = np.inf
    found = rank_agreement(predicted, measured, rng=rng(), num_draws=99)
    assert found.estimate == pytest.approx(spearmanr(predicted.ravel(), measured.ravel())[0])
    assert found.interval.low < found.estimate < found.interval.high


def test_runs_are_drawn_not_values():
    """All that differs lies between runs: an interval over values would be narrower."""
    level = rng(3).normal(size=(10, 1))
    noise = rng(4).normal(size=(10, 1))
    predicted, measured = (np.repeat(side, 20, axis=1) for side in (level, level + noise))
    whole = rank_agreement(predicted, measured, rng=rng())
    apart = rank_agreement(predicted.reshape(-1, 1), measured.reshape(-1, 1), rng=rng())
    width = [found.interval.high - found.interval.low for found in (whole, apart)]
    assert width[0] > 2 * width[1]


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Bivariate normal values, ρ = .6: Spearman's is 6/π · arcsin(ρ/2) = .582."""
    truth, draws, held = 6 / np.pi * np.arcsin(0.3), rng(5), 0
    for _ in range(200):
        x, y = draws.normal(size=(2, 30, 2))
        found = rank_agreement(x, 0.6 * x + 0.8 * y, rng=draws, num_draws=300).interval
        held += found.low <= truth <= found.high
    assert 0.88 < held / 200 <= 1


def test_nothing_is_said_without_an_order_or_with_few_runs():
    some = rng(6).normal(size=(8, 2))
    assert np.isnan(rank_agreement(np.ones((8, 2)), some, rng=rng()).estimate)
    few = rank_agreement(some[:7], some[:7], rng=rng())
    assert few.estimate == pytest.approx(1) and np.isnan(few.interval.low)
    with pytest.raises(ValueError, match="allowed are numbers, and infinity for never"):
        rank_agreement(some * np.nan, some, rng=rng())
