"""Outcomes of planted scores: who composes, who interpolates, what noise and a failed gate say."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.outcomes import outcome_table, outcomes_over_seeds
from data_gen.bumps.config import HeldOut

BANDS = HeldOut("bands", 6.0, 10.0).is_new
INTERIOR = HeldOut("interior", 6.0, 10.0).is_new
INSIDE, OUTSIDE = np.arange(6.0, 11.0), np.array([*range(6), *range(11, 16)], float)
AXES = {
    "train": (OUTSIDE, OUTSIDE),
    "train 1d_x": (OUTSIDE, np.array([np.nan])),
    "train blank": (np.array([np.nan]), np.array([np.nan])),
    "x_band": (INSIDE, OUTSIDE),
    "y_band": (OUTSIDE, INSIDE),
    "intersection": (INSIDE, INSIDE),
    "interior": (INSIDE, INSIDE),
}


def section(name: str, x: float, y: float, images: int = 200, seed: int = 0) -> pd.DataFrame:
    """Images of a section, in exactly a share x and y of which each coordinate is right."""
    rng = np.random.default_rng(seed)
    tables = []
    for concept, share, values in zip("xy", (x, y), AXES[name], strict=True):
        asked = rng.choice(values, images)
        off = np.where(rng.permutation(images) < round(share * images), 0.9, 1.1)
        table = pd.DataFrame({"concept": concept, "target_value": asked, "sample": range(images)})
        tables.append(table.assign(predicted_value=asked + off * rng.choice([-1, 1], images)))
    own = pd.concat(tables, ignore_index=True)
    about = {"combination": name, "prompt": own["sample"].astype(str), "predicted": "there"}
    return own.assign(run="a", step=8, images_seen=64, **about)


def scores(**shares: tuple[float, float]) -> pd.DataFrame:
    tables = [section(name.replace("_1d", " 1d"), x, y) for name, (x, y) in shares.items()]
    return pd.concat(tables, ignore_index=True)


TRAINED = {"train": (1.0, 1.0)}


def words(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["question"], table["word"], strict=True))


@pytest.mark.parametrize(
    "seen, new, composes, interpolates",
    [
        (0.95, 0.05, "yes", "no"),  # the paper's model of crossings alone
        (0.95, 0.95, "yes", "yes"),
        (0.1, 0.1, "no", "no"),
        (0.1, 0.9, "no", "yes"),
        (0.8, 0.5, "undecided", "undecided"),
    ],
)
def test_the_four_outcomes_and_what_lies_between(seen, new, composes, interpolates):
    table = outcome_table(scores(**TRAINED, x_band=(new, seen), y_band=(seen, new)), BANDS)
    assert words(table) == {"trained": "yes", "composes": composes, "interpolates": interpolates}
    numbers = table.set_index("question")
    assert numbers["accuracy"].tolist() == pytest.approx([1.0, seen, new], abs=0.005)
    assert numbers["images"].tolist() == [200, 400, 400]
    assert (
        (numbers["low"] <= numbers["accuracy"]) & (numbers["accuracy"] <= numbers["high"])
    ).all()


def test_values_seen_apart_are_composed_where_both_are_right():
    table = outcome_table(scores(**TRAINED, interior=(0.96, 1.0)), INTERIOR).set_index("question")
    assert [*table.index] == ["trained", "composes"]  # no value is new
    assert table.loc["composes", "accuracy"] == pytest.approx(0.96)
    half = outcome_table(scores(**TRAINED, interior=(0.5, 1.0)), INTERIOR)
    assert words(half)["composes"] == "no"


def test_two_new_values_count_for_neither():
    bands = dict(x_band=(0.0, 1.0), y_band=(1.0, 0.0))
    found = [
        outcome_table(scores(**TRAINED, **bands, intersection=(both, both)), BANDS)
        for both in (0.0, 1.0)
    ]
    pd.testing.assert_frame_equal(*found)


def test_what_training_shows_is_gated_with_single_stripes_and_without_blanks():
    rows = pd.concat(
        [scores(train=(0.7, 1.0), x_band=(1.0, 1.0)), section("train 1d_x", 1.0, 1.0, 200)],
    )
    blank = section("train blank", 1.0, 1.0, 9000)
    table = outcome_table(pd.concat([rows, blank]), BANDS)
    assert table.set_index("question").loc["trained", "accuracy"] == pytest.approx(0.85)
    assert {*words(table).values()} == {"gate"}


def test_a_stripe_that_is_not_asked_for_must_not_be_read():
    rows = section("train 1d_x", 1.0, 1.0)
    there = rows["concept"].eq("y") & (rows["sample"] < 50)
    table = outcome_table(
        rows.assign(predicted_value=rows["predicted_value"].mask(there, 3.0)), BANDS
    )
    assert table.set_index("question").loc["trained", "accuracy"] == pytest.approx(0.75)


def test_an_unsure_image_counts_by_its_place_and_is_told():
    rows = scores(**TRAINED, x_band=(0.0, 1.0))
    rows.loc[rows["combination"] == "x_band", "predicted"] = None
    table = outcome_table(rows, BANDS).set_index("question")
    assert table.loc["composes", "word"] == "yes"
    assert table["unsure"].tolist() == [0.0, 1.0, 1.0]


def test_the_last_snapshot_of_the_run_counts_alone():
    last = scores(**TRAINED, x_band=(1.0, 1.0))
    before = scores(train=(0.0, 0.0), x_band=(0.0, 0.0)).assign(step=4)
    others = scores(train=(0.0, 0.0), x_band=(0.0, 0.0)).assign(run="render", step=9)
    pd.testing.assert_frame_equal(
        outcome_table(pd.concat([before, last, others]), BANDS), outcome_table(last, BANDS)
    )


def test_noise_composes_nothing():
    """Places drawn at random over the frame: right in an eighth of the images."""
    rng, said = np.random.default_rng(3), []
    for seed in range(10):
        rows = pd.concat([section("x_band", 0, 0, 128, seed), section("y_band", 0, 0, 128, seed)])
        rows["predicted_value"] = rng.uniform(0, 16, len(rows))
        said += [*outcome_table(pd.concat([rows, section("train", 1, 1)]), BANDS)["word"][1:]]
    assert said == ["no"] * 20


def test_a_share_at_the_bar_is_mostly_undecided():
    """Either word of a model that draws .8 right is a mistake, of at most 5 %."""
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(60):
        share = rng.binomial(200, 0.8) / 200
        found = outcome_table(scores(**TRAINED, x_band=(0.0, share)), BANDS)
        wrong += words(found)["composes"] != "undecided"
    assert wrong <= 8  # 3 expected at most; one in a hundred has more


def outcomes(*accuracies: float, word: str = "yes", images: int = 128) -> pd.DataFrame:
    rows = [
        {"run": f"r{i}", "question": "composes", "right": round(a * images), "images": images}
        | {"accuracy": a, "low": a, "high": a, "unsure": 0.1, "word": word}
        for i, a in enumerate(accuracies)
    ]
    return pd.DataFrame(rows)


ABOUT = pd.DataFrame({"run": [f"r{i}" for i in range(3)], "variant": "v", "seed": range(3)})


def test_over_seeds_the_interval_is_students_and_not_narrower_than_noise():
    (row,) = outcomes_over_seeds(outcomes(0.9, 0.95, 1.0), ABOUT).to_dict("records")
    half = 4.303 * 0.05 / np.sqrt(3)
    assert row["accuracy"] == pytest.approx(0.95) and row["low"] == pytest.approx(
        0.95 - half, abs=1e-3
    )
    assert row["high"] == 1.0 and (row["word"], row["each"], row["seeds"]) == ("yes", "yes", 3)
    (equal,) = outcomes_over_seeds(outcomes(0.82, 0.82, 0.82), ABOUT).to_dict("records")
    assert equal["low"] < 0.79 and equal["word"] == "undecided"


def test_one_seed_before_the_gate_leaves_the_variant_undecided():
    mixed = pd.concat([outcomes(0.99, 0.99), outcomes(0.2, word="gate").assign(run="r2")])
    (row,) = outcomes_over_seeds(mixed, ABOUT).to_dict("records")
    assert (row["word"], row["each"]) == ("gate", "undecided")


@pytest.mark.parametrize(
    "region, new",
    [
        ("none", [False] * 4),
        ("interior", [False] * 4),
        ("bands", [False, True, True, False]),
        ("lesion", [False, True, True, False]),
        ("exterior", [True, False, False, True]),
    ],
)
def test_which_values_no_crossing_shows(region, new):
    found = HeldOut(region, 6.0, 10.0).is_new(np.array([5.9, 6.0, 10.0, 10.1]))
    assert found.tolist() == new
