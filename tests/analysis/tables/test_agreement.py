"""Where two instruments say the same: counts that the test knows."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.agreement import (
    agreement,
    disagreements,
    format_agreement,
    not_as_asked,
    paired,
    sure_accuracy,
    sure_rows,
)

# What both say of four images: c right, s wrong, - unsure.
PROBE = {"shape": "cs-c", "color": "cccc"}
ORACLE = {"shape": "ccc-", "color": "ccsc"}


@pytest.fixture
def readings(make_scores):
    """Rows of an instrument: per concept a letter for each image."""

    def make(letters: dict[str, str], name: str, steps: int = 1) -> pd.DataFrame:
        columns = np.array([list(word) for word in letters.values()]).T
        scores = make_scores(
            np.broadcast_to((columns == "c")[None, None], (steps, 1, *columns.shape)),
            concepts=list(letters),
        ).assign(probe=name)
        unsure = np.tile((columns == "-").ravel(), steps)
        return scores.assign(predicted=scores["predicted"].where(~unsure, None))

    return make


@pytest.fixture
def both(readings) -> tuple[pd.DataFrame, pd.DataFrame]:
    return readings(PROBE, "cnn"), readings(ORACLE, "oracle")


def test_only_images_of_which_both_are_sure_count(both):
    table = agreement(*both).set_index("measure")
    assert list(table.index) == ["joint", "shape", "color"] and (table["images"] == 4).all()
    assert table["count"].to_dict() == {"joint": 2, "shape": 2, "color": 4}
    assert table["agreement"].to_dict() == {"joint": 0.5, "shape": 0.5, "color": 0.75}
    assert table["probe_unsure"].to_dict() == {"joint": 0.25, "shape": 0.25, "color": 0}
    assert table["oracle_unsure"].to_dict() == {"joint": 0.25, "shape": 0.25, "color": 0}


def test_the_order_of_rows_changes_nothing(both):
    probe, oracle = both
    shuffled = oracle.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(agreement(probe, shuffled), agreement(probe, oracle))


def test_every_snapshot_has_its_rows_and_none_where_nothing_is_read(readings):
    probe = readings(PROBE, "cnn", steps=2)
    oracle = readings(ORACLE, "oracle", steps=2)
    oracle.loc[oracle["step"] == 0, "predicted"] = None
    table = agreement(probe, oracle)
    assert table["step"].tolist() == [0] * 3 + [1] * 3
    first = table[table["step"] == 0]
    assert first["agreement"].isna().all() and (first["count"] == 0).all()
    assert (first["low"] == 0).all() and (first["high"] == 1).all()
    assert (first["oracle_unsure"] == 1).all()
    assert format_agreement(first).startswith("joint never both sure, shape never both sure, ")
    last = format_agreement(table[table["step"] == 1])
    assert last.startswith("joint 0.500 [0.013, 0.987] of 2, shape 0.500 ")
    assert last.endswith("unsure of 4 images: probe 25.0%, oracle 25.0%")


def test_what_was_learned_is_asked_of_sure_images_alone(readings):
    """Of color one reads wrong and one is unsure; of shape nobody is sure."""
    probe = readings({"shape": "----", "color": "cccs"}, "cnn")
    oracle = readings({"shape": "cccc", "color": "c-cc"}, "oracle")
    table = sure_accuracy(probe, oracle).set_index("concept")
    assert table["count"].to_dict() == {"shape": 0, "color": 3}
    assert table.loc["color", "accuracy"] == pytest.approx(2 / 3)
    (row,) = sure_rows(table.reset_index())
    cells = {"shape": "-", "color": "0.667 [0.094, 0.992]"}
    assert row == {"step": "0", "sure": "0%", **cells}
    mostly = probe.assign(predicted=probe["predicted"].mask(probe["sample"].isin([0, 2])))
    (row,) = sure_rows(sure_accuracy(mostly, oracle))
    assert row["color"] == "(0.000 [0.000, 0.975])"  # one of four: it counts for nothing


def test_different_images_or_instruments_in_one_table_are_refused(both):
    probe, oracle = both
    with pytest.raises(ValueError, match="different images: 8 and 6 rows, 6 of them in both"):
        paired(probe, oracle[2:])
    with pytest.raises(ValueError, match="different images: 8 and 8 rows, 0 of them in both"):
        paired(probe, oracle.assign(guidance_scale=2.0))
    with pytest.raises(ValueError, match="scores of two instruments in one table"):
        paired(pd.concat(both), oracle)


def test_disagreements_are_the_images_in_which_both_are_sure_and_differ(both):
    first, second = disagreements(*both).to_dict("records")
    asked = {"shape": "asked", "color": "asked"}
    assert first == {
        **{"run": "seed0", "step": 0, "combination": "c0", "sample": 1, "asked": asked},
        **{"probe": {**asked, "shape": "other"}, "oracle": asked},
    }
    assert second["sample"] == 2
    assert second["probe"] == {**asked, "shape": None}
    assert second["oracle"] == {**asked, "color": "other"}
    assert not_as_asked(asked, asked) == "as asked"
    assert not_as_asked(asked, second["probe"]) == "shape unsure"
    assert not_as_asked(asked, {"shape": "other", "color": None}) == "other, color unsure"


def test_instruments_that_never_part_have_no_disagreements(readings):
    assert disagreements(readings(PROBE, "cnn"), readings(PROBE, "oracle")).empty
