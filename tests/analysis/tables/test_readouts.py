"""Readouts of planted scores: what each instrument sees, where they part, and nothing in noise."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.readouts import (
    four_instruments,
    independent_difference,
    readout_curves,
    readout_differences,
    shown_split,
    three_readouts,
)

CONCEPTS = ("color", "size")
MEANS = {"small": 0.2, "middle": 0.3, "large": 0.5}


def value_of(curves: pd.DataFrame, readout: str, concept: str, column: str = "value") -> list:
    own = curves[(curves["readout"] == readout) & (curves["concept"] == concept)]
    return [*own.sort_values("step")[column]]


@pytest.fixture
def read(make_scores):
    """Two snapshots of four images of a train and a held-out combination, all read as asked."""
    scores = make_scores(
        np.ones((2, 2, 4, 2), bool), concepts=CONCEPTS, splits=("train", "held_out")
    )
    return scores.assign(step=scores["step"] + 1, images_seen=100 * (scores["step"] + 1))


def test_unsure_images_are_in_the_softmax_and_in_nothing_else(read):
    unsure = (read["step"] == 1) & (read["sample"] == 3) & (read["concept"] == "color")
    wrong = (read["step"] == 1) & (read["sample"] == 0) & (read["concept"] == "color")
    probe = read.assign(
        predicted=read["predicted"].mask(unsure).mask(wrong, "other"),
        p_target=read["p_target"].mask(unsure | wrong, 0.25),
    )
    curves = readout_curves(probe).query("split == 'held_out'")
    assert {*curves["readout"]} == {"softmax", "argmax"}
    assert value_of(curves, "softmax", "color") == [0.5, 0.75]
    assert value_of(curves, "argmax", "color") == pytest.approx([2 / 3, 1])
    assert value_of(curves, "argmax", "color", "images") == [3, 4]
    assert value_of(curves, "argmax", "color", "unsure") == [0.25, 0]
    assert value_of(curves, "argmax", "size") == [1, 1]
    assert ((curves["low"] <= curves["value"]) & (curves["value"] <= curves["high"])).all()


def test_a_snapshot_counts_for_an_instrument_that_is_sure_of_half(read):
    sure = {1: 2, 2: 1}  # of four images, by step
    probe = read.assign(predicted=read["predicted"].where(read["sample"] < read["step"].map(sure)))
    blind = read.assign(predicted=None)
    curves = readout_curves(probe, blind)
    assert value_of(curves, "argmax", "color", "counts")[::2] == [True, False]
    assert not curves.loc[curves["readout"] == "oracle", "counts"].any()
    assert curves.loc[curves["readout"] == "oracle", "value"].isna().all()
    assert (
        not readout_differences(curves)[["counts", "apart"]].loc[lambda t: t["counts"]].apart.any()
    )


@pytest.mark.parametrize(
    ("asked", "number", "place"),
    [
        *(("small", 0.2, 1), ("small", 0.25, 0.5), ("small", 0.3, 0), ("small", 0.4, 0)),
        *(("small", 0.1, 1), ("middle", 0.35, 0.75), ("middle", 0.25, 0.5), ("large", 0.6, 1)),
    ],
)
def test_a_place_falls_from_the_asked_values_mean_to_the_next_ones(read, asked, number, place):
    """Two images more have the other values; one of another combination is unsure."""
    values = [asked, *(v for v in MEANS if v != asked), asked]
    target = read["sample"].map(dict(enumerate(values)))
    oracle = read.assign(
        target=target,
        target_value=target.map(MEANS),
        predicted_value=np.where(read["sample"] == 0, number, target.map(MEANS)),
        predicted=target.where(read["sample"] < 3),
    )
    curves = readout_curves(read, oracle)
    assert value_of(curves, "place", "size") == pytest.approx([(place + 2) / 3] * 4)
    assert value_of(curves, "place", "size", "images") == [3] * 4


def test_a_concept_of_one_value_or_without_a_number_has_no_place(read):
    is_size = read["concept"] == "size"
    oracle = read.assign(target_value=np.where(is_size, 0.2, np.nan), predicted_value=0.2)
    curves = readout_curves(read, oracle)
    assert "place" not in {*curves["readout"]}
    three = three_readouts(curves)
    assert {*three["readout"]} == {"softmax", "argmax", "place"}
    assert value_of(three, "place", "color") == value_of(curves, "oracle", "color")


def planted(make_scores, dip: float, steps: int = 6, images: int = 64) -> tuple:
    """What both instruments read as asked in nine of ten images; at step 3 the softmax of color
    falls by `dip`, and nothing else does."""
    right = np.random.default_rng(0).random((steps, 1, images, 2)) < 0.9
    scores = make_scores(right, concepts=CONCEPTS, splits=("held_out",))
    dips = (scores["step"] == 3) & (scores["concept"] == "color")
    p = np.where(scores["predicted"] == "asked", 0.98, 0.05) - dip * dips
    return scores.assign(p_target=p.clip(0)), scores.assign(p_target=np.nan, probe="oracle")


def test_a_turn_that_one_instrument_sees_is_where_it_parts_from_the_others(make_scores):
    differences = readout_differences(readout_curves(*planted(make_scores, 0.6)))
    apart = differences[differences["apart"]]
    assert {*apart["step"]} == {3} and {*apart["concept"]} == {"color"}
    pairs = {*zip(apart["first"], apart["second"], strict=True)}
    assert pairs == {("softmax", "argmax"), ("softmax", "oracle")}
    assert (apart["difference"] < -0.5).all() and differences["counts"].all()


def test_without_it_they_are_together(make_scores):
    assert not readout_differences(readout_curves(*planted(make_scores, 0.0)))["apart"].any()


def test_a_turn_among_unsure_images_is_none(make_scores):
    probe, oracle = planted(make_scores, 0.6)
    probe = probe.assign(predicted=probe["predicted"].mask(probe["step"] == 3))
    assert not readout_differences(readout_curves(probe, oracle))["apart"].any()


def test_in_noise_hardly_anything_parts(make_scores):
    """Two instruments of images of their own, with one chance: their intervals of a difference
    hold 0 as often as they say, or more."""
    rng = np.random.default_rng(1)
    probe, oracle = (
        make_scores(rng.random((200, 1, 32, 2)) < 0.7, concepts=CONCEPTS) for _ in range(2)
    )
    found = readout_differences(readout_curves(probe, oracle).query("readout != 'softmax'"))
    assert len(found) == 400
    assert ((found["low"] <= 0) & (found["high"] >= 0)).mean() > 0.95
    assert found["apart"].mean() < 0.01


def test_obedience_stands_beside_the_readings_of_images(make_scores, denoiser_rows):
    probe, oracle = planted(make_scores, 0.0)
    obeyed = np.tile(np.linspace(0, 1, 6)[:, None], 2)
    rows = pd.concat([denoiser_rows(obeyed, level=level) for level in (0.02, 0.1, 0.2)])
    curves = readout_curves(probe, oracle, rows.assign(run="seed0"))
    assert value_of(curves, "obedience 0.1", "size")[::2] == pytest.approx(np.linspace(0, 1, 6))
    shown = four_instruments(curves)
    assert [*shown["readout"].unique()] == ["softmax", "argmax", "oracle", "obedience 0.1"]
    held_out = shown.query("split == 'held_out'")
    first = readout_differences(held_out).query("step == 0 and second == 'obedience 0.1'")
    assert first["apart"].all() and (first["difference"] > 0.5).all()
    refused = rows.assign(run="seed0", refused="no", response=np.nan, ideal_response=np.nan)
    blind = four_instruments(readout_curves(probe, oracle, refused))
    assert [*blind["readout"].unique()] == ["softmax", "argmax", "oracle"]


def test_the_interval_of_a_difference_is_newcombes_of_two_values():
    middle, low, high = independent_difference((0.9, 0.8, 0.95), (0.5, 0.4, 0.6))
    assert middle == pytest.approx(0.4)
    assert (low, high) == pytest.approx((0.4 - np.hypot(0.1, 0.1), 0.4 + np.hypot(0.05, 0.1)))
    assert independent_difference((0.9, 0.8, 0.95), (0.5, 0.4, 0.6), 2)[1] == pytest.approx(
        0.4 - 2 * np.hypot(0.1, 0.1)
    )


def test_what_is_held_out_is_shown_if_anything_is(read):
    assert shown_split(read) == "held_out"
    assert shown_split(read[read["split"] == "train"]) == "train"
