"""The training stage: limits, forecasts, fine-tuning, thinning, trackers."""

import json
import shutil
import time
from collections import namedtuple
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import complete_steps, step_directory, steps_in, thinned_steps
from diffusion.train_config import InitFrom, TrainConfig
from ground.endings import Mistake, Preempted
from ground.files import MANIFEST, hash_file, read_json
from studies import forecast, stages
from studies.experiment.config import Config, EvaluateConfig, read_config, to_yaml
from studies.experiment.identity import identity
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from tests.harness.opened import opened

pytestmark = pytest.mark.usefixtures("tiles_of_eight")

TRAIN = TrainConfig(
    max_steps=4, batch_size=4, snapshots="0, 1, 2", state_every=2, warmup_steps=2, threads=1
)
EVALUATE = EvaluateConfig(
    oracle=False,
    num_inference_steps=2,
    images_per_combination=1,
    final_images_per_combination=1,
    snapshots="0, 2",
)


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    world = replace(config.world, num_images=32)
    probe = replace(config.probe, steps=2, gate=0.0, certificate_images=64)
    return replace(config, world=world, probe=probe, train=TRAIN, evaluate=EVALUATE)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    stages.train_stage(Experiment(config, run), quiet)
    return run


def train(config: Config, run: RunDir, **changes) -> None:
    stages.train_stage(
        Experiment(replace(config, train=replace(config.train, **changes)), run), quiet
    )


def unet(run: RunDir, step: int, variant: str = "") -> torch.Tensor:
    name = f"unet/diffusion_pytorch_model{variant}.safetensors"
    return load_file(step_directory(run.snapshots, step) / name)["conv_in.weight"]


def test_time_that_is_up_stops_cleanly(config, tmp_path):
    run = RunDir(tmp_path / "tiny")
    with pytest.raises(Preempted, match="stopped after step 1, state saved"):
        stages.train_stage(Experiment(config, run), quiet, deadline=time.monotonic())
    assert run.state_of("train") == "preempted" and complete_steps(run.states) == [1]


def test_sampling_stops_when_asked_and_says_so(config, trained, tmp_path):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    stages.probe_stage(Experiment(config, run), quiet)
    with pytest.raises(Preempted, match="stopped while sampling, what is scored is kept"):
        stages.evaluate_stage(Experiment(config, run), quiet, deadline=time.monotonic())
    assert run.state_of("evaluate") == "preempted"
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert run.state_of("evaluate") == "done"


def test_a_run_that_does_not_fit_the_disk_is_not_started(config, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda path: usage(0, 0, 10 << 20))
    run = RunDir(tmp_path / "tiny")
    with pytest.raises(Mistake, match=r"tiny: needs up to \d+ MiB more, 10 MiB are free; make"):
        stages.train_stage(Experiment(config, run), quiet)
    assert run.state_of("train") == "failed" and not run.snapshots.exists()


def test_the_forecast_is_near_what_is_written(config, trained):
    parameters = sum(t.numel() for t in load_file(last(trained) / "raw.safetensors").values())
    sizes = [f.stat().st_size for f in trained.path.rglob("*") if f.is_file()]
    room_for_a_third_state = forecast.state_bytes(TRAIN, parameters) / 3
    expected = (
        forecast.run_bytes(opened(config), forecast.Weights(parameters)) - room_for_a_third_state
    )
    assert sum(sizes) == pytest.approx(expected, rel=0.1)


def last(run: RunDir):
    return step_directory(run.states, TRAIN.max_steps)


def test_fine_tuning_starts_from_the_source_and_records_it(config, trained, tmp_path):
    run = RunDir(tmp_path / "tuned")
    init = InitFrom(run=str(trained.path), step=2, weights="ema")
    train(config, run, init_from=init, max_steps=2)
    source = step_directory(trained.snapshots, 2)
    for variant in ("", ".ema"):  # the average starts there too
        assert torch.equal(unet(run, 0, variant), unet(trained, 2, ".ema"))
    assert not torch.equal(unet(run, 2), unet(run, 0))
    lineage = read_json(run.lineage)
    assert lineage["sha256"] == hash_file(source / MANIFEST) and lineage["lineage"] is None
    assert lineage["config"] == identity(config) and lineage["step"] == 2
    again = RunDir(tmp_path / "tuned_again")
    train(config, again, init_from=InitFrom(str(run.path), 1), max_steps=2)
    assert read_json(again.lineage)["lineage"] == lineage


