"""One process at the runs of a study: the bytes of straight runs, and what fails stops no other."""

from dataclasses import replace
from pathlib import Path

import pytest

from diffusion.train import Diverged
from ground.endings import Mistake, Preempted
from studies import stages
from studies.many import work as work_module
from studies.many.folder import WHOLE, StudyFolder
from studies.many.share import Share
from studies.many.study import StudyConfig, read_study
from studies.many.work import work
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from tests.harness.compare import first_difference
from tests.harness.studies import write_study

VARIANTS = (
    "variants: {first: {}, refused: {train.batch_size: 4, probe.gate: 1.0, probe.steps: 2}, "
    "last: {train.learning_rate: 0.002}}"
)
NAMES = ("first-seed0", "refused-seed0", "last-seed0")


def began(tmp_path: Path, **changes) -> tuple[StudyConfig, StudyFolder]:
    study = read_study(write_study(tmp_path, **changes))
    folder = StudyFolder(tmp_path / "runs" / study.name)
    folder.claim(study)
    return study, folder


@pytest.mark.slow
def test_runs_of_one_process_are_straight_runs_and_failures_stop_none(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "report_stage", lambda *arguments: None)  # seconds of drawing
    study, folder = began(tmp_path, changes=VARIANTS, seeds=1)
    said: list[str] = []
    work(study, folder, Share(threads=1), said.append)
    assert [status.state for status in folder.read_status()] == ["done", "failed", "done"]
    why = folder.read_status()[1].why
    assert "below probe.gate = 1.0" in why and f"refused-seed0: failed: {why}" in said
    log = folder.run("refused-seed0").log.read_text()
    assert "probe: certifying it" in log and why in log
    assert len({folder.run(name).probe.resolve() for name in NAMES[::2]}) == 1
    for planned in study.runs[::2]:
        config = replace(planned.config, train=replace(planned.config.train, threads=1))
        straight = RunDir(tmp_path / "straight" / planned.name)
        stages.run_experiment(Experiment(config, straight), lambda line: None)
        assert first_difference(folder.run(planned.name).path, straight.path) is None
    before = len(said)
    work(study, folder, Share(threads=1), said.append)
    assert len(said) == before  # all is done


@pytest.fixture
def recorded(monkeypatch) -> list[str]:
    """Names of the runs that would be run; what a name stands for may be raised instead."""
    names: list[str] = []

    def run_experiment(experiment, say, deadline):
        names.append(experiment.run.path.name)
        say("at work")

    monkeypatch.setattr(work_module, "run_experiment", run_experiment)
    return names


def test_a_run_that_diverges_is_told_from_one_that_fails(tmp_path, monkeypatch):
    study, folder = began(tmp_path)
    endings = iter([Diverged("train: loss is nan"), Mistake("no"), None, None])

    def run_experiment(*arguments):
        if (error := next(endings)) is not None:
            raise error

    monkeypatch.setattr(work_module, "run_experiment", run_experiment)
    work(study, folder, Share(), lambda line: None)
    states = [status.state for status in folder.read_status()]
    assert states == ["diverged", "failed", "done", "done"]


def test_a_stop_and_a_broken_library_leave_the_rest_to_others(tmp_path, monkeypatch):
    study, folder = began(tmp_path)

    def run_experiment(*arguments):
        raise errors.pop()

    monkeypatch.setattr(work_module, "run_experiment", run_experiment)
    errors: list[BaseException] = [Preempted("stopped after step 3, state saved")]
    with pytest.raises(Preempted):
        work(study, folder, Share(), lambda line: None)
    errors = [RuntimeError("out of memory")]
    with pytest.raises(RuntimeError):
        work(study, folder, Share(task=1, of=2), lambda line: None)
    states = [status.state for status in folder.read_status()]
    assert states == ["preempted", "waiting", "failed", "waiting"]
    assert "RuntimeError: out of memory" in folder.run(study.runs[2].name).log.read_text()


def test_tasks_begin_at_their_own_runs_and_take_no_more_than_their_share(tmp_path, recorded):
    study, folder = began(tmp_path)
    names = [run.name for run in study.runs]
    work(study, folder, Share(task=1, of=2, most=1), lambda line: None)
    assert recorded == names[2:3]
    work(study, folder, Share(task=1, of=2, most=2), lambda line: None)
    assert recorded == [names[2], names[3], names[0]]
    work(study, folder, Share(), lambda line: None)
    assert sorted(recorded) == sorted(names)


def test_a_held_run_is_said_and_another_taken(tmp_path, recorded):
    study, folder = began(tmp_path)
    first, second = (run.name for run in study.runs[:2])
    folder.run(first).path.mkdir()
    said: list[str] = []
    with folder.run(first).locked(WHOLE):
        work(study, folder, Share(most=1), said.append)
    assert recorded == [second]
    assert said[0] == f"{first}: another process is at it; passing over it"


def test_who_is_patient_waits_for_a_held_run(tmp_path, recorded, monkeypatch):
    study, folder = began(tmp_path, changes="variants: {only: {}}", seeds=1)
    (only,) = study.runs
    folder.run(only.name).path.mkdir()
    held = folder.run(only.name).locked(WHOLE)
    held.__enter__()
    monkeypatch.setattr(work_module.time, "sleep", lambda seconds: held.__exit__(None, None, None))
    work(study, folder, Share(most=1), lambda line: None)
    assert recorded == []
    work(study, folder, Share(most=1, patience=60), lambda line: None)
    assert recorded == [only.name]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"of": 0}, "--of: got 0, allowed are 1 and more"),
        ({"task": 2, "of": 2}, "--task: got 2, allowed are 0 to below --of = 2"),
        ({"most": 0}, "--most: got 0, allowed are 1 and more"),
    ],
)
def test_a_share_of_nothing_is_refused(given, message):
    with pytest.raises(Mistake, match=message):
        Share(**given)
