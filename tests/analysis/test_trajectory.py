import numpy as np
import pandas as pd
import pytest

from analysis.trajectory import (
    accuracy_curves,
    concept_trajectories,
    final_accuracy,
    format_accuracy,
    prompt_effect,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def by_measure(curves: pd.DataFrame, **where: object) -> dict[str, float]:
    for column, value in where.items():
        curves = curves[curves[column] == value]
    return dict(zip(curves["measure"], curves["accuracy"], strict=True))


def test_accuracy_counts_the_right_images(make_scores):
    right = np.ones((1, 1, 4, 2), bool)
    right[0, 0, 0, 0] = right[0, 0, 1, 1] = right[0, 0, 2, 1] = False
    curves = accuracy_curves(make_scores(right, concepts=("hue", "area")), rng=rng())
    assert list(curves["measure"]) == ["hue", "area", "joint"]
    assert by_measure(curves) == {"hue": 0.75, "area": 0.5, "joint": 0.25}


def test_splits_and_steps_are_kept_apart(make_scores):
    right = np.zeros((2, 2, 3, 1), bool)
    right[1, 0] = True
    scores = make_scores(right, concepts=("shape",), splits=("train", "held_out"))
    curves = accuracy_curves(scores, rng=rng())
    assert by_measure(curves, step=1, split="train")["joint"] == 1
    assert by_measure(curves, step=1, split="held_out")["joint"] == 0
    assert by_measure(curves, step=0, split="train")["joint"] == 0
    assert set(curves.loc[curves["step"] == 1, "images_seen"]) == {100}


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_a_null_prediction_is_wrong(make_scores, dtype):
    scores = make_scores(np.ones((1, 1, 4, 1), bool), concepts=("shape",))
    scores["predicted"] = scores["predicted"].where(scores["sample"] > 0, None).astype(dtype)
    assert by_measure(accuracy_curves(scores, rng=rng()))["shape"] == 0.75


@pytest.mark.parametrize("baseline", ["render", "memoriser"])
def test_baselines_are_left_out(make_scores, baseline):
    generated = make_scores(np.zeros((2, 1, 3, 3), bool))
    renders = make_scores(np.ones((1, 1, 3, 3), bool), run=baseline).assign(step=-1)
    scores = pd.concat([renders, generated])
    for table in (accuracy_curves(scores, rng=rng()), concept_trajectories(scores, rng=rng())):
        assert set(table["run"]) == {"seed0"}
        assert set(table["step"]) == {0, 1}
    with pytest.raises(ValueError, match="no generated images"):
        accuracy_curves(renders, rng=rng())


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_interval_is_the_binomial_one(make_scores, p):
    """One concept, one combination: resampling K images is Binomial(K, accuracy) / K."""
    right = np.zeros((1, 1, 400, 1), bool)
    right[0, 0, : int(400 * p)] = True
    curves = accuracy_curves(make_scores(right, concepts=("shape",)), rng=rng(), num_draws=4000)
    half = 1.96 * np.sqrt(p * (1 - p) / 400)
    assert curves["low"].iloc[0] == pytest.approx(p - half, abs=0.1 * half + 1 / 400)
    assert curves["high"].iloc[0] == pytest.approx(p + half, abs=0.1 * half + 1 / 400)


def test_intervals_cover_the_truth_as_often_as_they_say(make_scores):
    """95 % of 300 runs, give or take four standard errors."""
    truth = 0.6
    right = np.random.default_rng(1).random((300, 1, 100, 1)) < truth
    curves = accuracy_curves(make_scores(right, concepts=("shape",)), rng=rng())
    shape = curves[curves["measure"] == "shape"]
    covered = ((shape["low"] <= truth) & (truth <= shape["high"])).mean()
    assert 0.95 - 4 * np.sqrt(0.95 * 0.05 / 300) <= covered <= 1 - 1 / 300


def test_an_index_is_drawn_with_all_its_combinations(make_scores):
    """Two combinations that fail on opposite indices: every draw of indices scores one half."""
    right = np.zeros((1, 2, 20, 1), bool)
    right[0, 0, :10] = right[0, 1, 10:] = True
    curves = accuracy_curves(make_scores(right, concepts=("shape",)), rng=rng())
    assert curves[["low", "accuracy", "high"]].to_numpy() == pytest.approx(0.5)


def test_snapshots_share_the_draw(make_scores):
    """A snapshot right exactly where another is wrong has its mirrored interval."""
    first = np.random.default_rng(2).random((1, 3, 16, 1)) < 0.4
    scores = make_scores(np.concatenate([first, ~first]), concepts=("shape",))
    shape = accuracy_curves(scores, rng=rng()).query("measure == 'shape'").set_index("step")
    assert shape.loc[1, "low"] == pytest.approx(1 - shape.loc[0, "high"], abs=1e-12)
    assert shape.loc[1, "high"] == pytest.approx(1 - shape.loc[0, "low"], abs=1e-12)


def test_more_samples_at_the_last_step(make_scores):
    """64 images at the end, 16 before, of equal accuracy: half as wide, and 16 stay paired."""
    right = np.zeros((3, 1, 64, 1), bool)
    right[:, :, ::2] = True
    scores = make_scores(right, concepts=("shape",))
    scores = scores[(scores["step"] == 2) | (scores["sample"] < 16)]
    curves = accuracy_curves(scores, rng=rng(), num_draws=4000).query("measure == 'shape'")
    width = (curves["high"] - curves["low"]).to_numpy()
    assert list(curves["accuracy"]) == [0.5, 0.5, 0.5]
    assert width[0] == width[1]
    assert width[2] == pytest.approx(width[0] / 2, rel=0.15)


def test_a_split_with_fewer_samples_than_another(make_scores):
    right = np.ones((1, 2, 32, 1), bool)
    scores = make_scores(right, concepts=("shape",), splits=("train", "held_out"))
    scores = scores[(scores["split"] == "held_out") | (scores["sample"] < 1)]
    curves = accuracy_curves(scores, rng=rng())
    assert np.isfinite(curves[["low", "high"]].to_numpy()).all()


def test_runs_are_kept_apart_and_the_generator_decides(make_scores):
    right = np.random.default_rng(3).random((2, 2, 16, 3)) < 0.5
    scores = pd.concat([make_scores(right), make_scores(np.ones_like(right), run="seed1")])
    curves = accuracy_curves(scores, rng=rng())
    assert set(curves.query("run == 'seed1'")["accuracy"]) == {1.0}
    assert curves.query("run == 'seed0' and measure == 'joint'")["accuracy"].max() < 1
    pd.testing.assert_frame_equal(curves, accuracy_curves(scores, rng=rng()))
    shuffled = scores.sample(frac=1, random_state=0).sort_values(
        "concept", key=lambda c: c.map({"shape": 0, "color": 1, "size": 2})
    )
    pd.testing.assert_frame_equal(curves, accuracy_curves(shuffled, rng=rng()))


def test_final_accuracy_is_the_last_step_of_each_run(make_scores):
    short = make_scores(np.ones((2, 1, 2, 1), bool), concepts=("shape",))
    long = make_scores(np.ones((5, 1, 2, 1), bool), concepts=("shape",), run="seed1")
    final = final_accuracy(accuracy_curves(pd.concat([short, long]), rng=rng()))
    assert final.groupby("run")["step"].unique().to_dict() == {"seed0": [1], "seed1": [4]}


def test_coordinates_are_mean_probabilities(make_scores):
    right = np.zeros((1, 2, 4, 2), bool)
    right[0, 0, :3, 0] = right[0, 1, :1, 1] = True
    scores = make_scores(right, concepts=("hue", "area"), splits=("train", "held_out"))
    table = concept_trajectories(scores, rng=rng()).set_index(["combination", "concept"])
    expected = {("c0", "hue"): 3, ("c0", "area"): 0, ("c1", "hue"): 0, ("c1", "area"): 1}
    for key, count in expected.items():
        assert table.loc[key, "coordinate"] == pytest.approx(0.25 + 0.5 * count / 4)
        assert table.loc[key, "low"] <= table.loc[key, "coordinate"] <= table.loc[key, "high"]
    assert table.loc[("c1", "hue"), "split"] == "held_out"
    assert list(concept_trajectories(scores, rng=rng())["concept"][:2]) == ["hue", "area"]


def test_mixed_settings_are_refused(make_scores):
    scores = make_scores(np.ones((1, 1, 4, 1), bool), concepts=("shape",))
    mixed = pd.concat([scores, scores.assign(guidance_scale=3.0, sample=scores["sample"] + 4)])
    with pytest.raises(ValueError, match="several values of guidance_scale in one run"):
        accuracy_curves(mixed, rng=rng())
    with pytest.raises(ValueError, match="4 rows twice"):
        concept_trajectories(pd.concat([scores, scores]), rng=rng())


def test_the_oracles_rows_are_neither_mixed_in_nor_taken_for_probabilities(make_scores):
    scores = make_scores(np.ones((1, 1, 4, 1), bool), concepts=("shape",))
    oracle = scores.assign(probe="oracle", p_target=np.nan)
    for table in (accuracy_curves, concept_trajectories):
        with pytest.raises(ValueError, match="several values of probe in one run"):
            table(pd.concat([scores, oracle]), rng=rng())
    assert by_measure(accuracy_curves(oracle, rng=rng()))["shape"] == 1
    message = "rows without p_target: the oracle's; keep the probe's alone"
    with pytest.raises(ValueError, match=message):
        concept_trajectories(oracle, rng=rng())
    with pytest.raises(ValueError, match=message):
        prompt_effect(oracle)


def test_format_has_a_line_per_split(make_scores):
    right = np.ones((1, 2, 4, 2), bool)
    right[0, 1] = False
    scores = make_scores(right, concepts=("hue", "area"), splits=("train", "held_out"))
    final = final_accuracy(accuracy_curves(scores, rng=rng()))
    header, train, held_out = format_accuracy(final, ["area", "hue"]).splitlines()
    assert header.split() == ["split", "joint", "area", "hue"]
    assert train.split() == ["train", *["1.000", "[0.398,", "1.000]"] * 3]  # .025^(1/4) = .398
    assert held_out.split() == ["held_out", *["0.000", "[0.000,", "0.602]"] * 3]
    two = pd.concat([final, final.assign(run="seed1")])
    assert [line.split()[0] for line in format_accuracy(two, ["hue"]).splitlines()] == [
        *("run", "seed0", "seed0", "seed1", "seed1")
    ]


def test_all_right_or_none_right_has_the_exact_binomial_bound(make_scores):
    """20 of 20: Clopper–Pearson's 95 % interval is (0.8316, 1); 0 of 20 its mirror image."""
    right = np.stack([np.ones((1, 20, 1), bool), np.zeros((1, 20, 1), bool)])
    curves = accuracy_curves(make_scores(right, concepts=("shape",)), rng=rng())
    rows = curves.query("measure == 'shape'").set_index("step")
    assert rows.loc[0, ["low", "high"]].tolist() == pytest.approx([0.8316, 1], abs=1e-4)
    assert rows.loc[1, ["low", "high"]].tolist() == pytest.approx([0, 0.1684], abs=1e-4)


def prompted(asked: str, read: str, step: int = 0, run: str = "a") -> pd.DataFrame:
    """One image per letter: the value asked for and the value read."""
    pairs = zip(asked, read, strict=True)
    rows = [dict(target=a, predicted=r, sample=k) for k, (a, r) in enumerate(pairs)]
    settings = dict(train_seed=0, weights="ema", intervention="none", sampler="ddim")
    settings |= dict(num_inference_steps=1, guidance_scale=1.0, eval_seed=0, probe="p")
    common = dict(run=run, step=step, images_seen=step, split="train", combination="c", prompt="p")
    return pd.DataFrame(rows).assign(concept="shape", p_target=0.5, **settings, **common)


@pytest.mark.parametrize(
    "asked, read, effect",
    [
        ("xxyy", "xxyy", 1.0),  # obeyed
        ("xxyy", "xyxy", 0.0),  # no effect
        ("xxyy", "xxxx", 0.0),  # one value whatever is asked
        ("xxyy", "yyxx", -1.0),  # contrary
        ("xxyyzz", "xxyyzx", (0.75 + 1 + 0.5) / 3),
    ],
)
def test_effect_of_prompts(asked, read, effect):
    assert prompt_effect(prompted(asked, read))["shape"] == pytest.approx(effect)


def test_the_effect_is_that_of_the_last_step_of_each_run():
    scores = pd.concat(
        [
            prompted("xy", "yx", step=0),
            prompted("xy", "xy", step=4),
            prompted("xy", "yx", step=2, run="b"),
        ]
    )
    assert prompt_effect(scores)["shape"] == 0
    assert prompt_effect(prompted("xx", "xx")).empty


def test_prompts_have_an_effect_on_images_that_are_read_as_no_scene():
    """red, blue and blue are likeliest, asked for red, blue and red: effects of 1/2 each."""
    p = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
    scores = prompted("xyx", "xyy").assign(
        predicted=["x", None, None], probabilities=p, p_target=[0.9, 0.8, 0.3]
    )
    assert prompt_effect(scores)["shape"] == pytest.approx(0.5)