@pytest.mark.slow
def test_snapshots_say_whether_the_null_was_learned(config, trained, tmp_path):
    """By a run or by one it comes from, after a stop too."""
    new, tuned = RunDir(tmp_path / "new"), RunDir(tmp_path / "tuned")
    train(config, new, cond_dropout=0.0, max_steps=1)
    init = InitFrom(str(trained.path), 2)
    again = replace(config, train=replace(config.train, cond_dropout=0.0, init_from=init))
    with pytest.raises(Preempted):
        stages.train_stage(Experiment(again, tuned), quiet, deadline=time.monotonic())
    stages.train_stage(Experiment(again, tuned), quiet)
    for run, step, learned in ((trained, 4, True), (new, 1, False), (tuned, 4, True)):
        assert ConceptPipeline.from_run(run.path, step).config.null_learned is learned


def test_fine_tuning_goes_on_without_its_source(config, trained, tmp_path):
    source = shutil.copytree(trained.path, tmp_path / "source")
    run = RunDir(tmp_path / "tuned")
    init = InitFrom(run=str(source), step=2)
    tuned = replace(config, train=replace(config.train, init_from=init))
    with pytest.raises(Preempted):
        stages.train_stage(Experiment(tuned, run), quiet, deadline=time.monotonic())
    shutil.rmtree(source)
    stages.train_stage(Experiment(tuned, run), quiet)
    assert run.state_of("train") == "done"


def test_a_source_is_the_same_by_whatever_name_and_wherever_it_lies(
    config, trained, tmp_path, monkeypatch
):
    source, run = tmp_path / "source", RunDir(tmp_path / "tuned")
    shutil.copytree(trained.path, source)
    monkeypatch.chdir(tmp_path)
    train(config, run, init_from=InitFrom("source", 2), max_steps=2)
    monkeypatch.chdir(tmp_path.parent)
    train(config, run, init_from=InitFrom("source", 2), max_steps=2)  # not found, and not needed
    source = source.rename(tmp_path / "moved")
    train(config, run, init_from=InitFrom(str(source), 2), max_steps=3)
    assert run.read_config().train.init_from.run == read_json(run.lineage)["run"] == "source"
    for step in (1, 4):
        with pytest.raises(Mistake, match=rf"another experiment \(.*init_from.step: 2 → {step}"):
            train(config, run, init_from=InitFrom(str(source), step), max_steps=3)


def test_another_source_under_the_same_name_is_refused(config, trained, tmp_path):
    source, run = tmp_path / "source", RunDir(tmp_path / "tuned")
    shutil.copytree(trained.path, source)
    init = InitFrom(str(source), 2)
    train(config, run, init_from=init, max_steps=2)
    shutil.rmtree(step_directory(source / "snapshots", 2))
    shutil.copytree(
        step_directory(source / "snapshots", 1), step_directory(source / "snapshots", 2)
    )
    with pytest.raises(Mistake, match="its snapshot of step 2 is not the one that .*tuned started"):
        train(config, run, init_from=init, max_steps=2)


@pytest.mark.parametrize(
    "init, message",
    [
        (InitFrom("nowhere", 2), "train.init_from: nowhere: not a run directory"),
        (InitFrom("nowhere"), "train.init_from.step: missing; give the step of the snapshot"),
        (InitFrom(None, 2), "train.init_from.run: missing; give the run directory"),
    ],
)
def test_a_source_that_is_not_there_is_named(config, tmp_path, init, message):
    with pytest.raises(Mistake, match=message):
        train(config, RunDir(tmp_path / "tuned"), init_from=init)


@pytest.mark.parametrize(
    "keep, left",
    [
        pytest.param("all", [0, 1, 2, 4], marks=pytest.mark.slow),
        ("scored", [0, 2, 4]),
        pytest.param("last", [4], marks=pytest.mark.slow),
        pytest.param("none", [], marks=pytest.mark.slow),
    ],
)
def test_thinning_removes_only_what_is_scored(config, trained, tmp_path, keep, left):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    config = replace(config, evaluate=replace(EVALUATE, keep=keep))
    stages.probe_stage(Experiment(config, run), quiet)
    assert complete_steps(run.snapshots) == [0, 1, 2, 4]
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert complete_steps(run.snapshots) == left
    assert thinned_steps(run.snapshots) == sorted({0, 1, 2, 4} - set(left))
    said: list[str] = []
    stages.train_stage(Experiment(config, run), said.append)
    assert "finished before" in said[0]
    assert bool(steps_in(run.states)) == (keep != "none")
    stages.evaluate_stage(Experiment(config, run), said.append)
    assert "evaluate: finished before" in said[1]
    if keep == "last":
        with pytest.raises(Mistake, match="step 2 was thinned out .evaluate.keep.; .*there are 4"):
            ConceptPipeline.from_run(run.path, step=2)


