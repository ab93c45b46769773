"""Slots on one machine: how cores and GPUs are divided, kills, stops, a full disk."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from ground.endings import Mistake
from studies.many.folder import WHOLE, StudyFolder
from studies.many.local import divide
from studies.many.study import read_study
from studies.run.opened import Experiment
from studies.run.stopping import SLOT
from studies.stages import run_experiment
from tests.harness.compare import first_difference
from tests.harness.processes import Attempt, Job, wait_for
from tests.harness.shared import made_once
from tests.harness.studies import ROOT, write_study
from tests.studies.test_full_disk import grow, small_disk

SECONDS = 400  # that a study of four runs never takes


@pytest.mark.parametrize(
    "asked, gpus, cores, expected",
    [
        (None, [], 4, [(1, None)] * 4),
        (2, [], 4, [(2, None)] * 2),
        (3, [], 2, [(1, None)] * 3),
        (None, ["0", "1"], 8, [(2, "0"), (2, "1"), (2, "0"), (2, "1")]),
        (1, ["5"], 8, [(8, "5")]),
        (4, ["5"], 8, [(2, "5")] * 4),
        (3, ["0", "1"], 6, [(2, "0"), (2, "1"), (2, "0")]),
    ],
)
def test_cores_and_gpus_are_divided(asked, gpus, cores, expected):
    slots = divide(asked, 2, gpus, cores)
    assert [(slot.threads, slot.gpu) for slot in slots] == expected
    assert [slot.environment[SLOT] for slot in slots] == [str(k + 1) for k in range(len(slots))]
    assert all(slot.environment.get("CUDA_VISIBLE_DEVICES") == slot.gpu for slot in slots)


@pytest.mark.parametrize(
    "slots, per_gpu, message",
    [(0, 1, "--slots: got 0, allowed are 1 to"), (1, 0, "--slots-per-gpu: got 0, allowed are 1")],
)
def test_no_slots_are_refused(slots, per_gpu, message):
    with pytest.raises(Mistake, match=message):
        divide(slots, per_gpu, [], 2)


def make_straight(folder: Path) -> None:
    """The four runs, one after the other, without a study's folder, slots or locks."""
    study = read_study(write_study(folder))
    for planned in study.runs:
        run = StudyFolder(folder / "straight").run(planned.name)
        run_experiment(Experiment(planned.config, run), print)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    return made_once(tmp_path_factory, "straight-study", make_straight) / "straight"


def sweep(folder: Path, command: str, *flags: str, log: str = "nano") -> Job:
    """A command on the study in `folder`; its log lies beside."""
    script = [sys.executable, str(ROOT / "scripts" / "sweep.py"), command]
    where = ["--config", str(write_study(folder)), "--runs", str(folder / "runs"), *flags]
    return Job([*script, *where], folder / "runs" / log, {"OMP_NUM_THREADS": "1"})


def same_runs(folder: Path, straight: Path) -> None:
    study = StudyFolder(folder / "runs" / "nano")
    assert {status.state for status in study.read_status()} == {"done"}
    for run in study.read().runs:
        assert first_difference(run.run.path, straight / run.name) is None


def worker_of(attempt: Attempt, folder: StudyFolder) -> int:
    """The process of a slot that is training, awaited."""
    found: list[int] = []

    def trains() -> bool:
        for run in folder.read().runs if folder.file.is_file() else ():
            pid = run.run.status_of(WHOLE).get("pid", 0)
            begun = (run.run.path / "metrics.jsonl").is_file()
            if begun and run.run.is_held(WHOLE) and alive(pid):
                found.append(pid)
        return bool(found) or attempt.ended()

    wait_for(trains, SECONDS, attempt.tail)
    assert found, attempt.tail()
    return found[0]


def alive(pid: int) -> bool:
    """False for the dead, and for zombies."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_study_whose_slots_and_launcher_are_killed_ends_as_straight_runs(straight, tmp_path):
    job, folder = sweep(tmp_path, "run"), StudyFolder(tmp_path / "runs" / "nano")
    with Attempt(job) as attempt:
        os.kill(worker_of(attempt, folder), signal.SIGKILL)  # the launcher starts the slot again
        wait_for(lambda: "is tried once more" in attempt.tail(), 30, attempt.tail)
        worker_of(attempt, folder)
        os.kill(attempt.process.pid, signal.SIGKILL)  # the slots save and end
        attempt.process.wait()
        wait_for(lambda: not attempt.living(), 60, attempt.tail)
    assert "running" not in {status.state for status in folder.read_status()}
    with Attempt(job) as attempt:
        assert attempt.end(SECONDS) == 0, attempt.tail()
    assert "4 runs: 4 done" in attempt.tail()
    same_runs(tmp_path, straight)


@pytest.mark.full
@pytest.mark.slow
def test_two_launchers_share_the_work_and_one_that_is_stopped_saves_it(straight, tmp_path):
    jobs = [sweep(tmp_path, "run", "--slots", "1", log=name) for name in ("one", "two")]
    folder = StudyFolder(tmp_path / "runs" / "nano")
    with Attempt(jobs[0]) as one, Attempt(jobs[1]) as two:
        held = lambda: sum(s.state == "running" for s in folder.read_status())  # noqa: E731
        wait_for(lambda: folder.file.is_file() and held() == 2, SECONDS, one.tail)
        one.process.send_signal(signal.SIGINT)
        assert one.end(SECONDS) == 75, one.tail()
        assert "the same command goes on" in one.tail()
        assert two.end(SECONDS) == 0, two.tail()
    same_runs(tmp_path, straight)
    logs = [run.run.log.read_text() for run in folder.read().runs]
    assert sum(log.count("-- ") >= 2 for log in logs) >= 1  # who was stopped was gone on with


@pytest.mark.full
@pytest.mark.slow
def test_a_full_disk_ends_a_study_and_the_same_command_goes_on(straight, tmp_path):
    (tmp_path / "runs").mkdir()
    with small_disk(tmp_path / "runs" / "nano", "size=32m") as disk:
        job = sweep(tmp_path, "run", log="launcher")
        with Attempt(job) as attempt:
            assert attempt.end(SECONDS) == 2, attempt.tail()
        assert "make room" in attempt.tail(), attempt.tail()
        assert "failed" in {s.state for s in StudyFolder(disk).read_status()}, attempt.tail()
        grow(disk)
        with Attempt(job) as attempt:
            assert attempt.end(SECONDS) == 0, attempt.tail()
        same_runs(tmp_path, straight)


@pytest.mark.full
@pytest.mark.slow
def test_a_run_that_is_killed_twice_has_failed_and_stop_reaches_the_launcher(tmp_path):
    """Killed as where memory is short."""
    folder = StudyFolder(tmp_path / "runs" / "nano")
    with Attempt(sweep(tmp_path, "run", "--slots", "1")) as attempt:
        for said in ("it is tried once more", "SIGKILL, twice"):
            os.kill(worker_of(attempt, folder), signal.SIGKILL)
            wait_for(lambda said=said: said in attempt.tail(), 60, attempt.tail)
        worker_of(attempt, folder)
        with Attempt(sweep(tmp_path, "stop", log="stop")) as stop:
            assert stop.end(60) == 0 and "asked 1 launchers" in stop.tail()
        assert attempt.end(SECONDS) == 75, attempt.tail()
    states = [status.state for status in folder.read_status()]
    assert states.count("failed") == 1 and "lost" not in states and "running" not in states
