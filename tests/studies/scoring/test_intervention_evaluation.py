"""Interventions at every snapshot: drawn from the captions' noise, scored, verified, reported."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.measures.intervals import mean_over_seeds
from analysis.tables.denoiser import obedience_curves
from classifiers.scores import KEY
from diffusion.pipeline import ConceptPipeline
from ground.endings import Mistake
from studies import stages
from studies.experiment.config import Config, read_config
from studies.run.directory import RunDir
from studies.run.measured import DENOISER
from studies.run.null_condition import check_null
from studies.run.opened import Experiment
from studies.run.plans import make_plans, shown_plans
from studies.run.samples import load_samples
from studies.scoring.evaluate import _common
from studies.scoring.intervening import Intervening
from studies.scoring.measurements.denoiser import DenoiserReadings
from studies.scoring.measurements.measurement import Subject
from studies.scoring.watching import _look
from studies.verify.verify import verify
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.intervention_config import Guidance, Latent, OverPrompt, Patch, Switch
from tests.harness.evaluations import changed, copy, files, quiet, side_by_side, sides
from tests.harness.opened import opened

pytestmark = pytest.mark.slow

SAME = (  # that change nothing: at both snapshots, and at the last one
    OverPrompt(concept="color", factor=1.0),
    Latent(alpha=0.0),
    Guidance(scale=1.0),
    Switch(concept="color", at=0.0),
)
OTHER = (
    OverPrompt(concept="color", factor=4.0),
    Latent(alpha=3.0, concepts=("color",)),
    Latent(alpha=3.0),
    Guidance(scale=0.0),
    Guidance(scale=3.0),
    Switch(concept="size", at=0.5),
)
PATCH = Patch()
COUNT, SETTINGS = 9, DenoiserConfig((0.05,), scenes=4, training_scenes=2, renders=400)


@pytest.fixture(scope="module")
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    parts = {
        "world": replace(config.world, num_images=32),
        "train": replace(
            config.train,
            **dict(max_steps=4, batch_size=4, snapshots="0, 2", state_every=4, threads=1),
            cond_dropout=0.1,
        ),
        "probe": replace(config.probe, steps=2, batch_size=8, gate=0.0, certificate_images=64),
        "evaluate": replace(
            config.evaluate,
            **dict(num_inference_steps=2, snapshots="0, 4", weights="raw", oracle=False),
            **dict(images_per_combination=COUNT, final_images_per_combination=COUNT),
            denoiser=SETTINGS,
        ),
    }
    return replace(config, **parts)


@pytest.fixture(scope="module", params=["captions", pytest.param("vector", marks=pytest.mark.slow)])
def asking(request, config) -> Config:
    model = replace(config.model, conditioning=request.param)
    asked = (*SAME, *OTHER, PATCH)
    return changed(replace(config, model=model), interventions=asked)


@pytest.fixture(scope="module")
def plain(asking, tmp_path_factory) -> RunDir:
    """Trained, and scored with the captions alone."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    experiment = Experiment(changed(asking, interventions=()), run)
    stages.claim(experiment)
    for stage in (stages.probe_stage, stages.train_stage, stages.evaluate_stage):
        stage(experiment, quiet)
    return run


@pytest.fixture(scope="module")
def made(plain, asking, tmp_path_factory) -> RunDir:
    """A copy on which the interventions were made later."""
    run = copy(plain, tmp_path_factory.mktemp("made") / "runs")
    stages.evaluate_stage(Experiment(asking, run), quiet)
    return run


def images(run: RunDir, config: Config, name: str = "none") -> np.ndarray:
    """Of the held-out combination, by snapshot."""
    plans = shown_plans(config, name)
    return np.stack([load_samples(plan.samples_file(run))[-1] for plan in plans])


def test_interventions_add_to_what_is_there(plain, made, asking):
    before, after = files(plain), files(made)
    assert before.items() <= after.items()
    made_of = len(SAME) + len(OTHER) + 1
    assert len(after) == len(before) + made_of * 2 * 2  # snapshots; samples and scores
    assert [finding.line() for finding in verify(made) if finding.level != "note"] == []
    said: list[str] = []
    stages.evaluate_stage(Experiment(asking, made), said.append)
    assert said[-1].startswith("evaluate: finished before")


def test_what_changes_nothing_keeps_every_byte(made, asking):
    """A switch at the first step is the caption, byte for byte."""
    captions = images(made, asking)
    for one in SAME:
        if one.kind != "over_prompt":
            assert np.array_equal(images(made, asking, one.name), captions), one.name
    (patched,) = [p for p in shown_plans(asking) if p.step == 4]
    own = replace(patched, intervention="conditioner of step 4")
    assert np.array_equal(load_samples(own.samples_file(made))[-1], captions[-1])
    over = images(made, asking, SAME[0].name).astype(int)  # numbers that round otherwise
    assert abs(over - captions).max() <= 1


def test_others_draw_other_images_from_the_same_noise(made, asking):
    captions = images(made, asking)
    drawn = {one.name: images(made, asking, one.name) for one in OTHER}
    for name, own in drawn.items():
        assert own.shape == captions.shape == (2, COUNT, 16, 16, 3), name
        assert (own != captions).any(axis=(2, 3, 4)).mean() > 0.5, name
    assert len({own.tobytes() for own in drawn.values()}) == len(OTHER)


