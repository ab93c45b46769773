"""How much data is needed, and its law: planted exponents, censored seeds, and noise."""

import numpy as np
import pandas as pd
import pytest

from analysis.measures.intervals import Interval, from_independent
from analysis.tables.data_needed import (
    data_needed,
    exponent_differences,
    exponents,
    typical_needed,
)

SIZES, KEPT, IMAGES = (6, 8, 12), (0.05, 0.1, 0.2, 0.4, 0.8), 128


def runs(exponent: float, seeds: int = 2, seed: int = 0, at_12: float = 40.0) -> pd.DataFrame:
    """Runs whose accuracy passes .6 at about at_12 · (size / 12)^exponent images."""
    rng, rows = np.random.default_rng(seed), []
    for size in SIZES:
        for own in range(seeds):
            needed = at_12 * (size / 12) ** exponent * np.exp(0.1 * rng.normal())
            for kept in KEPT:
                images = max(1, round(kept * size**2))
                p = 1 / (1 + (needed / images) ** 3 / 1.5)  # .6 at images = needed
                right = rng.binomial(IMAGES, p) / IMAGES
                rows.append({"size": size, "seed": own, "images": images, "accuracy": right})
    return pd.DataFrame(rows)


def laws(exponent: float, **options) -> pd.DataFrame:
    needed = data_needed(runs(exponent, **options).assign(group="g"), "size", ["group"])
    return exponents(needed, "size", ["group"])


def test_the_number_is_where_the_accuracy_crosses_sixty_percent():
    table = pd.DataFrame({"images": [10, 20, 40], "accuracy": [0.2, 0.4, 0.8]})
    (row,) = data_needed(table.assign(size=8, seed=0), "size", []).to_dict("records")
    assert row["needed"] == pytest.approx(20 * 2**0.5) and (row["after"], row["by"]) == (20, 40)


def test_runs_of_equal_number_are_averaged():
    table = pd.DataFrame({"images": [10, 40, 40], "accuracy": [0.0, 0.5, 0.7]})
    (row,) = data_needed(table.assign(size=8, seed=0), "size", []).to_dict("records")
    assert row["needed"] == pytest.approx(40) and row["after"] == 10


@pytest.mark.parametrize("accuracy, after, by", [(0.1, 40, np.inf), (0.9, 0, 10)])
def test_a_seed_that_never_or_always_crosses_is_censored(accuracy, after, by):
    table = pd.DataFrame({"images": [10, 40], "accuracy": accuracy, "size": 8, "seed": 0})
    (row,) = data_needed(table, "size", []).to_dict("records")
    assert np.isnan(row["needed"]) and (row["after"], row["by"]) == (after, by)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_a_planted_exponent_lies_in_its_interval_as_often_as_said(exponent):
    found = pd.concat([laws(exponent, seed=seed) for seed in range(10)])
    assert (found["runs"] == 6).all()
    assert ((found["low"] <= exponent) & (exponent <= found["high"])).mean() >= 0.8
    assert found["exponent"].mean() == pytest.approx(exponent, abs=0.25)


def test_what_does_not_grow_with_the_size_has_no_exponent():
    found = pd.concat([laws(0.0, seed=seed, at_12=8.0) for seed in range(5)])
    assert ((found["low"] <= 0) & (0 <= found["high"])).mean() >= 0.8


def test_groups_have_laws_of_their_own_and_differ_by_what_was_planted():
    both = pd.concat(
        [runs(2.0, 4, 1).assign(group="2d"), runs(1.0, 4, 2, at_12=20.0).assign(group="both")]
    )
    found = exponents(data_needed(both, "size", ["group"]), "size", ["group"])
    (apart,) = exponent_differences(found, "group").to_dict("records")
    assert (apart["first"], apart["second"]) == ("2d", "both")
    assert apart["low"] < 1.0 < apart["high"]
    assert apart["difference"] == pytest.approx(-np.diff(found["exponent"])[0])


def test_mostly_censored_seeds_have_no_law():
    (law,) = laws(2.0, at_12=4000.0).to_dict("records")
    assert law["censored"] == 6 and np.isnan(law["exponent"]) and np.isnan(law["low"])


def test_the_typical_number_has_an_interval_over_seeds():
    needed = data_needed(runs(2.0, seeds=8), "size", [])
    found = typical_needed(needed, "size", []).set_index("size")
    assert ((found["low"] < found["needed"]) & (found["needed"] < found["high"])).all()
    assert found.loc[12, "needed"] == pytest.approx(40, rel=0.25)


def test_the_interval_of_a_difference_joins_both():
    found = from_independent([3.0, 1.0], [Interval(2.0, 7.0), Interval(0.0, 4.0)])
    assert found.low == pytest.approx(2 - np.hypot(1, 3))
    assert found.high == pytest.approx(2 + np.hypot(4, 1))
    assert from_independent([3.0, 1.0], [Interval(2, np.inf), Interval(0, 4)]).high == np.inf
