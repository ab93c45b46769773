"""Snapshots are scored within the training; nothing differs from one after the other."""

import pytest

from diffusion import train
from diffusion.snapshots import steps_in
from ground.endings import Preempted
from ground.files import hash_file
from studies import stages
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring import along
from tests.harness.evaluations import files, quiet

pytestmark = pytest.mark.usefixtures("tiles_of_eight")
METRICS = ("metrics.jsonl", "ranks.jsonl")


@pytest.fixture
def new(config, tmp_path) -> RunDir:
    """A run with its probe alone."""
    run = RunDir(tmp_path / "new" / "tiny")
    stages.claim(Experiment(config, run))
    stages.probe_stage(Experiment(config, run), quiet)
    return run


def scored_steps(run: RunDir) -> list[int]:
    return sorted(
        {int(p.stem.split("-")[0].removeprefix("step_")) for p in run.scores.glob("step_0*")}
    )


def weights(run: RunDir) -> dict[str, str]:
    return {
        str(p.relative_to(run.path)): hash_file(p) for p in run.snapshots.rglob("*.safetensors")
    }


def test_points_come_while_training_goes_on_and_all_bytes_are_the_same(
    scored, new, config, monkeypatch
):
    seen, step_of = [], train.Trainer._train_step

    def step(trainer):
        seen.append((trainer.step, steps_in(new.snapshots), scored_steps(new)))
        step_of(trainer)

    monkeypatch.setattr(train.Trainer, "_train_step", step)
    stages.train_stage(Experiment(config, new), quiet, along=True)
    assert [(at, there == done) for at, there, done in seen] == [(n, True) for n in range(4)]
    assert scored_steps(new) == [0, 2, 4]
    assert new.state_of("evaluate") is None  # it has not ended: the stage says so
    said: list[str] = []
    stages.evaluate_stage(Experiment(config, new), said.append)
    assert any(line.startswith("evaluate: finished before") for line in said)
    assert files(new) == files(scored) and weights(new) == weights(scored)
    for name in METRICS:
        assert (new.path / name).read_bytes() == (scored.path / name).read_bytes()


def test_asked_to_stop_while_it_samples_training_keeps_its_state(scored, new, config, monkeypatch):
    asked = []

    def score_along(experiment, processes, should_stop):
        def stop() -> bool:
            if len(scored_steps(new)) == 1 and steps_in(new.snapshots) == [0, 2]:
                asked.append(True)
            return bool(asked) or should_stop()

        return along.scorer_along(experiment, processes, stop)

    with monkeypatch.context() as patched:
        patched.setattr("studies.training.scorer_along", score_along)
        patched.setattr(train.StopVote, "stop", lambda vote: bool(asked))
        with pytest.raises(Preempted, match="stopped after step 3, state saved"):
            stages.train_stage(Experiment(config, new), quiet, along=True)
    assert scored_steps(new) == [0] and steps_in(new.states) == [3]
    stages.train_stage(Experiment(config, new), quiet, along=True)
    stages.evaluate_stage(Experiment(config, new), quiet)
    assert files(new) == files(scored) and weights(new) == weights(scored)


def test_who_scores_the_run_already_is_left_to_it(new, config):
    with new.locked("evaluate"):
        stages.train_stage(Experiment(config, new), quiet, along=True)
    assert new.state_of("train") == "done" and scored_steps(new) == []
