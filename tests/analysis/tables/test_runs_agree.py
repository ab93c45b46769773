"""Verdicts on runs that are planted to agree, to differ, or to be too few."""

import numpy as np
import pandas as pd
import pytest

from analysis.measures.intervals import binomial_bounds
from analysis.tables.learned import learned_table
from analysis.tables.runs_agree import (
    ACCURACY,
    TIME,
    agree_rows,
    agree_sentences,
    run_values,
    runs_agree,
)
from analysis.tables.trajectory import accuracy_curves
from tests.analysis.tables.test_learned import CONCEPTS, planted


def shares(counts: dict[str, int], images: int) -> pd.DataFrame:
    """Last accuracies of runs: so many right of `images`."""
    right = np.array([*counts.values()], float)
    low, high = binomial_bounds(right, np.full(len(right), float(images)))
    about = {"quantity": ACCURACY, "measure": "color", "instrument": "probe"}
    return pd.DataFrame(
        {"run": [*counts], **about, "value": right / images, "low": low, "high": high}
    )


def times(ends: dict[str, tuple[float, float, float]]) -> pd.DataFrame:
    about = {"quantity": TIME, "measure": "color", "instrument": "oracle"}
    rows = [
        {"run": run, **about, "value": v, "low": lo, "high": hi}
        for run, (v, lo, hi) in ends.items()
    ]
    return pd.DataFrame(rows)


def about_of(runs, variant=lambda run: "all runs") -> pd.DataFrame:
    return pd.DataFrame({"run": [*runs], "variant": [variant(run) for run in runs]})


def verdict(values: pd.DataFrame, about: pd.DataFrame | None = None) -> str:
    (row,) = runs_agree(values, about_of(values["run"]) if about is None else about).to_dict(
        "records"
    )
    return row["verdict"]


@pytest.mark.parametrize(
    ("counts", "images", "said"),
    [
        ({"a": 900, "b": 905}, 1000, "agree"),
        ({"a": 900, "b": 600}, 1000, "differ by 0.300"),
        ({"a": 9, "b": 7}, 10, "cannot say (wide interval)"),
        ({"a": 900, "b": 600, "c": 880}, 1000, "differ by 0.300"),
    ],
)
def test_last_accuracies(counts, images, said):
    assert verdict(shares(counts, images)) == said


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([(1000, 980, 1020), (1050, 1030, 1070)], "agree"),
        ([(1000, 950, 1060), (2000, 1900, 2100)], "differ by a factor of 2.00"),
        ([(1000, 500, 2000), (1500, 800, 3000)], "cannot say (wide interval)"),
        ([(np.inf, np.inf, np.inf), (np.inf, 900, np.inf)], "agree (neither has learned)"),
        (
            [(np.inf, 5000, np.inf), (1000, 900, 1100)],
            "differ (not between snapshots in one of them)",
        ),
        ([(np.inf, 1000, np.inf), (1000, 900, 1100)], "cannot say (not between snapshots)"),
        ([(0, 0, 100), (1000, 900, 1100)], "differ (not between snapshots in one of them)"),
        ([(0, 0, 100), (0, 0, 100)], "cannot say (before the first snapshot)"),
    ],
)
def test_learning_times(ends, said):
    assert verdict(times(dict(zip("ab", ends, strict=True)))) == said


@pytest.mark.parametrize(
    ("seeds", "gap", "said"),
    [
        (1, 0.3, "differ by 0.300"),  # of one run each: of these runs, over noise
        (7, 0.3, "cannot say (few seeds)"),
        (8, 0.3, "differ by 0.300"),
        (8, 0.0, "agree"),
    ],
)
def test_of_variants_seeds_speak_from_eight_on(seeds, gap, said):
    counts = {
        f"{variant}{seed}": round(1000 * (0.6 + gap * (variant == "a")) + 5 * (seed % 3))
        for variant in "ab"
        for seed in range(seeds)
    }
    values = shares(counts, 1000)
    about = about_of(counts, variant=lambda run: run[0])
    (row,) = runs_agree(values, about).to_dict("records")
    assert (row["verdict"], row["first"], row["second"]) == (said, "a", "b")
    assert row["over"] == ("noise" if seeds == 1 else "seeds") and row["seeds"] == seeds


def test_seeds_that_are_all_right_are_as_certain_as_their_images():
    """Their spread is no measure of anything: the interval is that of noise."""
    values = shares({f"{v}{seed}": 8 for v in "ab" for seed in range(8)}, 8)
    (row,) = runs_agree(values, about_of(values["run"], lambda run: run[0])).to_dict("records")
    half = np.sqrt(8 * (1 - values["low"][0]) ** 2) / 8
    assert (row["low"], row["high"]) == pytest.approx((-half, half))


@pytest.mark.slow
def test_of_many_equal_runs_one_in_twenty_differs_at_most():
    rng, differ = np.random.default_rng(0), 0
    for _ in range(200):
        counts = {f"r{i}": int(k) for i, k in enumerate(rng.binomial(64, 0.7, size=8))}
        differ += verdict(shares(counts, 64)).startswith("differ")
    assert differ <= 10


def test_the_values_of_scores(make_scores):
    """Two seeds alike, and a third that learns size four times as late."""
    runs = {"a": (8, 8), "b": (8, 8), "c": (8, 32)}
    scores = {name: planted(make_scores, m).assign(run=name) for name, m in runs.items()}
    learned = pd.concat([learned_table(own, None, None, "held_out") for own in scores.values()])
    curves = pd.concat([accuracy_curves(own) for own in scores.values()])
    values = run_values(curves[curves["split"] == "held_out"], learned)
    table = runs_agree(values, about_of(runs)).set_index(["quantity", "measure"])
    assert [*table.loc[TIME].index] == [*CONCEPTS]
    assert table.loc[(TIME, "color"), "verdict"] == "agree"
    assert table.loc[(TIME, "size"), "verdict"].startswith("differ by a factor of 4.")
    assert table.loc[(ACCURACY, "color"), "verdict"] == "agree"
    assert {*table["groups"]} == {3}
    said = [*agree_sentences(table.reset_index())]
    assert said[1].startswith("Do the 3 agree in learning time? color (by probe) agree; size")
    assert agree_rows(table.reset_index())[0]["difference"] == "+0.000 [-0.022, +0.022]"


def test_times_of_other_snapshots_and_single_runs_are_not_compared(make_scores):
    long = planted(make_scores, (8, 8)).assign(run="long")
    short = long[long["step"] <= 64].assign(run="short")
    learned = pd.concat([learned_table(own, None, None, "train") for own in (long, short)])
    curves = pd.concat([accuracy_curves(own).query("split == 'train'") for own in (long, short)])
    table = runs_agree(run_values(curves, learned), about_of(["long", "short"]))
    assert {*table["quantity"]} == {ACCURACY}
    assert (table["difference"] == 0).all()  # at the last snapshot that both have
    alone = run_values(curves[curves["run"] == "long"], learned[learned["run"] == "long"])
    assert runs_agree(alone, about_of(["long"])).empty
