import numpy as np
import pandas as pd
import pytest

from analysis.tables.trajectory import (
    accuracy_curves,
    accuracy_sentence,
    concept_trajectories,
    final_accuracy,
    format_accuracy,
    mean_over_runs,
    prompt_effect,
)


def by_measure(curves: pd.DataFrame, **where: object) -> dict[str, float]:
    for column, value in where.items():
        curves = curves[curves[column] == value]
    return dict(zip(curves["measure"], curves["accuracy"], strict=True))


def test_accuracy_counts_the_right_images(make_scores):
    right = np.ones((1, 1, 4, 2), bool)
    right[0, 0, 0, 0] = right[0, 0, 1, 1] = right[0, 0, 2, 1] = False
    curves = accuracy_curves(make_scores(right, concepts=("hue", "area")))
    assert list(curves["measure"]) == ["hue", "area", "joint"]
    assert by_measure(curves) == {"hue": 0.75, "area": 0.5, "joint": 0.25}


def test_splits_and_steps_are_kept_apart(make_scores):
    right = np.zeros((2, 2, 3, 1), bool)
    right[1, 0] = True
    scores = make_scores(right, concepts=("shape",), splits=("train", "held_out"))
    curves = accuracy_curves(scores)
    assert by_measure(curves, step=1, split="train")["joint"] == 1
    assert by_measure(curves, step=1, split="held_out")["joint"] == 0
    assert by_measure(curves, step=0, split="train")["joint"] == 0
    assert set(curves.loc[curves["step"] == 1, "images_seen"]) == {100}


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_a_null_prediction_is_wrong(make_scores, dtype):
    scores = make_scores(np.ones((1, 1, 4, 1), bool), concepts=("shape",))
    scores["predicted"] = scores["predicted"].where(scores["sample"] > 0, None).astype(dtype)
    assert by_measure(accuracy_curves(scores))["shape"] == 0.75


@pytest.mark.parametrize("baseline", ["render", "memoriser"])
def test_baselines_are_left_out(make_scores, baseline):
    generated = make_scores(np.zeros((2, 1, 3, 3), bool))
    renders = make_scores(np.ones((1, 1, 3, 3), bool), run=baseline).assign(step=-1)
    scores = pd.concat([renders, generated])
    for table in (accuracy_curves(scores), concept_trajectories(scores)):
        assert set(table["run"]) == {"seed0"}
        assert set(table["step"]) == {0, 1}
    with pytest.raises(ValueError, match="no generated images"):
        accuracy_curves(renders)


@pytest.mark.parametrize(
    "combinations, images, wrong, low, high",
    [  # Clopper and Pearson's 95 % interval
        (6, 64, 1, 0.98558, 0.99993),
        (1, 64, 1, 0.91599, 0.99960),
        (6, 1, 1, 0.35877, 0.99579),
        (1, 20, 0, 0.83157, 1),
        (1, 20, 20, 0, 0.16843),
    ],
)
def test_interval_is_the_exact_one_of_all_images(
    make_scores, combinations, images, wrong, low, high
):
    right = (np.arange(combinations * images) >= wrong).reshape(1, combinations, images, 1)
    curves = accuracy_curves(make_scores(right, concepts=("shape",)))
    assert curves["low"].tolist() == pytest.approx([low] * 2, abs=1e-5)
    assert curves["high"].tolist() == pytest.approx([high] * 2, abs=1e-5)


@pytest.mark.parametrize("images, combinations", [(8, 1), (8, 8), (64, 1)])
@pytest.mark.parametrize("truth", [0.6, 0.98])
def test_intervals_cover_the_truth_as_often_as_they_say(make_scores, images, combinations, truth):
    """95 % and more of 300 runs, less four standard errors: each image has noise of its own."""
    right = np.random.default_rng(1).random((300, combinations, images, 1)) < truth
    shape = accuracy_curves(make_scores(right, concepts=("shape",))).query("measure == 'shape'")
    covered = ((shape["low"] <= truth) & (truth <= shape["high"])).mean()
    assert covered >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 300)