def test_scores_name_what_was_done(made, asking):
    scores = pd.read_parquet(made.scores)
    assert not scores.duplicated(list(KEY)).any()
    rows = scores[(scores["run"] == "tiny") & (scores["intervention"] != "none")]
    names = [one.name for one in (*SAME, *OTHER)] + ["conditioner of step 4"]
    assert {*rows["intervention"]} == {*names}
    assert rows.groupby("intervention").size().unique().tolist() == [2 * COUNT * 3]
    assert {*rows["combination"]} == {"square blue small"} and {*rows["split"]} == {"held_out"}
    assert {*rows.loc[rows["intervention"] == "guidance 3", "guidance_scale"]} == {3.0}
    assert {*rows["prompt"]} == {"a small blue square"}


def test_two_sides_draw_what_one_process_does(plain, made, asking, tmp_path):
    run = copy(plain, tmp_path / "runs")
    side_by_side(sides(run, asking, 2), lambda evaluator: evaluator.evaluate(evaluator.missing()))
    assert files(run) == files(made)


def test_a_patch_waits_for_the_snapshot_that_it_takes_from(plain, asking, tmp_path):
    run = copy(plain, tmp_path / "runs")
    (run.snapshots / "step_00000004").rename(run.path / "hidden")
    (evaluator,) = sides(run, asking, 1)
    missing, ready = side_by_side([evaluator], lambda one: _look(one, "running"))[0]
    patches = [job for job in missing if job.plan.intervention == "conditioner of step 4"]
    assert len(patches) == 2 and not {*map(id, patches)} & {*map(id, ready)}
    assert {job.plan.step for job in ready} == {0}


def test_the_report_says_what_is_elicited_and_decided(made, asking):
    said: list[str] = []
    stages.report_stage(Experiment(asking, made), said.append)
    assert any("latent color 3" in line for line in said)
    figures = {path.stem for path in made.figures.glob("*.png")}
    assert {"switch", "prompts"} <= figures
    html = made.report.read_text()
    assert "When is a concept decided in sampling?" in html and "over-prompt color x4" in html
    assert "elicited before prompted" not in html  # one snapshot has a time


def test_the_denoiser_is_measured_under_what_changes_its_answer(made):
    rows = pd.read_parquet(made.table(DENOISER))
    asked = {one.name for one in (*SAME, *OTHER) if one.kind != "switch"}
    assert {*rows["intervention"]} == {"none", "conditioner of step 4", *asked}
    own = rows[rows["split"] == "held_out"].set_index("intervention")
    assert {*rows.loc[rows["intervention"] != "none", "combination"]} == {"square blue small"}
    for name in ("latent all 0", "guidance 1"):
        for column in ("response", "offset", "error"):
            np.testing.assert_allclose(own.loc[name, column], own.loc["none", column], atol=1e-6)
    last = own[own["step"] == 4]
    assert last.loc["conditioner of step 4", "response"].equals(
        last.loc["none", "response"].set_axis(["conditioner of step 4"] * 12)
    )
    assert (own.loc["latent color 3", "response"].to_numpy() != own.loc["none", "response"]).any()


def test_a_guided_answer_lies_on_the_line_from_the_null(made):
    rows = pd.read_parquet(made.table(DENOISER))
    own = rows[(rows["split"] == "held_out") & (rows["step"] == 4)].set_index("intervention")
    null, once, thrice = (
        own.loc[name, "offset"].to_numpy() for name in ("guidance 0", "none", "guidance 3")
    )
    np.testing.assert_allclose(thrice, null + 3 * (once - null), atol=1e-6)
    assert not np.allclose(null, once, atol=1e-6)


def test_networks_that_have_learned_nothing_are_elicited_nothing(config):
    """Control: under no intervention does the answer of networks at step 0 follow a word, on
    average over seeds."""
    asked = (OverPrompt(concept="color", factor=3.0), Latent(alpha=2.0))
    whole = changed(config, interventions=asked, denoiser=replace(SETTINGS, renders=1500))
    whole = replace(whole, model=replace(whole.model, conditioning="vector"))
    measuring, found = DenoiserReadings(opened(whole)), []
    for seed in range(8):
        experiment = measuring.experiment.changed(replace(whole, seed=seed))
        model = ConceptPipeline.of(experiment.new_model(), experiment.task.conditioning.prompts)
        for plan in [p for p in make_plans(whole) if p.step == 0 and p.intervention != "none"]:
            subject = Subject(plan, torch.empty(0), [], [], _common(plan), lambda m=model: m)
            curves = obedience_curves(measuring.measure(subject))
            found.append(curves.set_index("concept")["obedience"].rename(plan.intervention))
    table = pd.concat(found, axis=1).T
    for name, values in table.groupby(level=0):
        for concept in values:
            low, high = mean_over_seeds(values[concept].to_numpy(), rng=np.random.default_rng(0))
            assert low < 0.05 and high > -0.05, (name, concept)


def test_guidance_needs_a_null_that_was_learned(config, tmp_path):
    train = replace(config.train, cond_dropout=0.0)
    asking = changed(replace(config, train=train), interventions=(PATCH, Guidance(scale=3.0)))
    with pytest.raises(Mistake, match=r"\[1\].scale: got 3, allowed 1 with train.cond_dropout"):
        check_null(asking, RunDir(tmp_path))


def test_a_switch_begins_with_each_other_value_in_turn(root):
    config = read_config(root / "configs" / "quickstart.yaml")
    asking = changed(config, interventions=(Switch(concept="shape", at=0.5),))
    (plan, *_) = shown_plans(asking, "switch shape at 0.5")
    experiment = opened(asking)
    before, share = Intervening(experiment).asked_before(replace(plan, images_per_combination=3))
    question = experiment.exam.questions[plan.intervention][0]
    own, values = question.targets["shape"], config.world.concepts["shape"].values
    others = [question.prompt.replace(own, value) for value in values if value != own]
    assert share == 0.5 and before[:3] == [others[0], others[1], others[0]]