@pytest.mark.slow
def test_another_evaluation_does_not_thin_what_the_config_still_wants(config, trained, tmp_path):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    other = replace(config, evaluate=replace(EVALUATE, keep="last", guidance_scale=2.0))
    stages.probe_stage(Experiment(config, run), quiet)
    said: list[str] = []
    stages.evaluate_stage(Experiment(other, run), said.append)
    assert complete_steps(run.snapshots) == [0, 1, 2, 4]
    assert "plans more than is scored; all kept" in said[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "later", [{"guidance_scale": 2.0}, {}], ids=["more to do", "nothing to do"]
)
def test_a_narrower_evaluation_keeps_what_was_scored(config, trained, tmp_path, later):
    """By the run's own plan, and by an evaluation in between that looked at one step more."""
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    own = replace(config, evaluate=replace(EVALUATE, snapshots="0"))
    run.config_file.write_text(to_yaml(own))
    stages.probe_stage(Experiment(config, run), quiet)
    for snapshots, keep, changes in (
        ("0", "all", {}),
        ("1", "scored", {}),
        ("4", "scored", later),
    ):
        evaluate = replace(EVALUATE, snapshots=snapshots, keep=keep, **changes)
        stages.evaluate_stage(Experiment(replace(config, evaluate=evaluate), run), quiet)
    assert complete_steps(run.snapshots) == [0, 1, 4] and thinned_steps(run.snapshots) == [2]


@pytest.mark.slow
def test_thinning_that_was_killed_is_finished(config, trained, tmp_path):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    config = replace(config, evaluate=replace(EVALUATE, keep="scored"))
    stages.probe_stage(Experiment(config, run), quiet)
    begun = step_directory(run.snapshots, 1)
    (begun / MANIFEST).rename(begun / "thinned.json")
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert [path.name for path in begun.iterdir()] == ["thinned.json"]


def test_a_damaged_snapshot_behind_the_training_is_named(config, trained, tmp_path):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    (step_directory(run.snapshots, 1) / "unet" / "config.json").unlink()
    with pytest.raises(
        Mistake, match="step_00000001: unet/config.json is missing, and training is"
    ):
        stages.train_stage(Experiment(config, run), quiet)
    assert run.state_of("train") == "failed"


def test_a_changed_environment_is_said_and_remembered(config, trained, tmp_path):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    before = read_json(run.path / "env.json")
    said: list[str] = []
    more = replace(config, train=replace(TRAIN, max_steps=5, threads=2))
    stages.train_stage(Experiment(more, run), said.append)
    assert "environment: threads: 1 → 2; last bits may differ from here on" in said
    del before["before"]
    assert read_json(run.path / "env.json")["before"] == [before]


def test_a_run_goes_on_by_graph_where_there_is_one_and_remembers_what_it_used(
    config, trained, tmp_path
):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    before = read_json(run.path / "env.json")
    assert (before["tf32"], before["channels_last"], before["cuda_graph"]) == (False, False, "off")
    said: list[str] = []
    more = replace(config, train=replace(TRAIN, max_steps=5, cuda_graph="auto"))
    stages.train_stage(Experiment(more, run), said.append)
    reason = "not used: the device is cpu, not cuda"
    assert f"train: CUDA graph {reason}" in said
    assert read_json(run.path / "env.json")["cuda_graph"] == reason


def test_a_run_without_its_last_state_is_finished_only_if_it_said_so(config, trained, tmp_path):
    run = RunDir(shutil.copytree(trained.path, tmp_path / "tiny"))
    shutil.rmtree(last(run))
    said: list[str] = []
    stages.train_stage(Experiment(config, run), said.append)
    assert "finished before" in said[0]
    (run.path / "status.json").write_text(json.dumps({"train": {"state": "running", "pid": 1}}))
    stages.train_stage(
        Experiment(config, run), said.append
    )  # as after a kill before the last state
    assert complete_steps(run.states) == [2, 4]


def test_tensorboard_gets_every_row(config, tmp_path):
    run = RunDir(tmp_path / "tiny")
    train(config, run, tracker="tensorboard", max_steps=3)
    events = EventAccumulator(str(run.path / "tracker" / "concept-dynamics")).Reload()
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").open()]
    logged = events.Scalars("loss")
    assert [event.step for event in logged] == [1, 2, 3]
    assert [event.value for event in logged] == pytest.approx([row["loss"] for row in rows])
