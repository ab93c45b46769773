"""When planted concepts are learned, by which instrument, and in which words."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.learned import (
    learned_rows,
    learned_sentences,
    learned_table,
    too_short_sentences,
)

STEPS = 2 ** np.arange(8)
AT_80 = 2 ** (
    0.3 / (16 / 17 - 0.5)
)  # times the middle: .8 between .5 and what is next, in ln(step)
CONCEPTS = ("color", "size")


def planted(make_scores, middles: tuple[float, float], images: int = 200) -> pd.DataFrame:
    """A run of which half of the images show color by the first middle step, size by the second."""
    luck = np.random.default_rng(0).random((2, images, 2))
    p = 1 / (1 + (np.array(middles) / STEPS[:, None]) ** 4)
    right = luck < p[:, None, None]
    scores = make_scores(right, concepts=CONCEPTS, splits=("train", "held_out"))
    step = STEPS[scores["step"]]
    return scores.assign(step=step, images_seen=100 * step)


def unsure_until(scores: pd.DataFrame, step: int) -> pd.DataFrame:
    return scores.assign(predicted=scores["predicted"].mask(scores["step"] < step))


def row_of(table: pd.DataFrame, concept: str, instrument: str = "probe") -> pd.Series:
    (own,) = table[(table["concept"] == concept) & (table["instrument"] == instrument)].iloc
    return own


def test_planted_times_are_found_by_each_instrument(make_scores, denoiser_rows):
    probe, oracle = planted(make_scores, (8, 16)), planted(make_scores, (16, 8))
    obeyed = np.minimum(1, np.array([[0.1, 0.2]]) * np.arange(9)[:, None])
    denoiser = denoiser_rows(obeyed, noise=0.1).assign(run="seed0")
    table = learned_table(probe, oracle, denoiser, "held_out")
    for instrument, middles in (("probe", (8, 16)), ("oracle", (16, 8))):
        for concept, middle in zip(CONCEPTS, middles, strict=True):
            own = row_of(table, concept, instrument)
            assert own["step"] == pytest.approx(middle * AT_80, rel=0.1)
            assert own["low"] <= own["images_seen"] <= own["high"]
            assert own["images_seen"] == pytest.approx(100 * own["step"])
            assert (own["counting"], own["snapshots"]) == (8, 8)
    color = row_of(table, "color", "denoiser, level 0.1")
    assert color["step"] == pytest.approx(5, rel=0.1) and color["threshold"] == 0.5
    assert [*table["concept"]] == ["color"] * 3 + ["size"] * 3


def test_never_tells_unsure_from_wrong(make_scores):
    probe = planted(make_scores, (8, 4000))
    last = (probe["step"] == 128) & (probe["concept"] == "size") & (probe["split"] == "held_out")
    wrong, unsure = last & (probe["sample"] < 24), last & (probe["sample"] >= 138)
    probe.loc[last, "predicted"] = "asked"
    probe.loc[wrong, "predicted"] = "other"
    probe.loc[unsure, "predicted"] = None
    table = learned_table(probe, None, None, "held_out")
    size = row_of(table, "size")
    assert np.isnan(size["images_seen"]) and np.isinf(size["by"])
    assert (size["unsure"], size["wrong"]) == pytest.approx((0.31, 0.12))
    color, size = learned_sentences(table)
    assert size == ("size is learned, by probe: never; at the last snapshot .31 unsure, .12 wrong.")
    assert color.startswith("color is learned, by probe: at step 13 [1")
    assert learned_rows(table)[1]["at the last snapshot"] == ".31 unsure, .12 wrong"


def test_snapshots_that_are_mostly_unsure_count_for_nothing(make_scores):
    """An instrument that sees nothing before step 64 cannot say when it was learned before."""
    probe = unsure_until(planted(make_scores, (8, 8)), 64)
    table = learned_table(probe, planted(make_scores, (8, 8)), None, "held_out")
    blind, seeing = row_of(table, "color"), row_of(table, "color", "oracle")
    assert np.isnan(blind["images_seen"]) and (blind["after"], blind["by"]) == (0, 6400)
    assert (blind["counting"], blind["snapshots"]) == (2, 8)
    assert seeing["step"] == pytest.approx(8 * AT_80, rel=0.1)
    sentence = learned_sentences(table)[0]
    assert (
        "by probe: by step 64, the first that counts (6 are mostly unsure); by oracle" in sentence
    )


@pytest.mark.parametrize("until, unsure", [(1000, "100%"), (128, None)])
def test_a_run_too_short_to_read_says_so(make_scores, until, unsure):
    """Unsure of all images, or of all but those of the last snapshot, of step 128."""
    table = learned_table(unsure_until(planted(make_scores, (8, 8)), until), None, None, "held_out")
    found = too_short_sentences(table)
    assert len(found) == (unsure is not None)
    for sentence in found:
        assert (
            f"is unsure of {unsure} of the images" in sentence
            and "train longer than 128 steps" in sentence
        )


def test_a_turn_that_the_probe_sees_among_unsure_images_moves_no_time(make_scores):
    """The same run, but at step 32 the probe is unsure of all and reads nothing as asked."""
    probe = planted(make_scores, (4, 4))
    blind = probe.assign(predicted=probe["predicted"].mask(probe["step"] == 32))
    one, other = (row_of(learned_table(p, None, None, "held_out"), "color") for p in (probe, blind))
    assert one["images_seen"] == other["images_seen"] and other["counting"] == 7


def test_of_an_instrument_that_is_never_sure_nothing_is_said(make_scores):
    probe = unsure_until(planted(make_scores, (8, 8)), 10_000)
    table = learned_table(probe, None, None, "held_out")
    assert (table["counting"] == 0).all() and table["images_seen"].isna().all()
    sentence = learned_sentences(table)[0]
    assert "cannot say, mostly unsure at every snapshot; at the last snapshot 1.00 uns" in sentence
    assert learned_rows(table)[0]["95 % interval, steps"] == "–"


def test_in_noise_nothing_is_learned(make_scores):
    right = np.random.default_rng(3).random((9, 2, 64, 2)) < 0.5
    scores = make_scores(right, concepts=CONCEPTS, splits=("train", "held_out"))
    table = learned_table(scores, scores, None, "train")
    assert table["images_seen"].isna().all() and np.isinf(table["by"]).all()
    assert (table["snapshots"] == 8).all()  # a snapshot before training has no time


def test_a_level_that_is_refused_has_no_row(make_scores, denoiser_rows):
    rows = denoiser_rows(np.ones((3, 2)) * 0.4).assign(run="seed0", refused="no")
    rows = rows.assign(response=np.nan, ideal_response=np.nan)
    table = learned_table(planted(make_scores, (8, 8)), None, rows, "held_out")
    assert {*table["instrument"]} == {"probe"}
