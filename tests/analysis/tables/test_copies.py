"""Copied shares and the clock of memory."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.copies import copied, copied_shares, memory_clock


def copies(shares, images: int = 40, run: str = "a") -> pd.DataFrame:
    """At step s the first `shares[s]` of the images are copies."""
    rows = [
        dict(run=run, step=s, images_seen=100 * s, split="train", combination="c", prompt="a c")
        | dict(sample=i, nearest=1.0, second_nearest=9.0 if i < share * images else 2.0)
        for s, share in enumerate(shares)
        for i in range(images)
    ]
    return pd.DataFrame(rows)


def test_a_copy_is_three_times_nearer_to_one_image_than_to_any_other():
    rows = pd.DataFrame(
        {"nearest": [1.0, 1.0, 0.0, 5.0], "second_nearest": [3.1, 2.9, 0.5, np.inf]}
    )
    assert copied(rows).tolist() == [True, False, True, True]


def test_shares_are_those_of_each_snapshot_and_baseline():
    table = pd.concat([copies([0, 0.5, 1]), copies([1.0], run="memoriser")])
    shares = copied_shares(table).set_index(["run", "step"])
    assert shares.loc["a", "copied"].tolist() == [0, 0.5, 1]
    assert shares.loc[("memoriser", 0), "copied"] == 1
    assert (shares["low"] <= shares["copied"]).all() and (shares["copied"] <= shares["high"]).all()
    assert shares.loc[("a", 1), "low"] == pytest.approx(0.338, abs=0.001)  # of 20 of 40


def test_the_clock_of_memory_strikes_when_half_are_copies():
    table = pd.concat([copies([0, 0, 0.25, 0.75]), copies([1.0], run="memoriser")])
    (clock,) = memory_clock(table).to_dict("records")
    assert (clock["after"], clock["before"]) == (200, 300)
    assert clock["images_seen"] == pytest.approx(200 * 1.5**0.5)
    assert clock["low"] < clock["images_seen"] < clock["high"]


def test_images_that_one_snapshot_lacks_are_left_out_of_the_clock():
    few = copies([0, 0, 0.25, 0.75])
    more = copies([0, 0, 0, 0.5], images=80)
    table = pd.concat([few[few["step"] < 3], more[more["step"] == 3]])
    (clock,) = memory_clock(table).to_dict("records")
    assert clock["before"] == 300  # the first 40 of the last snapshot are copies, all of them


def test_a_run_that_never_copies_is_censored():
    (clock,) = memory_clock(copies([0, 0, 0.1])).to_dict("records")
    assert np.isnan(clock["images_seen"]) and clock["after"] == 200 and np.isinf(clock["high"])
