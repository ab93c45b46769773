"""Studies under a real SLURM: job arrays whose tasks are requeued, preempted, and lose their node;
all runs end with the bytes of straight ones."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ground.files import read_json
from studies.many.folder import StudyFolder
from studies.many.study import read_study
from studies.run.opened import Experiment
from studies.stages import run_experiment
from tests.harness.commands import call
from tests.harness.compare import first_difference
from tests.harness.slurm import NODES, Daemon, ask, job, running_cluster, wait_for
from tests.harness.studies import BASE, write_study

pytestmark = pytest.mark.slow
LONGER = BASE.replace("max_steps: 8", "max_steps: 24")
RATES = "grid: {train.learning_rate: [0.003, 0.002, 0.001]}"
MINUTES = 60


@pytest.fixture(scope="module")
def cluster() -> Iterator[Daemon]:
    with running_cluster() as controller:
        yield controller


class Submitted:
    """A study whose runs are tasks of one job array, task k for run k."""

    def __init__(self, folder: Path, seeds: int):
        self.file = write_study(folder, base=LONGER, changes=RATES, seeds=seeds)
        self.study = read_study(self.file)
        self.folder = StudyFolder(folder / "runs" / "nano")
        self.straight = StudyFolder(folder / "straight")

    def sweep(self, command: str, *flags: str) -> str:
        where = ("--config", str(self.file), "--runs", str(self.folder.path.parent))
        status, out, err = call("sweep", command, *where, *flags)
        assert status == 0, err
        return out

    def submit(self, command: str = "run") -> None:
        said = self.sweep(command, "--slurm", "--", "--cpus-per-task=2")
        assert "submitted job" in said or "nothing to submit" in said

    def task(self, k: int) -> str:
        return f"{read_json(self.folder.slurm / 'jobs.json')[0]}_{k}"

    def await_training(self, k: int) -> None:
        metrics = self.folder.run(self.study.runs[k].name).path / "metrics.jsonl"
        wait_for(f"training of task {k}", metrics.exists, 10 * MINUTES)

    def states(self) -> set[str]:
        return {status.state for status in self.folder.read_status()}

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.slurm.glob("*.txt"))

    def same_as_straight_runs(self) -> None:
        assert self.states() == {"done"}
        for planned in self.study.runs:
            run = self.straight.run(planned.name)
            run_experiment(Experiment(planned.config, run), print)
            assert first_difference(self.folder.run(planned.name).path, run.path) is None


def hasten() -> bool:
    """Start what was requeued now, not after two minutes; True once the queue is empty."""
    command = ["squeue", "--noheader", "--array", "--format=%F_%K %T %S"]
    tasks = subprocess.run(command, capture_output=True, text=True)
    rows = [row.split() for row in tasks.stdout.splitlines()]
    for task, state, begins in rows:
        if state == "PENDING" and begins != "N/A" and _is_later(begins):
            now = ["scontrol", "update", f"JobId={task}", "StartTime=now+2"]
            subprocess.run(now, capture_output=True)
    return tasks.returncode == 0 and not rows


def _is_later(begins: str) -> bool:
    return datetime.fromisoformat(begins) > datetime.now() + timedelta(seconds=5)


def resumed(node: str) -> bool:
    """Ask for a node that is down; it may have come back by itself."""
    subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], capture_output=True)
    return "down" not in ask("sinfo", "--noheader", f"--nodes={node}", "--format=%T")


def await_empty_queue() -> None:
    deadline = time.monotonic() + 30 * MINUTES
    while not hasten():
        assert time.monotonic() < deadline, ask("squeue")
        time.sleep(1)


def test_a_requeued_task_goes_on_and_all_runs_end_as_straight_ones(cluster, tmp_path):
    submitted = Submitted(tmp_path, seeds=1)
    submitted.submit()
    assert "3 tasks in the queue" in submitted.sweep("run", "--slurm")  # nothing is doubled
    submitted.await_training(0)
    assert "running" in submitted.sweep("status") and "job" in submitted.sweep("status")
    task = submitted.task(0)
    ask("scancel", f"--signal={signal.SIGUSR1.name}", "--batch", task)
    wait_for("requeued task", lambda: job(task, "JobState") == "PENDING", 2 * MINUTES)
    status = submitted.folder.read_status()[0]
    assert status.state == "preempted", status
    await_empty_queue()
    assert job(task, "Restarts") == "1"
    logs = [path.read_text() for path in submitted.folder.slurm.glob("*_0.txt")]
    assert "work: status 75 after USR1" in logs[0] and "start 1" in logs[0]
    submitted.same_as_straight_runs()


def test_a_stopped_study_leaves_the_queue_and_is_submitted_again(cluster, tmp_path):
    submitted = Submitted(tmp_path, seeds=1)
    submitted.submit()
    assert "1 jobs of SLURM" in submitted.sweep("stop")
    await_empty_queue()
    assert not submitted.states() & {"running", "done"}
    submitted.submit("retry")
    assert len(read_json(submitted.folder.slurm / "jobs.json")) == 2
    submitted.sweep("stop")
    await_empty_queue()


@pytest.mark.full
def test_nine_runs_survive_all_that_a_cluster_does(cluster, tmp_path):
    """One is requeued, one preempted, one loses its node; the controller is killed in between."""
    submitted = Submitted(tmp_path, seeds=3)
    submitted.submit()
    submitted.await_training(0)
    ask("scontrol", "requeue", submitted.task(0))
    cluster.process.kill()
    cluster.process.wait()
    cluster.start()
    wait_for("a controller", lambda: not os.system("scontrol ping | grep -q UP"), MINUTES)
    submitted.await_training(3)
    urgent = ("sbatch", "--partition=high", "--nodes=2", "--cpus-per-task=2", "--wrap=sleep 5")
    ask(*urgent, "--output=/dev/null")
    wait_for("a preempted task", lambda: "after USR1" in submitted.logs(), 2 * MINUTES)
    hasten()
    submitted.await_training(6)
    ask("scontrol", "update", f"NodeName={NODES[1]}", "State=DOWN", "Reason=test")
    time.sleep(5)
    wait_for("the node again", lambda: resumed(NODES[1]), MINUTES)
    await_empty_queue()
    while submitted.states() != {"done"}:  # a task that met its predecessor's lock has ended
        submitted.submit("retry")
        await_empty_queue()
    submitted.same_as_straight_runs()


def test_what_sbatch_refuses_is_said(cluster, tmp_path):
    file = write_study(tmp_path)
    where = ("--config", str(file), "--runs", str(tmp_path / "runs"), "--slurm")
    status, _, err = call("sweep", "run", *where, "--", "--partition=none")
    assert status == 2 and "error: sbatch: Batch job submission failed: Invalid partition" in err
