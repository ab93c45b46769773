"""Emergence of combinations: planted distances, products and minima, in runs and over seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.tables.emergence import (
    distance_curves,
    distance_means,
    distances_from_training,
    emergence_cells,
    emergence_row,
    growth_table,
)
from analysis.tables.emergence_over_seeds import (
    distance_differences,
    distances_over_seeds,
    emergence_over_seeds,
    growth_over_seeds,
)
from analysis.tables.trajectory import accuracy_curves

STEPS = 2 ** np.arange(8)
CORNERS = ("000", "001", "010", "100", "011", "101", "110", "111")
DISTANCES = dict(zip(CORNERS, (0, 0, 0, 0, 1, 1, 1, 2), strict=True))


def cube(make_scores, p: np.ndarray, run: str = "r", images: int = 48, nested: bool = False):
    """Scores of the corners of a cube, of which four train.

    p: chances that a concept is right, by snapshot and corner. Concepts have luck of their own, or
    (nested) all the same.
    """
    rng = np.random.default_rng([*run.encode()])
    luck = rng.random((1, 8, images, 1 if nested else 3))
    right = np.broadcast_to(luck < p[:, :, None, None], (len(p), 8, images, 3))
    splits = ["train" if DISTANCES[c] == 0 else "held_out" for c in CORNERS]
    scores = make_scores(right, splits=splits, run=run)
    corner = scores["combination"].str[1:].astype(int).map(lambda i: CORNERS[i])
    place = scores["concept"].map({"shape": 0, "color": 1, "size": 2})
    asked = [c[k] for c, k in zip(corner, place, strict=True)]
    read = np.where(scores["predicted"] == "asked", asked, "other")
    step = STEPS[scores["step"]]
    return scores.assign(
        combination=corner, target=asked, predicted=read, step=step, images_seen=100 * step
    )


def later_by_distance(factor: float) -> np.ndarray:
    middle = 4.0 * factor ** np.array([*DISTANCES.values()])
    return 1 / (1 + (middle / STEPS[:, None]) ** 2)


def about_of(*runs: str) -> pd.DataFrame:
    return pd.DataFrame({"run": runs, "variant": "v", "seed": range(len(runs))})


def of_all(table, scores: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table(own) for own in scores], ignore_index=True)


def test_distances_are_those_to_the_nearest_that_trains(make_scores):
    found = distances_from_training(cube(make_scores, later_by_distance(1)))
    assert found.to_dict() == DISTANCES


def test_the_mean_over_the_logarithm_is_an_area(make_scores):
    """Of steps that double, snapshots count alike but for the ends, which count by half."""
    scores = cube(make_scores, later_by_distance(2))
    curves, means = distance_curves(scores), distance_means(scores)
    assert means["combinations"].tolist() == [4, 3, 1]
    for distance, own in curves.groupby("distance"):
        y = own.sort_values("images_seen")["accuracy"].to_numpy()
        wanted = (y[:-1] + y[1:]).mean() / 2
        (row,) = means[means["distance"] == distance].to_dict("records")
        assert row["accuracy"] == pytest.approx(wanted)
        assert 0 < row["variance"] < 0.25 / 48


def test_the_variance_is_that_of_images(make_scores):
    """Of independent combinations: that of the mean over repetitions with other luck."""
    repeats = 24
    p = later_by_distance(2)[2:4]
    tables = [distance_means(cube(make_scores, p, run=str(i))) for i in range(repeats)]
    both = pd.concat(tables).groupby("distance")
    told, seen = both["variance"].mean(), both["accuracy"].var()
    low, high = stats.chi2.interval(1 - 1e-4, repeats - 1)
    assert (seen / told).between(low / (repeats - 1), high / (repeats - 1)).all()


def test_a_snapshot_before_training_is_no_time(make_scores):
    scores = cube(make_scores, later_by_distance(2))
    start = scores[scores["step"] == 1].assign(step=0, images_seen=0)
    both = pd.concat([start, scores])
    pd.testing.assert_frame_equal(distance_means(both), distance_means(scores))


def test_what_is_learned_later_is_told_apart_and_what_is_not_is_not(make_scores):
    for factor, sooner in ((4.0, True), (1.0, False)):
        scores = [cube(make_scores, later_by_distance(factor), f"{factor}-{i}") for i in range(6)]
        about = about_of(*(own["run"].iloc[0] for own in scores))
        found = distance_differences(of_all(distance_means, scores), about)
        assert found[["nearer", "farther"]].to_numpy().tolist() == [[0, 1], [1, 2]]
        assert (found["seeds"] == 6).all()
        assert ((found["low"] > 0) == sooner).all()
        assert (found["each_seed"] == ("sooner" if sooner else "undecided")).all() or not sooner
        curves = distances_over_seeds(of_all(distance_curves, scores), about)
        assert len(curves) == 3 * len(STEPS) and (curves["seeds"] == 6).all()
        assert (curves["low"] <= curves["accuracy"]).all()


def chances() -> np.ndarray:
    return np.broadcast_to(np.linspace(0.5, 0.95, 8)[:, None], (8, 8))


@pytest.mark.parametrize("nested", [False, True])
def test_a_product_and_a_minimum_are_told_apart(make_scores, nested):
    scores = [cube(make_scores, chances(), f"{nested}-{i}", nested=nested) for i in range(4)]
    rows = of_all(emergence_row, scores)
    (found,) = emergence_over_seeds(rows, about_of(*rows["run"])).to_dict("records")
    if nested:
        assert found["minimum_error"] == pytest.approx(0) and found["low"] > 0.1
        assert found["advantage_high"] < 0
        assert (found["alike_each"], found["product_each"]) == ("fails", "fails")
    else:
        assert found["low"] < 0 < found["high"] and found["advantage_low"] > 0
        assert found["product_each"] == "holds" and abs(found["excess"]) < 0.02
    cells = emergence_cells(scores[0])
    assert len(cells) == 4 * 8 and (cells["product"] <= cells["minimum"]).all()


def test_of_too_few_cells_there_is_no_number_but_the_run_is_counted(make_scores):
    scores = [cube(make_scores, np.full((8, 8), 0.999), str(i)) for i in range(2)]
    rows = of_all(emergence_row, scores)
    assert rows["excess"].isna().all() and (rows["cells"] < 10).all()
    (found,) = emergence_over_seeds(rows, about_of("0", "1")).to_dict("records")
    assert (found["seeds"], found["of_seeds"]) == (0, 2) and np.isnan(found["excess"])


def test_without_held_out_combinations_or_with_one_concept_there_is_nothing(make_scores):
    right = np.ones((3, 2, 4, 2), dtype=bool)
    trained = make_scores(right, concepts=("color", "size")).assign(images_seen=1)
    single = make_scores(right[..., :1], concepts=("color",), splits=("train", "held_out"))
    for scores in (trained, single.assign(images_seen=1)):
        assert emergence_row(scores).empty and emergence_cells(scores).empty


def test_growth_is_fitted_or_refused(make_scores):
    p = np.broadcast_to((1 - np.exp(-STEPS / 20.0))[:, None], (8, 8))
    scores = [cube(make_scores, p, f"g{i}", images=96) for i in range(5)]
    growth = of_all(lambda own: growth_table(accuracy_curves(own)), scores)
    found = growth_over_seeds(growth, about_of(*growth["run"].unique())).set_index("measure")
    assert found["n"].to_dict() == pytest.approx(
        {"shape": 1, "color": 1, "size": 1, "joint": 3}, rel=0.2
    )
    assert found["time"].to_numpy() == pytest.approx(2000, rel=0.15)
    assert (found["n_low"] < found["n"]).all() and (found["seeds"] == 5).all()
    late = growth_table(accuracy_curves(cube(make_scores, p / 4, "late")))
    assert late["n"].isna().all() and late["refused"].str.endswith("not through .5").all()
    one = growth_over_seeds(growth[growth["run"] == "g0"], about_of("g0"))
    assert one["n"].notna().all() and one["n_low"].isna().all()
