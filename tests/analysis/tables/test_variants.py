"""Tables over seeds: known answers on planted scores, and nothing found in noise."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.learning import final_joint, learning_time_table, turn_table
from analysis.tables.trajectory import accuracy_curves
from analysis.tables.variants import (
    curves_over_seeds,
    differences_from_first,
    signal_laws,
    turn_counts,
    typical_times,
)

STEPS = 2 ** np.arange(8)


def planted(make_scores, run: str, middle: float, seed: int = 0, images: int = 32) -> pd.DataFrame:
    """A run that reads each of its images from some snapshot on; half of them by `middle`.

    c0 trains, c1 is held out. Image k has the same luck in every run of a seed.
    """
    luck = np.random.default_rng(seed).random((2, images, 2))
    p = 1 / (1 + (middle / STEPS) ** 4)
    right = luck < p[:, None, None, None]
    scores = make_scores(right, concepts=("color", "size"), run=run, splits=("train", "held_out"))
    step = STEPS[scores["step"]]
    return scores.assign(step=step, images_seen=100 * step, train_seed=seed)


def about_of(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["run", "variant", "seed", "signal"])


def all_of(table, scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table(own) for own in scores.values()], ignore_index=True)


@pytest.fixture
def study(make_scores) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Learning times fall with the signal as its power −1, and vary by 5 % over five seeds."""
    rng, scores, rows = np.random.default_rng(0), {}, []
    for signal in (0.25, 0.5, 1.0):
        for seed in range(5):
            run = f"{signal}-{seed}"
            middle = 10 / signal * np.exp(0.05 * rng.normal())
            scores[run] = planted(make_scores, run, middle, seed)
            rows.append((run, f"signal {signal}", seed, signal))
    return about_of(*rows), scores


def test_the_mean_curve_is_the_mean_of_the_runs(study):
    about, scores = study
    curves = all_of(accuracy_curves, scores)
    table = curves_over_seeds(curves, about)
    assert [*table["variant"].unique()] == ["signal 0.25", "signal 0.5", "signal 1.0"]
    joined = curves.merge(about, on="run")
    wanted = joined.groupby(["variant", "images_seen", "split", "measure"])["accuracy"].mean()
    found = table.set_index(["variant", "images_seen", "split", "measure"])["accuracy"]
    pd.testing.assert_series_equal(found.sort_index(), wanted, check_names=False)
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()
    assert table["low"].min() >= 0 and table["high"].max() <= 1
    assert (table["seeds"] == 5).all() and (table["of_seeds"] == 5).all()


def test_a_run_that_ended_early_counts_where_it_was(study):
    about, scores = study
    curves = all_of(accuracy_curves, scores)
    ended = curves[(curves["run"] != "0.5-3") | (curves["step"] <= 8)]
    table = curves_over_seeds(ended, about)
    own = table[table["variant"] == "signal 0.5"]
    assert {*own[own["images_seen"] <= 800]["seeds"]} == {5}
    assert {*own[own["images_seen"] > 800]["seeds"]} == {4}
    assert (own["of_seeds"] == 5).all()


def test_the_law_of_learning_times_is_found(study):
    about, scores = study
    times = all_of(learning_time_table, scores)
    assert [*times["measure"].unique()] == ["color", "size", "joint"]
    laws = signal_laws(times, about, "signal")
    assert (laws["runs"] == 15).all()
    assert ((laws["low"] < -1) & (-1 < laws["high"])).sum() >= 5  # of 6, each with 95 %
    assert laws["exponent"].to_numpy() == pytest.approx(-1, abs=0.1)
    typical = typical_times(times, about)
    color = typical[(typical["measure"] == "color") & (typical["split"] == "train")]
    truth = 1000 / np.array([0.25, 0.5, 1]) * 4**0.25  # where p is .8
    assert color["images_seen"].to_numpy() == pytest.approx(truth, rel=0.15)


