"""Evaluation beside a training at work."""

import pytest

from ground.endings import Mistake, Preempted
from ground.files import write_json
from studies import stages
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring import watching
from tests.harness.evaluations import Training, files

PARTS = 10  # two of each of: true renders, snapshots 0, 2 and 4, the memoriser


@pytest.fixture
def watch(run, config, monkeypatch):
    """Watches a training that ends as is asked for; returns what was said."""

    def start(end: str, appear: int) -> list[str]:
        training, said = Training(run, end), []
        del training.steps[appear:]
        monkeypatch.setattr(watching, "_wait", training.wait)
        monkeypatch.setattr(RunDir, "is_held", lambda run, writer: _works(run))
        try:
            stages.evaluate_stage(Experiment(config, run), said.append, watch_seconds=1.0)
        finally:
            said += [str(run.status_of("evaluate"))]
        return said

    return start


def _works(run: RunDir) -> bool:
    return run.state_of("train") == "running"


def test_a_watch_scores_what_appears_until_training_is_done(watch, run, scored):
    *said, status = watch("done", appear=2)
    assert said[1:] == [
        f"evaluate: {what}: scored, {2 * number} of {PARTS}"
        for number, what in enumerate(
            ["render", "step 0, ema", "step 2, ema", "step 4, ema", "memoriser"], 1
        )
    ] + [f"evaluate: scored {PARTS} of {PARTS} parts"]
    assert "'done'" in status and files(run) == files(scored)


@pytest.mark.parametrize(
    "end, error, message",
    [
        ("failed", Mistake, r"training of .*tiny has failed \(no disk\); scored 6 of 10 parts"),
        ("preempted", Preempted, "training of .*tiny was stopped before its end; scored 6 of 10"),
        ("done", Mistake, "the snapshot of step 4 is not in .*; there are 0, 2"),
    ],
)
def test_a_watch_ends_with_its_training_and_says_how(watch, run, end, error, message):
    with pytest.raises(error, match=message):
        watch(end, appear=1)
    assert run.state_of("evaluate") == ("preempted" if error is Preempted else "failed")
    assert sorted(path.name for path in run.samples.glob("step*")) == [
        "step_00000000",
        "step_00000002",
    ]


def test_the_state_of_a_training_is_that_of_its_process(trained, tmp_path):
    run = RunDir(tmp_path / "tiny")
    assert watching.training_state(run) == "none"
    with run.locked("train"):
        assert watching.training_state(run) == "running"
    write_json(run.path / "status.json", {"train": {"state": "running"}})
    assert watching.training_state(run) == "killed"
    assert watching.training_state(trained) == "done"


def test_a_watch_is_asked_to_stop_while_it_waits():
    def check():
        raise Preempted("asked")

    with pytest.raises(Preempted, match="asked"):
        watching._wait(60.0, check)
