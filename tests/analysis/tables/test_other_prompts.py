"""Sets of prompts beside the captions: differences image by image, and as text."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.other_prompts import prompt_curves, prompt_rows
from analysis.tables.trajectory import accuracy_curves, joint_differences


def only(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    return scores[scores["intervention"] == name]


def test_differences_are_those_of_the_accuracies(prompt_scores):
    own, captions = only(prompt_scores, "pairs"), only(prompt_scores, "none")
    found = joint_differences(own, captions).set_index(["step", "split"])
    curves = [accuracy_curves(table) for table in (own, captions)]
    accuracy = [c[c["measure"] == "joint"].set_index(["step", "split"])["accuracy"] for c in curves]
    expected = accuracy[0] - accuracy[1]
    assert found["difference"].to_dict() == pytest.approx(expected.to_dict())
    assert (found["low"] <= found["difference"]).all()
    assert (found["high"] >= found["difference"]).all()


def test_pairing_makes_the_interval_as_wide_as_the_discordant_pairs(make_scores):
    """400 images of which 40 turn from wrong to right: sd of the mean √(.1 · .9 / 400)."""
    before = np.random.default_rng(2).random((1, 1, 400, 1)) < 0.5
    after = before.copy()
    after[0, 0, np.flatnonzero(~before)[:40]] = True
    tables = [make_scores(right, concepts=("shape",)) for right in (after, before)]
    found = joint_differences(*tables).iloc[0]
    half = 1.96 * np.sqrt(0.1 * 0.9 / 400)
    assert found["difference"] == pytest.approx(0.1)
    assert found["low"] == pytest.approx(0.1 - half, abs=0.1 * half + 1 / 400)
    assert found["high"] == pytest.approx(0.1 + half, abs=0.1 * half + 1 / 400)


@pytest.mark.parametrize("own, other, ends", [(1, 1, (-0.126, 0.126)), (1, 0, (0.735, 1))])
def test_pairs_that_all_differ_alike_have_an_interval_with_width(make_scores, own, other, ends):
    """Of 20 pairs (Bonett and Price): p₁ = p₂ = 1/22, or p₁ = 21/22 and p₂ = 1/22."""
    tables = [
        make_scores(np.full((1, 1, 20, 1), v == 1), concepts=("shape",)) for v in (own, other)
    ]
    found = joint_differences(*tables).iloc[0]
    assert found["difference"] == own - other
    assert found[["low", "high"]].tolist() == pytest.approx(ends, abs=5e-4)


def test_images_are_compared_with_their_own_number_whatever_the_order(prompt_scores):
    own, captions = only(prompt_scores, "pairs"), only(prompt_scores, "none")
    shuffled = captions.sample(frac=1, random_state=0)
    expected = joint_differences(own, captions)
    pd.testing.assert_frame_equal(joint_differences(own, shuffled), expected)
    with pytest.raises(ValueError, match="no images in common"):
        joint_differences(only(prompt_scores, "shapes"), captions)


def test_curves_hold_every_set_and_the_captions_as_they_are_elsewhere(prompt_scores):
    curves = prompt_curves(prompt_scores)
    assert list(curves["prompts"].unique()) == ["captions", "pairs", "shapes"]
    plain = accuracy_curves(only(prompt_scores, "none")).query("measure == 'joint'")
    ours = curves.query("prompts == 'captions'")
    columns = ["step", "split", "accuracy", "low", "high"]
    assert ours[columns].to_numpy().tolist() == plain[columns].to_numpy().tolist()
    known = curves.groupby("prompts")["difference"].apply(lambda d: d.notna().all())
    assert known.to_dict() == {"captions": False, "pairs": True, "shapes": False}


def test_rows_are_the_last_snapshot_training_first(prompt_scores):
    curves = prompt_curves(prompt_scores)
    written = {"captions": "a {color} {shape}", "pairs": "a {color} AND a {shape}", "shapes": "x"}
    rows = prompt_rows(curves, written)
    assert [(row["prompts"], row["split"]) for row in rows] == [
        *(("captions", "train"), ("captions", "held_out")),
        *(("pairs", "train"), ("pairs", "held_out"), ("shapes", "partial")),
    ]
    last = curves.query("prompts == 'pairs' and step == 1 and split == 'held_out'").iloc[0]
    assert rows[3]["joint"].startswith(f"{last['accuracy']:.3f} [")
    assert rows[3]["minus captions"].startswith(f"{last['difference']:+.3f} [")
    assert [rows[i]["minus captions"] for i in (0, 1, 4)] == ["-", "-", "-"]
    assert rows[3]["written"] == "a {color} AND a {shape}"
