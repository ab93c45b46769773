"""Coordinates of held-out combinations, their swings and their gate, of planted readings."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.coordinates import (
    coordinate_curves,
    denoiser_coordinates,
    oracle_coordinates,
    probe_coordinates,
    swing_table,
)

SPLITS = ("train", "held_out")
STEPS = 12


def scores_of(make_scores, color: np.ndarray, images: int = 40) -> pd.DataFrame:
    """A run that reads size right from the start, and color in these shares of the images."""
    luck = (np.arange(images) + 0.5) / images
    right = np.ones((len(color), 2, images, 2), dtype=bool)
    right[..., 0] = (luck < color[:, None])[:, None]
    scores = make_scores(right, concepts=("color", "size"), splits=SPLITS)
    return scores.assign(images_seen=100 * (scores["step"] + 1))


def times_of(size_by: float, color_by: float) -> pd.DataFrame:
    rows = [("color", color_by / 2, color_by), ("size", size_by / 2, size_by)]
    table = pd.DataFrame(rows, columns=["measure", "after", "by"])
    return table.assign(run="seed0", split="held_out", images_seen=table["by"])


DIP = np.array([0.2, 0.4, 0.8, 0.9, 0.6, 0.3, 0.2, 0.5, 0.8, 0.9, 1.0, 1.0])


def test_softmax_counts_all_images_and_sure_those_that_are(make_scores):
    scores = scores_of(make_scores, DIP)
    unsure = (scores["step"] == 2) & (scores["sample"] % 4 == 0)
    scores["predicted"] = scores["predicted"].mask(unsure)
    curves = coordinate_curves([*probe_coordinates(scores)])
    assert [*curves["instrument"].unique()] == ["softmax", "sure"]
    color = curves[curves["measure"] == "color"].pivot(index="images_seen", columns="instrument")
    softmax, sure = (color["coordinate", name].to_numpy() for name in ("softmax", "sure"))
    assert softmax == pytest.approx(0.25 + 0.5 * DIP)
    there = np.arange(40) % 4 != 0
    wanted = ((np.arange(40) + 0.5) / 40 < 0.8)[there].mean()
    assert sure == pytest.approx(np.where(np.arange(STEPS) == 2, wanted, DIP))
    assert curves["counts"].all()


def test_more_images_at_the_last_snapshot_do_not_count(make_scores):
    scores = scores_of(make_scores, DIP)
    fewer = scores[(scores["step"] == STEPS - 1) | (scores["sample"] < 20)]
    (one,) = [c for c in probe_coordinates(fewer) if (c.instrument, c.measure) == ("sure", "color")]
    assert one.sums.shape == (STEPS, 20)


def test_the_oracle_reads_the_place_between_the_class_means(make_scores):
    """Of two means; beyond them is at them, and what it is unsure of does not count."""
    scores = scores_of(make_scores, np.ones(2), images=4)
    place = np.array([0.2, 0.5, 0.8, 1.7])
    asked = np.where(scores["combination"] == "c1", 10.0, 6.0)
    scores = scores.assign(target_value=asked, predicted_value=6 + 4 * place[scores["sample"]])
    scores.loc[scores["concept"] == "size", "target_value"] = 5.0
    scores["predicted"] = scores["predicted"].mask((scores["step"] == 1) & (scores["sample"] < 3))
    (color,) = oracle_coordinates(scores)
    assert (color.measure, color.instrument) == ("color", "oracle")
    assert color.values == pytest.approx([(0.2 + 0.5 + 0.8 + 1) / 4, 1.0])
    assert color.counting.tolist() == [True, False]


def test_obedience_is_a_ratio_of_sums(denoiser_rows):
    planted = np.array([[0.0, 0.1], [0.5, 0.9]])
    rows = denoiser_rows(planted, level=0.2)
    refused = rows.assign(level=0.1, refused="hidden")
    coordinates = [*denoiser_coordinates(pd.concat([rows, refused]))]
    assert [(c.instrument, c.measure) for c in coordinates] == [
        ("denoiser 0.2", "color"),
        ("denoiser 0.2", "size"),
    ]
    assert np.stack([c.values for c in coordinates], 1) == pytest.approx(planted)
    assert coordinates[0].sums.shape == (2, 20) and coordinates[0].counting.all()


def table_of(scores: pd.DataFrame, times: pd.DataFrame, joint: float = 1.0) -> pd.DataFrame:
    return swing_table([*probe_coordinates(scores)], times, joint).set_index(
        ["instrument", "measure"]
    )


def test_a_planted_dip_swings_and_a_flat_coordinate_does_not(make_scores):
    table = table_of(scores_of(make_scores, DIP), times_of(100, 1200))
    for instrument, size in (("softmax", 0.35), ("sure", 0.7)):
        row = table.loc[instrument, "color"]
        assert row["fall"] == pytest.approx(size) and row["swings"] and row["gate"] == ""
        assert (row["start"], row["end"]) == (400, 700)
        assert not table.loc[instrument, "size"]["swings"]


def test_unsure_snapshots_do_not_count(make_scores):
    scores = scores_of(make_scores, DIP)
    scores["predicted"] = scores["predicted"].mask(scores["step"].between(4, 7))
    row = table_of(scores, times_of(100, 1200)).loc["softmax", "color"]
    assert (row["counting"], row["snapshots"]) == (8, 12)
    assert row["fall"] == pytest.approx(0.05) and not row["swings"]


@pytest.mark.parametrize(
    ("times", "joint", "why"),
    [
        (times_of(100, 1200), 0.49, "held-out joint accuracy ends at 0.49, below 0.5"),
        (times_of(100, 750), 1.0, "7 snapshots count between learning"),
        (times_of(np.inf, np.inf), 0.6, "1 snapshots count between learning"),
        (times_of(100, 800), 1.0, None),
        (times_of(100, np.inf), 1.0, None),
    ],
)
def test_a_run_passes_the_gate_or_is_not_judged(make_scores, times, joint, why):
    gate = table_of(scores_of(make_scores, DIP), times, joint)["gate"]
    assert (gate == "").all() if why is None else gate.str.startswith(why).all()


def test_obedience_needs_no_gate(denoiser_rows):
    planted = np.stack([DIP, np.linspace(0, 1, STEPS)], axis=1)
    table = swing_table([*denoiser_coordinates(denoiser_rows(planted))], times_of(1, 2), 0.0)
    assert (table["gate"] == "").all() and table["swings"].tolist() == [True, False]


def test_of_three_images_nothing_is_judged(make_scores):
    table = table_of(scores_of(make_scores, DIP, images=3), times_of(100, 1200))
    assert table["swings"].isna().all() and table["fall"].isna().all()
    assert table["gate"].str.contains("and 4 images or scenes").all()
