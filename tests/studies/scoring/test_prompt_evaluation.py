"""Other prompts at every snapshot: drawn from the captions' noise, beside what is there already."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from classifiers.scores import KEY, read_part, write_part
from diffusion.pipeline import ConceptPipeline
from ground.endings import Mistake, Preempted
from ground.files import write_json
from studies import stages
from studies.cli import with_named_prompts
from studies.dry_run import describe_plan
from studies.experiment.config import Config, EvaluateConfig, read_config
from studies.forecast import sample_bytes
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import make_plans, memoriser_plan, render_plan, shown_plans
from studies.run.samples import load_samples, save_tile
from studies.scoring import watching
from studies.scoring.evaluate import Evaluator
from studies.scoring.noise import paired_noise
from studies.verify.verify import verify
from studies.worlds.prompt_sets import all_questions
from tests.harness.evaluations import Training, changed, copy, files, quiet, side_by_side, sides
from tests.harness.opened import opened

pytestmark = pytest.mark.slow

CAPTIONS = "a {size} {color} {shape}"
PAIRS, SHAPES = "a {color} {shape} AND a {size} {shape}:2", "a {color} {shape}"
SETS = {"pairs": PAIRS, "shapes": SHAPES}
TILES = 6  # of steps 0 and 4: pairs 64 and 8 images, shapes 36


@pytest.fixture(scope="module")
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    parts = {
        "world": replace(config.world, num_images=32),
        "train": replace(
            config.train, max_steps=4, batch_size=4, snapshots="0, 2", state_every=4, threads=1
        ),
        "probe": replace(config.probe, steps=2, batch_size=8, gate=0.0, certificate_images=64),
        "evaluate": replace(
            config.evaluate,
            **dict(num_inference_steps=1, snapshots="0"),
            **dict(images_per_combination=9, final_images_per_combination=9),
        ),
    }
    return replace(config, **parts)


@pytest.fixture(scope="module")
def asking(config) -> Config:
    return changed(config, prompts=SETS)


@pytest.fixture(scope="module")
def plain(config, tmp_path_factory) -> RunDir:
    """Trained, and scored with the captions alone."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    stages.claim(Experiment(config, run))
    for stage in (stages.probe_stage, stages.train_stage, stages.evaluate_stage):
        stage(Experiment(config, run), quiet)
    return run


@pytest.fixture(scope="module")
def asked(plain, asking, tmp_path_factory) -> RunDir:
    """A copy that was asked the sets later, by one process."""
    run = copy(plain, tmp_path_factory.mktemp("asked") / "runs")
    stages.evaluate_stage(Experiment(asking, run), quiet)
    return run


@pytest.fixture
def run(plain, tmp_path) -> RunDir:
    return copy(plain, tmp_path / "runs")


@pytest.fixture
def drawn(monkeypatch) -> list[str]:
    """The tiles that are drawn from here on."""
    names: list[str] = []

    def save(path, images, snapshot):
        names.append(f"{path.parent.name}/{path.name}")
        save_tile(path, images, snapshot)

    monkeypatch.setattr("studies.scoring.evaluate.save_tile", save)
    return names


def test_a_set_asked_later_is_all_that_is_drawn(run, asking, asked, drawn):
    before = files(run)
    stages.evaluate_stage(Experiment(asking, run), quiet)
    assert len(drawn) == TILES and before.items() <= files(run).items()
    assert {name.split("-")[0] for name in drawn} == {*SETS}
    assert len(files(run)) == len(before) + 12  # two sets, two steps: samples and two scores
    stages.evaluate_stage(Experiment(asking, run), quiet)
    assert len(drawn) == TILES and files(run) == files(asked)
    assert [finding.line() for finding in verify(run)] == []


