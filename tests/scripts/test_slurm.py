"""configs/accelerate/slurm.sbatch under a real SLURM: controller and two nodes on this machine."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.slurm import ROOT, ask, job, running_cluster, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.full]
MAX_STEPS = 60  # losses are written every 20: the first of them is the moment to interrupt
TRAINING = (
    *("--config", str(ROOT / "configs" / "tiny.yaml"), "--world.num-images", "64"),
    *("--train.max-steps", str(MAX_STEPS), "--train.batch-size", "8", "--train.threads", "1"),
    *("--train.state-every", "25", "--train.snapshots", "0, linear:4"),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with running_cluster():
        yield


def submit(folder: Path, *arguments: str) -> str:
    """Hand in the batch script for two nodes; returns the job's number."""
    flags = ("--parsable", "--nodes=2", f"--output={folder / 'job.log'}")
    script = str(ROOT / "configs" / "accelerate" / "slurm.sbatch")
    return ask("sbatch", *flags, script, *TRAINING, "--runs", str(folder / "runs"), *arguments)


def rows(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_bytes().splitlines()) if metrics.exists() else 0


def train_state(run: Path) -> str:
    return json.loads((run / "status.json").read_text())["train"]["state"]


def torchrun(folder: Path, name: str) -> Path:
    """The straight run: two processes, no SLURM."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    flags = (*TRAINING, "--runs", str(folder), "--name", name)
    command = (*launcher, str(ROOT / "scripts" / "train.py"), *flags)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / name


def contents(run: Path) -> dict[str, bytes]:
    """Every byte of the run's snapshots and losses."""
    files = [path for path in (run / "snapshots").rglob("*") if path.is_file()]
    return {str(p.relative_to(run)): p.read_bytes() for p in (*files, run / "metrics.jsonl")}


def test_an_interrupted_job_comes_back_and_ends_as_the_straight_run(cluster, tmp_path):
    """Interrupted as before its time limit; neither the losses nor the weights show it."""
    run = tmp_path / "runs" / "tiny"
    number = submit(tmp_path)
    wait_for("training under SLURM", lambda: rows(run) > 0, 300)
    ask("scancel", f"--signal={signal.SIGUSR1.name}", "--batch", number)
    wait_for("requeued job", lambda: job(number, "JobState") == "PENDING", 60)
    log = tmp_path / "job.log"
    assert "train: preempted after USR1" in log.read_text()
    assert train_state(run) == "preempted" and rows(run) < MAX_STEPS
    ask("scontrol", "update", f"JobId={number}", "StartTime=now+2")  # not after two minutes
    wait_for("end of the job", lambda: job(number, "JobState") == "COMPLETED", 300)
    assert (job(number, "Restarts"), job(number, "NumNodes")) == ("1", "2")
    assert train_state(run) == "done" and "going on from the state of step" in log.read_text()
    straight = torchrun(tmp_path, "straight")
    worlds = [json.loads((path / "env.json").read_text())["world_size"] for path in (run, straight)]
    assert worlds == [2, 2] and rows(run) == MAX_STEPS
    assert len(list((run / "snapshots").iterdir())) == 5
    assert contents(run) == contents(straight)


def test_the_state_that_an_earlier_job_left_requeues_nothing(cluster, tmp_path):
    """Else a job that cannot start would come back for ever."""
    run = tmp_path / "runs" / "tiny"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"train": {"state": "preempted"}}')
    number = submit(tmp_path)
    wait_for("end of the job", lambda: job(number, "JobState") == "FAILED", 300)
    assert job(number, "Restarts") == "0" and train_state(run) == "preempted"
    log = (tmp_path / "job.log").read_text()
    assert "is not empty and no run" in log and "train: unknown" in log


def test_a_mistake_is_found_before_anything_starts(cluster, tmp_path):
    number = submit(tmp_path, "--train.batch-size", "0")
    wait_for("end of the job", lambda: job(number, "JobState") == "FAILED", 60)
    assert (job(number, "Restarts"), job(number, "ExitCode")) == ("0", "2:0")
    assert "train.batch_size: got 0, allowed" in (tmp_path / "job.log").read_text()
