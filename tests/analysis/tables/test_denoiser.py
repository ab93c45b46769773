"""Curves and the clock of the rule, of rows whose answers are planted."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.denoiser import crossing, drawn_obedience, obedience_curves, rule_clock

PLANTED = np.array([[0.0, 0.0], [0.2, 0.4], [0.4, 0.8], [0.6, 0.9], [0.9, 1.0]])


def test_curves_are_what_is_planted(denoiser_rows):
    curves = obedience_curves(denoiser_rows(PLANTED))
    assert [*curves["concept"].unique()] == ["color", "size"]
    for split in ("held_out", "train"):
        own = curves[curves["split"] == split].pivot(index="step", columns="concept")
        for name in ("obedience", "low", "high", "coordinate", "coordinate_low"):
            np.testing.assert_allclose(own[name], PLANTED, atol=1e-9)
        np.testing.assert_allclose(own["error_beside"], 1)
        assert (own["error_along"].to_numpy() <= own["error"].to_numpy() - 1 + 1e-9).all()
    assert (curves["refused"] == "").all() and (curves["effective_renders"] == 100).all()


def test_intervals_hold_what_is_planted_and_are_the_same_draws_at_every_snapshot(denoiser_rows):
    rows = denoiser_rows(np.full((3, 2), 0.5), noise=0.3)
    noise = rows.loc[rows["step"] == 0, "response"].to_numpy()
    for step in (1, 2):  # the same scenes answer alike
        rows.loc[rows["step"] == step, "response"] = noise
    curves = obedience_curves(rows)
    assert (curves["low"] < curves["obedience"]).all()
    assert (curves["low"] < 0.5).all() and (0.5 < curves["high"]).all()
    assert (curves.groupby(["split", "concept"])["low"].nunique() == 1).all()


def test_a_refused_combination_takes_its_level_with_it(denoiser_rows):
    combinations = [("blue small", "held_out"), ("red small", "held_out"), ("red big", "train")]
    rows = denoiser_rows(PLANTED, combinations=combinations)
    refused = (rows["combination"] == "red small") & (rows["concept"] == "size")
    rows.loc[refused, "refused"] = "2.0 of 60 renders count, allowed 10 or more"
    rows.loc[refused, ["response", "ideal_response", "offset", "error", "products"]] = None
    curves = obedience_curves(rows).set_index(["split", "concept"])
    held_out = curves.loc["held_out"]
    assert held_out.loc["size", ["obedience", "low", "coordinate"]].isna().all(axis=None)
    assert held_out.loc["color", "obedience"].notna().all()  # it needs no other concept
    assert held_out.loc["color", "coordinate"].isna().all()  # which is fitted beside size
    assert {*held_out.loc["size", "refused"]} == {
        "red small: 2.0 of 60 renders count, allowed 10 or more"
    }
    assert curves.loc["train", "obedience"].notna().all()
    alone = obedience_curves(rows, by="combination").set_index(["combination", "concept"])
    assert alone.loc["blue small", "coordinate"].notna().all(axis=None)
    assert {*rule_clock(rows)["concept"]} == {"color"}
    rows.loc[rows["split"] == "held_out", "refused"] = "no"
    (text,) = {*obedience_curves(rows).set_index("split").loc["held_out", "refused"]}
    assert text == "blue small: no; and 1 other combinations"


def test_settings_that_must_not_be_averaged_are_not(denoiser_rows):
    rows = denoiser_rows(PLANTED)
    mixed = pd.concat([rows, rows.assign(weights="ema")])
    for table in (obedience_curves, rule_clock):
        with pytest.raises(ValueError, match="mix several values of weights in one run"):
            table(mixed)


def test_the_clock_of_the_rule_strikes_at_half_on_held_out_combinations(denoiser_rows):
    """Linear in ln(images seen): color between 200 and 300, size between 100 and 200."""
    rows = denoiser_rows(PLANTED, noise=0.1)
    rows.loc[rows["split"] == "train", "response"] = 0.0
    clock = rule_clock(rows).set_index("concept")
    for concept, (after, before), share in (
        ("color", (200, 300), 0.5),
        ("size", (100, 200), 0.25),
    ):
        own = clock.loc[concept]
        assert (own["after"], own["before"]) == (after, before)
        wanted = after * (before / after) ** share
        assert own["low"] < own["images_seen"] < own["high"]
        assert own["images_seen"] == pytest.approx(wanted, rel=0.1)


def test_a_clock_that_has_not_struck_is_censored(denoiser_rows):
    clock = rule_clock(denoiser_rows(PLANTED / 3, noise=0.05)).set_index("concept")
    assert clock["images_seen"].isna().all() and np.isinf(clock["high"]).all()
    assert (clock["after"] == 400).all() and np.isinf(clock["before"]).all()
    early = rule_clock(denoiser_rows(PLANTED + 0.7)).set_index("concept")
    assert early["images_seen"].isna().all() and (early["before"] == 100).all()
    assert (early["low"] == 0).all()


def test_a_crossing_is_that_of_the_first_curve():
    times = np.array([1.0, 10.0, 100.0])
    curves = np.array([[0, 0.5, 1], [0, 0.5, 1], [0, 0, 1.0]])
    assert crossing(times, curves, 0.5)["images_seen"] == pytest.approx(10)
    assert crossing(times, curves, 0.5)["high"] == pytest.approx(10**1.5)


def test_redraws_of_obedience_are_those_of_the_curves(denoiser_rows):
    rows = denoiser_rows(PLANTED, noise=0.1)
    held_out = rows[rows["split"] == "held_out"]
    found, curves = drawn_obedience(held_out), obedience_curves(held_out)
    assert found.concepts == ["color", "size"] and not found.refused
    assert found.images_seen.tolist() == [0, 100, 200, 300, 400]
    wanted = curves.pivot(index="step", columns="concept", values="obedience").to_numpy().T
    np.testing.assert_allclose(found.curves[:, 0], wanted)
    low = curves.pivot(index="step", columns="concept", values="low").to_numpy().T
    np.testing.assert_allclose(np.quantile(found.curves[:, 1:], 0.025, axis=1), low)


def test_a_refused_concept_has_no_redraws(denoiser_rows):
    rows = denoiser_rows(PLANTED)
    rows = rows[rows["split"] == "held_out"]
    rows.loc[rows["concept"] == "size", "refused"] = "no"
    found = drawn_obedience(rows)
    assert found.concepts == ["color"] and found.refused == {"size": "blue small: no"}
    assert found.curves.shape == (1, 500, 5)
