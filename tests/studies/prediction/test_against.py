"""Predictions against runs whose learning times are planted, and refusals."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_gen.concepts import Concept
from data_gen.world import WorldConfig
from diffusion.model_config import ModelConfig
from ground.endings import Mistake
from studies.experiment.config import Config
from studies.prediction import against
from studies.prediction.against import Comparison, Learned, compare, open_runs
from studies.prediction.command import say_prediction
from studies.prediction.prediction import ConceptPrediction
from studies.prediction.printed import comparison_lines
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from tests.analysis.conftest import make_denoiser_rows

CONCEPTS = {
    "color": Concept(("red", "blue"), signal=0.4),
    "size": Concept(("big", "small"), signal=0.4),
}
WORLD = WorldConfig(concepts=CONCEPTS, held_out=("blue small",), image_size_px=8, num_images=200)
VECTOR = ModelConfig("tiny", conditioning="vector")
STEPS = (0, 100, 200, 400, 800)
LEVELS = (0.5,)


def config(name: str, signal: float = 0.4, **world) -> Config:
    concepts = {**CONCEPTS, "color": Concept(("red", "blue"), signal=signal)}
    return Config(name, replace(WORLD, concepts=concepts, **world), model=VECTOR)


def scores(learned: Mapping[str, float], steps=STEPS) -> pd.DataFrame:
    """Held-out images that are all right from a step on; training ones always."""
    settings = dict(
        **dict(train_seed=0, weights="raw", intervention="none", sampler="ddim"),
        **dict(num_inference_steps=2, guidance_scale=1.0, eval_seed=0, probe="p", run="a"),
    )
    rows = [
        dict(
            **dict(step=step, images_seen=step, split=split, combination=split, prompt=split),
            **dict(sample=sample, concept=concept, target="yes", p_target=0.5),
            predicted="yes" if split == "train" or step >= learned[concept] else "no",
        )
        for step in steps
        for split in ("train", "held_out")
        for sample in range(4)
        for concept in learned
    ]
    return pd.DataFrame(rows).assign(**settings)


@pytest.fixture
def make_runs(tmp_path, monkeypatch):
    """Run directories with configs, and the scores that are to be read from each."""
    planted: dict[str, pd.DataFrame] = {}

    def make(*runs: tuple[Config, pd.DataFrame]) -> list[Path]:
        for one, table in runs:
            RunDir(tmp_path / one.name).claim(one)
            planted[one.name] = table
        return [tmp_path / one.name for one, _ in runs]

    monkeypatch.setattr(Experiment, "probe_name", property(lambda self: "p"))
    monkeypatch.setattr(Experiment, "planned_scores", lambda self, probe: planted[self.label])
    return make


def compared(paths: list[Path]) -> Comparison:
    return compare(open_runs(config("x").terms, paths), LEVELS)


def test_learning_times_are_those_of_what_is_held_out(make_runs):
    early, late = {"color": 400.0, "size": 50.0}, {"color": math.inf, "size": 200.0}
    paths = make_runs((config("a"), scores(early)), (config("b", 0.2), scores(late)))
    found = compared(paths)
    between = 200 * 2**0.8  # where a straight line in ln t from 0 to 1 is at .8
    assert found.learned[LEVELS[0]][0].steps == {"color": pytest.approx(between), "size": 0.0}
    assert found.learned[LEVELS[0]][1].steps == {
        "color": math.inf,
        "size": pytest.approx(100 * 2**0.8),
    }
    assert found.learned[LEVELS[0]][0].ends == (100, 800)
    weak, strong = (prediction[0] for prediction in reversed(found.predictions))
    assert weak.concept == strong.concept == "color" and weak.a_k < strong.a_k


def test_by_the_denoiser_times_are_those_of_obedience_at_the_same_level(make_runs, monkeypatch):
    planted = make_denoiser_rows(np.array([[0, 0], [0.2, 0.4], [0.4, 0.8], [0.6, 0.9]]))
    monkeypatch.setattr(against, "denoiser_rows", lambda experiment: planted)
    runs = open_runs(config("x").terms, make_runs((config("a"), pd.DataFrame())))
    (level,) = planted["level"].unique()
    found = compare(runs, (level,), "denoiser")
    assert found.learned[level][0].steps == {
        "color": pytest.approx(2 * 1.5**0.5),  # half between .4 and .6, in ln t
        "size": pytest.approx(2**0.25),
    }
    assert f"steps at which obedience reaches .5, signal fraction {level:g}" in comparison_lines(
        found
    )
    with pytest.raises(Mistake, match="--levels: 0.9 was not measured on what a never saw; of"):
        compare(runs, (0.9,), "denoiser")
    monkeypatch.setattr(against, "denoiser_rows", lambda experiment: pd.DataFrame())
    with pytest.raises(Mistake, match="--by: a has no table denoiser"):
        compare(runs, (level,), "denoiser")


def test_runs_of_one_world_are_predicted_once(make_runs, monkeypatch):
    calls: list[float] = []
    real = against.predict
    monkeypatch.setattr(against, "predict", lambda *a: calls.append(1.0) or real(*a))
    learned = scores({"color": 400.0, "size": 200.0})
    paths = make_runs(*((config(name), learned) for name in "abc"))
    assert len(compared(paths).predictions) == 3 and len(calls) == 1


def prediction(concept: str, time: float, a_k: float) -> ConceptPrediction:
    return ConceptPrediction(concept, 0.5, time, 1.0, a_k, 1.0, 1.0, 1.0)


def planted(runs: int) -> Comparison:
    """The linear denoiser is right of every run and a_k wrong; variances tell nothing."""
    times = np.arange(1.0, 2 * runs + 1).reshape(runs, 2)
    predictions = [[prediction("color", a, a), prediction("size", b, b)] for a, b in times.tolist()]
    learned = [
        Learned(f"r{i}", {"size": 10 * b, "color": 10 * a}, (100, 800))
        for i, (a, b) in enumerate(times.tolist())
    ]
    return Comparison(predictions, {0.5: learned})


def test_a_theory_that_is_right_has_rank_correlation_1_and_its_opposite_minus_1():
    lines = comparison_lines(planted(8))
    assert "the linear denoiser, signal fraction 0.5: 1.00 [1.00, 1.00]" in lines
    assert "a_k: -1.00 [-1.00, -1.00]" in lines
    assert "variance: none, all are equal" in lines
    assert "r0: size 20, color 10" in lines
    assert not any(line.startswith("no intervals") for line in lines)


def test_few_runs_have_no_interval():
    lines = comparison_lines(planted(3))
    assert "the linear denoiser, signal fraction 0.5: 1.00" in lines
    assert lines[-1] == "no intervals: 3 runs, allowed are 8 and more"


def test_all_is_printed_and_written_beside_the_export(make_runs, tmp_path):
    paths = make_runs((config("a"), scores({"color": math.inf, "size": 200.0})))
    world, lines = config("x").terms, []
    images = world.images(world.with_files())
    say_prediction(world, images, VECTOR, LEVELS, paths, "probe", tmp_path / "out", lines.append)
    assert "a: color not by the last, size 174" in lines[1]
    data = json.loads((tmp_path / "out.prediction.json").read_text())
    (learned,) = data["learned"]
    assert learned == {"run": "a", "alpha_bar": None, "color": None, "size": pytest.approx(174.11)}
    assert [row["concept"] for row in data["predictions"]] == ["color", "size"]
    assert data["rank_correlations"][0]["theory"] == "the linear denoiser"
    assert data["rank_correlations"][0]["low"] is None


def test_runs_that_cannot_be_ranked_together_are_refused(make_runs):
    learned = scores({"color": 400.0, "size": 200.0})
    never = scores({"color": math.inf, "size": 200.0}, STEPS[:-1])
    other = config("other", held_out=())
    paths = make_runs((config("a"), learned), (config("b"), never), (other, learned))
    world = config("x").terms
    with pytest.raises(Mistake, match="--against: .*/a is given twice"):
        open_runs(world, [paths[0], paths[0]])
    with pytest.raises(Mistake, match="--against: .*/other has other values or another split"):
        open_runs(world, [paths[0], paths[2]])
    with pytest.raises(Mistake, match="--against: b learned a concept before its first or after"):
        compared(paths[:2])
    with pytest.raises(Mistake, match="none: not a run directory"):
        open_runs(world, [Path("none")])
