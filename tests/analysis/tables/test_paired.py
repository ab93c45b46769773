"""Paired differences of two ways of making images: rows per step, and what pooling must be."""

import numpy as np
import pandas as pd
import pytest

from analysis.measures.paired import bonett_price_interval, design_effect
from analysis.tables.paired import format_differences, paired_differences


def frame(first: list[list[int]], second: list[list[int]]) -> pd.DataFrame:
    """A list of a step's images each."""
    steps = [100 * number for number in range(len(first))]
    index = pd.MultiIndex.from_product([steps, range(len(first[0]))], names=["step", "sample"])
    ways = {"first": np.ravel(first).astype(bool), "second": np.ravel(second).astype(bool)}
    return pd.DataFrame(ways, index)


def test_a_row_per_step_and_one_of_all():
    right = frame([[1, 1, 0, 0], [1, 1, 1, 1]], [[1, 0, 1, 0], [1, 1, 0, 0]])
    table = paired_differences(right.sample(frac=1, random_state=0))
    assert [*table["step"]] == [0, 100, "pooled"] and [*table["pairs"]] == [4, 4, 8]
    assert [*table["first_alone"]] == [1, 2, 3] and [*table["second_alone"]] == [1, 0, 1]
    assert [*table["first"]] == [0.5, 1, 0.75] and [*table["difference"]] == [0, 0.5, 0.25]
    ends = [*table.loc[1, ["low_90", "high_90"]]]
    assert ends == pytest.approx(bonett_price_interval(2, 0, 4, 0.9))
    effect = design_effect(np.array([[0, 0], [1, 0], [-1, 1], [0, 1]]))
    expected = bonett_price_interval(3 / effect, 1 / effect, 8 / effect, 0.95)
    assert [*table.loc[2, ["low_95", "high_95"]]] == pytest.approx(expected)
    lines = format_differences(table, "ddim 20", "ddpm 250").splitlines()
    assert lines[0].split()[:6] == ["step", "pairs", "ddim", "20", "ddpm", "250"]
    assert lines[3].split()[:5] == ["pooled", "8", "0.750", "0.500", "+0.250"]


def test_the_same_images_twice_are_as_sure_as_once():
    images = [[1] * 5 + [0] * 20, [0] * 3 + [1] * 22]
    once, twice = (
        paired_differences(frame(images[:1] * n, images[1:] * n)).iloc[-1] for n in (1, 2)
    )
    assert once["step"] == 0 and twice["step"] == "pooled" and twice["pairs"] == 50
    for end in ("difference", "low_95", "high_90"):
        assert twice[end] == pytest.approx(once[end])