def test_combinations_of_unlike_chances_are_covered_too(make_scores):
    """Fixed combinations, some of which always fail, vary less than images of a common chance."""
    chances = np.array([0.02, 0.5, 0.9, 0.99])[:, None, None]
    right = np.random.default_rng(2).random((300, 4, 8, 1)) < chances
    shape = accuracy_curves(make_scores(right, concepts=("shape",))).query("measure == 'shape'")
    covered = ((shape["low"] <= chances.mean()) & (chances.mean() <= shape["high"])).mean()
    assert covered >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 300)


def test_more_samples_at_the_last_step(make_scores):
    """64 images at the end, 16 before, of equal accuracy: about half as wide."""
    right = np.zeros((3, 1, 64, 1), bool)
    right[:, :, ::2] = True
    scores = make_scores(right, concepts=("shape",))
    scores = scores[(scores["step"] == 2) | (scores["sample"] < 16)]
    curves = accuracy_curves(scores).query("measure == 'shape'")
    width = (curves["high"] - curves["low"]).to_numpy()
    assert list(curves["accuracy"]) == [0.5, 0.5, 0.5]
    assert width[0] == width[1]
    assert width[2] == pytest.approx(width[0] / 2, rel=0.15)


def test_a_split_with_fewer_samples_than_another(make_scores):
    right = np.ones((1, 2, 32, 1), bool)
    scores = make_scores(right, concepts=("shape",), splits=("train", "held_out"))
    scores = scores[(scores["split"] == "held_out") | (scores["sample"] < 1)]
    curves = accuracy_curves(scores)
    assert np.isfinite(curves[["low", "high"]].to_numpy()).all()


def test_runs_are_kept_apart_whatever_the_order_of_rows(make_scores):
    right = np.random.default_rng(3).random((2, 2, 16, 3)) < 0.5
    scores = pd.concat([make_scores(right), make_scores(np.ones_like(right), run="seed1")])
    curves = accuracy_curves(scores)
    assert set(curves.query("run == 'seed1'")["accuracy"]) == {1.0}
    assert curves.query("run == 'seed0' and measure == 'joint'")["accuracy"].max() < 1
    pd.testing.assert_frame_equal(curves, accuracy_curves(scores))
    shuffled = scores.sample(frac=1, random_state=0).sort_values(
        "concept", key=lambda c: c.map({"shape": 0, "color": 1, "size": 2})
    )
    pd.testing.assert_frame_equal(curves, accuracy_curves(shuffled))


def test_a_sentence_says_the_last_accuracy_with_its_interval(make_scores):
    right = np.ones((2, 2, 8, 3), bool)
    right[1, 1, :4, 0] = False
    scores = make_scores(right, splits=("train", "held_out"))
    assert accuracy_sentence(final_accuracy(accuracy_curves(scores))) == (
        "Share of images in which all is read as asked at step 1: "
        "training combinations 1.000 [.631, 1.000], held-out combinations .500 [.157, .843]."
    )


def test_final_accuracy_is_the_last_step_of_each_run(make_scores):
    short = make_scores(np.ones((2, 1, 2, 1), bool), concepts=("shape",))
    long = make_scores(np.ones((5, 1, 2, 1), bool), concepts=("shape",), run="seed1")
    final = final_accuracy(accuracy_curves(pd.concat([short, long])))
    assert final.groupby("run")["step"].unique().to_dict() == {"seed0": [1], "seed1": [4]}


def test_coordinates_are_mean_probabilities(make_scores):
    right = np.zeros((1, 2, 4, 2), bool)
    right[0, 0, :3, 0] = right[0, 1, :1, 1] = True
    scores = make_scores(right, concepts=("hue", "area"), splits=("train", "held_out"))
    table = concept_trajectories(scores).set_index(["combination", "concept"])
    expected = {("c0", "hue"): 3, ("c0", "area"): 0, ("c1", "hue"): 0, ("c1", "area"): 1}
    for key, count in expected.items():
        assert table.loc[key, "coordinate"] == pytest.approx(0.25 + 0.5 * count / 4)
        assert table.loc[key, "low"] <= table.loc[key, "coordinate"] <= table.loc[key, "high"]
    assert table.loc[("c1", "hue"), "split"] == "held_out"
    assert list(concept_trajectories(scores)["concept"][:2]) == ["hue", "area"]