def test_a_run_that_has_not_learned_is_censored_and_kept(make_scores):
    names = [f"r{seed}" for seed in range(5)]
    middles = [20, 22, 24, 26, 4000]
    scores = {
        n: planted(make_scores, n, m, i)
        for i, (n, m) in enumerate(zip(names, middles, strict=True))
    }
    times = all_of(learning_time_table, scores)
    late = times[times["run"] == "r4"]
    assert late["images_seen"].isna().all() and (late["after"] == 12800).all()
    assert np.isinf(late["by"]).all() and np.isinf(late["high"]).all()
    about = about_of(*((name, "all", i, 1.0) for i, name in enumerate(names)))
    typical = typical_times(times, about)
    assert (typical["censored"] == 1).all() and (typical["runs"] == 5).all()
    without = typical_times(times[times["run"] != "r4"], about)
    assert (typical["images_seen"] > without["images_seen"]).all()


def test_the_typical_time_of_one_run_is_its_own(make_scores):
    times = learning_time_table(planted(make_scores, "r", 20))
    typical = typical_times(times, about_of(("r", "alone", 0, 1.0)))
    columns = ["split", "measure", "images_seen", "low", "high"]
    pd.testing.assert_frame_equal(typical[columns], times[columns])


def test_of_most_runs_not_learning_there_is_no_typical_time(make_scores):
    scores = {n: planted(make_scores, n, 4000) for n in ("a", "b", "c")}
    times = all_of(learning_time_table, scores)
    typical = typical_times(times, about_of(*((n, "all", i, 1.0) for i, n in enumerate(scores))))
    assert typical["images_seen"].isna().all() and (typical["censored"] == 3).all()


def test_the_interval_of_a_learning_time_is_that_of_its_images(make_scores):
    few, many = (planted(make_scores, "r", 20, images=n) for n in (16, 256))
    width = [
        np.log(t["high"] / t["low"]).mean()
        for t in (learning_time_table(few), learning_time_table(many))
    ]
    assert width[0] > 2 * width[1] > 0


def test_a_snapshot_before_training_has_no_time(make_scores):
    scores = planted(make_scores, "r", 20)
    start = scores[scores["step"] == 1].assign(step=0, images_seen=0)
    pd.testing.assert_frame_equal(
        learning_time_table(pd.concat([start, scores])), learning_time_table(scores)
    )


def test_snapshots_of_mostly_unsure_images_do_not_count(make_scores):
    """They say neither that a concept was learned nor that it was not."""
    scores = planted(make_scores, "r", 20)
    blind = (scores["concept"] == "color") & (scores["step"] <= 64)
    scores.loc[blind, "predicted"] = None
    times = learning_time_table(scores).set_index(["split", "measure"])
    before = learning_time_table(planted(make_scores, "r", 20)).set_index(["split", "measure"])
    assert (times.loc[(slice(None), ["color", "joint"]), "low"] == 0).all()
    assert before.loc[("train", "color"), "by"] <= 6400  # it was learned while nothing was seen
    pd.testing.assert_series_equal(times.loc[("train", "size")], before.loc[("train", "size")])
    never = learning_time_table(scores.assign(predicted=None))
    assert never["images_seen"].isna().all()
    assert (never["after"] == 0).all() and np.isinf(never["by"]).all()


def test_rows_may_come_in_any_order(make_scores):
    """All at once is right only of one and the same image."""
    scores = planted(make_scores, "r", 20)
    shuffled = scores.sample(frac=1, random_state=0)
    columns = ["split", "measure", "images_seen", "after", "by"]
    wanted = learning_time_table(scores).sort_values(columns)[columns]
    found = learning_time_table(shuffled).sort_values(columns)[columns]
    pd.testing.assert_frame_equal(found.reset_index(drop=True), wanted.reset_index(drop=True))
    with pytest.raises(ValueError, match="an image twice"):
        learning_time_table(pd.concat([scores, scores.tail(1)]))