def test_scores_say_what_was_asked_and_by_which_set(asked):
    scores = pd.read_parquet(asked.scores)
    assert not scores.duplicated(list(KEY)).any()
    rows = scores[scores["run"] == "tiny"].groupby("intervention")  # of two instruments
    assert rows.size().to_dict() == {
        "none": 2 * 2 * 8 * 9 * 3,
        "pairs": 2 * 2 * 8 * 9 * 3,
        "shapes": 2 * 2 * 4 * 9 * 2,
    }
    own = scores[scores["intervention"] == "pairs"].query("combination == 'square blue small'")
    assert {*own["prompt"]} == {"a blue square AND a small square:2"}
    assert {*own["split"]} == {"held_out"} and {*own["concept"]} == {"shape", "color", "size"}
    own = scores[scores["intervention"] == "shapes"]
    assert {*own["split"]} == {"partial"} and {*own["concept"]} == {"shape", "color"}
    assert (own["combination"] == own["prompt"].str.split().str[:0:-1].str.join(" ")).all()


def test_other_ways_of_asking_the_same_draw_the_same_images(run, config):
    """The captions' own template; and a term of no weight, which asks nothing of the network."""
    stages.evaluate_stage(
        Experiment(
            changed(config, prompts={"same": CAPTIONS, "more": f"{CAPTIONS} AND a {{shape}}:0"}),
            run,
        ),
        quiet,
    )
    for plan in shown_plans(config):
        captions = load_samples(plan.samples_file(run))
        for name in ("same", "more"):
            other = replace(plan, intervention=name)
            assert np.array_equal(load_samples(other.samples_file(run)), captions)


def test_partial_prompts_start_from_the_noise_of_their_first_combination(asked, config):
    (plan, *_) = shown_plans(changed(config, prompts=SETS), "shapes")
    pipeline = ConceptPipeline.from_run(asked.path, plan.step)
    prompts = [q.prompt for q in all_questions(config.terms.terms, SETS)["shapes"]]
    noise = paired_noise(plan.eval_seed, range(8 * 9), 9, pipeline.image_shape)
    first = noise.unflatten(0, (8, 9))[::2].flatten(0, 1)  # before the other size
    repeated = [prompt for prompt in prompts for _ in range(9)]
    images = pipeline(repeated, first, num_inference_steps=1).numpy()
    assert np.array_equal(load_samples(plan.samples_file(asked)), images.reshape(4, 9, 16, 16, 3))


def test_two_sides_draw_what_one_process_does(run, asking, asked):
    evaluators = sides(run, asking, 2)
    side_by_side(evaluators, lambda evaluator: evaluator.evaluate(evaluator.missing()))
    assert files(run) == files(asked)


def test_a_stopped_set_goes_on_at_the_next_tile(run, asking, asked, drawn):
    def work(evaluator: Evaluator) -> None:
        def check() -> None:
            if len(drawn) >= 1:
                raise Preempted("asked")

        with pytest.raises(Preempted):
            evaluator.evaluate(evaluator.missing(), check)

    side_by_side(sides(run, asking, 1), work)
    stages.evaluate_stage(Experiment(asking, run), quiet)
    assert len(drawn) == TILES and files(run) == files(asked)


def test_a_watch_asks_every_set_of_what_appears(run, asking, asked, monkeypatch):
    training, said = Training(run, "done"), []
    monkeypatch.setattr(watching, "_wait", training.wait)
    monkeypatch.setattr(RunDir, "is_held", lambda run, _: run.state_of("train") == "running")
    stages.evaluate_stage(Experiment(asking, run), said.append, watch_seconds=1.0)
    assert said[1:] == [
        *(
            f"evaluate: step 0, ema, {name}: scored, {i} of 16"
            for i, name in zip((10, 12), SETS, strict=False)
        ),
        *(
            f"evaluate: step 4, ema, {name}: scored, {i} of 16"
            for i, name in zip((14, 16), SETS, strict=False)
        ),
        "evaluate: scored 8 of 16 parts",
    ]
    assert files(run) == files(asked)


def test_a_name_stands_for_one_template_in_a_run(asked, run, config):
    other = changed(config, prompts={"pairs": SHAPES})
    for refused in (lambda e: stages.evaluate_stage(e, quiet), stages.claim):
        with pytest.raises(Mistake, match="evaluate.prompts.pairs: got .* stands for 'a {color} "):
            refused(Experiment(other, asked))
    stages.evaluate_stage(Experiment(other, run), quiet)  # where it was never asked
    assert run.read_prompts() == {"pairs": SHAPES}