@pytest.mark.parametrize("images", [1, 8, 64])
@pytest.mark.parametrize("spread", [0.02, 2.0])
def test_paths_cover_the_mean_probability(make_scores, images, spread):
    """Probabilities of mean .9, of an instrument that is nearly always sure or hardly ever."""
    p = np.random.default_rng(3).beta(0.9 * spread, 0.1 * spread, (300, images))
    scores = make_scores(np.ones((300, 1, images, 1), bool), concepts=("shape",))
    path = concept_trajectories(scores.assign(p_target=p.ravel()))
    covered = ((path["low"] <= 0.9) & (0.9 <= path["high"])).mean()
    assert covered >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 300)
    assert path["coordinate"].to_numpy() == pytest.approx(p.mean(1))
    assert (path["low"] < path["high"]).all()


def test_mixed_settings_are_refused(make_scores):
    scores = make_scores(np.ones((1, 1, 4, 1), bool), concepts=("shape",))
    mixed = pd.concat([scores, scores.assign(guidance_scale=3.0, sample=scores["sample"] + 4)])
    with pytest.raises(ValueError, match="several values of guidance_scale in one run"):
        accuracy_curves(mixed)
    with pytest.raises(ValueError, match="4 rows twice"):
        concept_trajectories(pd.concat([scores, scores]))


def test_the_oracles_rows_are_neither_mixed_in_nor_taken_for_probabilities(make_scores):
    scores = make_scores(np.ones((1, 1, 4, 1), bool), concepts=("shape",))
    oracle = scores.assign(probe="oracle", p_target=np.nan)
    for table in (accuracy_curves, concept_trajectories):
        with pytest.raises(ValueError, match="several values of probe in one run"):
            table(pd.concat([scores, oracle]))
    assert by_measure(accuracy_curves(oracle))["shape"] == 1
    message = "rows without p_target: the oracle's; keep the probe's alone"
    with pytest.raises(ValueError, match=message):
        concept_trajectories(oracle)
    with pytest.raises(ValueError, match=message):
        prompt_effect(oracle)


def test_format_has_a_line_per_split(make_scores):
    right = np.ones((1, 2, 4, 2), bool)
    right[0, 1] = False
    scores = make_scores(right, concepts=("hue", "area"), splits=("train", "held_out"))
    final = final_accuracy(accuracy_curves(scores))
    header, train, held_out = format_accuracy(final, ["area", "hue"]).splitlines()
    assert header.split() == ["split", "joint", "area", "hue"]
    assert train.split() == ["train", *["1.000", "[0.398,", "1.000]"] * 3]  # .025^(1/4) = .398
    assert held_out.split() == ["held_out", *["0.000", "[0.000,", "0.602]"] * 3]
    two = pd.concat([final, final.assign(run="seed1")])
    assert [line.split()[0] for line in format_accuracy(two, ["hue"]).splitlines()] == [
        *("run", "seed0", "seed0", "seed1", "seed1")
    ]


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


def test_concepts_of_a_single_value_have_no_effect():
    one, two = prompted("xx", "xx").assign(concept="color"), prompted("xy", "xy")
    assert prompt_effect(pd.concat([one, two])).to_dict() == {"shape": 1.0}
    assert prompt_effect(one).to_dict() == {}


def test_prompts_have_an_effect_on_images_that_are_read_as_no_scene():
    """red, blue and blue are likeliest, asked for red, blue and red: effects of 1/2 each."""
    p = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
    scores = prompted("xyx", "xyy").assign(
        predicted=["x", None, None], probabilities=p, p_target=[0.9, 0.8, 0.3]
    )
    assert prompt_effect(scores)["shape"] == pytest.approx(0.5)


def test_a_mean_over_runs_is_of_what_every_run_has():
    rows = [("a", 0, 0.2), ("b", 0, 0.6), ("a", 1, 0.9)]
    table = pd.DataFrame(rows, columns=["run", "step", "accuracy"])
    assert mean_over_runs(table, ["step"], "accuracy").to_dict() == {0: pytest.approx(0.4)}