def test_variants_are_paired_by_seed_and_noise(make_scores):
    """The second variant has a third of the first one's wrong images right: pairs tell, means of
    unlike seeds would not."""
    scores, rows = {}, []
    for seed in range(4):
        first = planted(make_scores, f"a{seed}", 128, seed, images=96)
        better = first.assign(run=f"b{seed}")
        wrong = better["predicted"] != "asked"
        mended = wrong & (better["sample"] % 3 == 0)
        scores |= {
            f"a{seed}": first,
            f"b{seed}": better.assign(predicted=better["predicted"].mask(mended, "asked")),
        }
        rows += [(f"a{seed}", "first", seed, 1.0), (f"b{seed}", "second", seed, 2.0)]
    about = about_of(*rows)
    final = all_of(final_joint, scores)
    found = differences_from_first(final, about)
    assert [*found["split"]] == ["train", "held_out"] and (found["seeds"] == 4).all()
    right = final.groupby(["run", "split"])["right"].mean().unstack()
    for _, row in found.iterrows():
        own = [right[row["split"]][f"b{s}"] - right[row["split"]][f"a{s}"] for s in range(4)]
        assert row["difference"] == pytest.approx(np.mean(own))
        assert row["low"] > 0 and row["each_seed"] == "more"


def test_in_noise_variants_do_not_differ(make_scores):
    rng, rows, scores = np.random.default_rng(5), [], {}
    for seed in range(6):
        for variant in "ab":
            right = rng.random((2, 2, 48, 2)) < 0.7
            run = f"{variant}{seed}"
            scores[run] = make_scores(right, concepts=("color", "size"), run=run)
            rows.append((run, variant, seed, 1.0))
    found = differences_from_first(all_of(final_joint, scores), about_of(*rows))
    (row,) = found.to_dict("records")
    assert row["low"] < 0 < row["high"] and row["each_seed"] == "undecided"


def test_runs_of_unequal_length_or_seed_are_not_paired(make_scores):
    first, second = (planted(make_scores, run, 20) for run in "ab")
    about = about_of(("a", "first", 0, 1.0), ("b", "second", 0, 2.0))
    ended = second[second["step"] < 100]
    final = pd.concat([final_joint(first), final_joint(ended)])
    assert differences_from_first(final, about).empty
    final = pd.concat([final_joint(first), final_joint(second)])
    assert differences_from_first(final, about.assign(seed=[0, 1])).empty
    assert len(differences_from_first(final, about)) == 2


def test_paths_that_turn_are_counted_and_others_are_not(make_scores):
    rows, scores = [], {}
    for seed in range(4):
        for variant in ("rises", "turns"):
            run = f"{variant}{seed}"
            own = planted(make_scores, run, 10, seed)
            dip = (own["step"] == 32) & (own["concept"] == "color") & (variant == "turns")
            scores[run] = own.assign(p_target=own["p_target"].mask(dip, 0.1))
            rows.append((run, variant, seed, 1.0))
    counts = turn_counts(all_of(turn_table, scores), about_of(*rows))
    turning = counts.set_index(["variant", "measure"])["turning"].to_dict()
    assert turning == {
        ("rises", "color"): 0,
        ("rises", "size"): 0,
        ("turns", "color"): 4,
        ("turns", "size"): 0,
    }
    p = counts.set_index(["variant", "measure"])["p"]
    assert p["turns", "color"] == pytest.approx(0.05**4) and p["rises", "color"] == 1


@pytest.mark.parametrize(("unsure", "turning", "runs"), [([], 4, 4), ([32], 0, 4), (STEPS, 0, 0)])
def test_a_turn_among_unsure_images_is_none(make_scores, unsure, turning, runs):
    scores, rows = {}, []
    for seed in range(4):
        own = planted(make_scores, f"run{seed}", 10, seed)
        dip = (own["step"] == 32) & (own["concept"] == "color")
        read = own["predicted"].mask(own["step"].isin(unsure))
        scores[f"run{seed}"] = own.assign(p_target=own["p_target"].mask(dip, 0.1), predicted=read)
        rows.append((f"run{seed}", "one", seed, 1.0))
    counts = turn_counts(all_of(turn_table, scores), about_of(*rows)).set_index("measure")
    color = counts.loc["color"]
    assert (color["turning"], color["runs"], color["of_runs"]) == (turning, runs, 4)
    assert np.isnan(color["share"]) == (runs == 0)


def test_without_held_out_combinations_nothing_turns(make_scores):
    right = np.ones((3, 2, 4, 2), bool)
    assert turn_table(make_scores(right, concepts=("color", "size"))).empty