def test_plans_ask_every_set_of_every_weights_and_keep_the_names_of_files(asking):
    plans = make_plans(changed(asking, both_weights=True))
    ends = "ddim1-g1-seed0-n9"
    assert [plan.what for plan in plans[:6]] == [
        *(f"ema-{ends}", f"pairs-ema-{ends}", f"shapes-ema-{ends}"),
        *(f"raw-{ends}", f"pairs-raw-{ends}", f"shapes-raw-{ends}"),
    ]
    assert len(plans) == 12
    for plan in (*shown_plans(asking), memoriser_plan(asking), render_plan(asking)):
        assert plan.intervention == "none"
    images = 9 * (2 * (8 + 8 + 4) + 8)  # and the memoriser's
    assert sample_bytes(opened(asking)) == images * 16 * 16 * 3
    *_, line, pairs, shapes, _ = describe_plan(Experiment(asking, RunDir(Path("x")))).splitlines()
    assert line.endswith(f"{9 * 2 * 20} images, {9 * 2 * (8 + 3 * 8 + 4)} network evaluations")
    assert pairs == "prompts: pairs: 8 such as 'a red circle AND a large circle:2'"
    assert shapes == "prompts: shapes: 4 such as 'a red circle'"


def test_the_report_sets_them_beside_the_captions(asked, asking):
    said: list[str] = []
    stages.report_stage(Experiment(asking, asked), said.append)
    table = next(line for line in said if line.startswith("joint accuracy of other prompts"))
    names = [line.split()[:2] for line in table.splitlines()[2:]]
    assert names == [
        *(["captions", "train"], ["captions", "held_out"]),
        *(["pairs", "train"], ["pairs", "held_out"], ["shapes", "partial"]),
    ]
    html = asked.report.read_text()
    assert "<h2>Other prompts</h2>" in html and f"<td>{PAIRS}</td>" in html
    assert (asked.figures / "prompts.png").stat().st_size > 5000


@pytest.mark.parametrize("name, missing", [("pairs", 3), ("shapes", 2)])
def test_a_part_that_lacks_an_image_is_found(asked, tmp_path, name, missing):
    run = copy(asked, tmp_path / "runs")
    part = next(run.scores.glob(f"step_00000004-{name}-*.parquet"))
    write_part(part, read_part(part)[missing * 9 :], {})  # all images of the first prompt
    (found,) = [finding for finding in verify(run) if finding.level != "note"]
    kinds = {"pairs": 8, "shapes": 4}[name]
    assert found.path == part and f"{kinds} prompts, 9 images of each" in found.what


@pytest.mark.parametrize("content", [{"pairs": "a {colour}"}, {"pairs": 3}, ["pairs"]])
def test_what_names_stand_for_is_checked(asked, tmp_path, content):
    run = copy(asked, tmp_path / "runs")
    write_json(run.prompts, content)
    findings = [finding for finding in verify(run) if finding.level != "note"]
    assert [(f.level, f.path) for f in findings] == [("damaged", run.prompts)]


@pytest.mark.parametrize(
    "kind", ["captions", "captions_contextual", "vector", "one_hot", "embeddings"]
)
def test_every_conditioning_that_reads_prompts_reads_those_of_sets(config, kind):
    other = replace(config, model=replace(config.model, conditioning=kind))
    asked = all_questions(config.terms.terms, {"concepts": "a {shape} AND {color} AND {size}"})
    terms = [term for q in asked["concepts"] for term in q.prompt.split(" AND ")]
    rows = opened(other).task.conditioning.prompts.inputs(terms)
    assert len({*map(tuple, rows.tolist())}) == len({*terms}) == 6


def test_flags_add_sets_to_those_of_the_config(monkeypatch):
    flags = ["--evaluate.prompts.new", "a {shape}", "--evaluate.prompts.old_one=a {color}"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *flags])
    evaluate = with_named_prompts(EvaluateConfig(prompts={"old_one": "a {size}"}))
    assert evaluate.prompts == {"old_one": "a {size}", "new": ""}
