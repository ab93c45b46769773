"""scripts/train.py: stopped, alone and under launchers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffusion.batches import BatchStream
from tests.harness.commands import ROOT, SHORT, TINY, call, finish, start

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def test_training_beyond_the_asked_end_is_refused(tmp_path):
    fixed = ("--train.snapshots", "0, 4", "--evaluate.snapshots", "0")
    arguments = ("--config", TINY, "--runs", str(tmp_path), *SHORT, *fixed)
    assert call("train", *arguments)[0] == 0
    status, _, err = call("train", *arguments, "--train.max-steps", "6")
    assert status == 2 and "is trained to step 8 already; allowed 8 or more" in err
    assert "max_steps: 8" in (tmp_path / "tiny" / "config.yaml").read_text()


@pytest.mark.slow
def test_a_run_asked_to_stop_goes_on_to_the_same_end(tmp_path):
    """Stopped in the middle of training, status 75; the same command ends as the straight run."""
    arguments = ("--config", TINY, "--runs", str(tmp_path), *SHORT)
    arguments += ("--train.max-steps", "4000", "--train.snapshots", "0")
    arguments += ("--evaluate.snapshots", "0")
    process = start("train", *arguments)
    metrics = tmp_path / "tiny" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert status == 75 and "the same command goes on" in err, err
    state = json.loads((tmp_path / "tiny" / "status.json").read_text())["train"]
    assert state["state"] == "preempted" and "state saved" in state["why"]
    stopped_at = len(metrics.read_text().splitlines())
    end = ("--train.max-steps", str(stopped_at + 4))
    status, out, err = call("train", *arguments, *end)
    assert status == 0 and f"going on from the state of step {stopped_at}" in out, err
    straight = ("--config", TINY, "--runs", str(tmp_path), *SHORT, "--name", "straight")
    status, _, err = call(
        "train", *straight, "--train.snapshots", "0", "--evaluate.snapshots", "0", *end
    )
    assert status == 0, err
    assert metrics.read_bytes() == (tmp_path / "straight" / "metrics.jsonl").read_bytes()


def launch(folder: Path, launcher: list[str], name: str, *extra: str) -> list[dict]:
    """metrics.jsonl of a run of 20 steps under a launcher."""
    command = [sys.executable, "-m", *launcher, str(ROOT / "scripts" / "train.py")]
    command += ["--config", TINY, "--runs", str(folder), "--name", name, *SHORT]
    command += ["--train.max-steps", "20", *extra]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / name / "metrics.jsonl").open()]


@pytest.mark.slow
def test_two_processes_are_the_same_run_as_one(tmp_path):
    """World size asserted, the first 20 losses equal to 1e-5, snapshots written once. With dropout,
    whose masks must be the same too."""
    dropout = ("--model.dropout", "0.1")
    one = launch(tmp_path, ["accelerate.commands.launch", "--cpu"], "one", *dropout)
    two = launch(tmp_path, [*TORCHRUN], "two", *dropout)
    worlds = [json.loads((tmp_path / n / "env.json").read_text()) for n in ("one", "two")]
    assert [world["world_size"] for world in worlds] == [1, 2]
    assert [row["step"] for row in two] == list(range(1, 21))
    assert [r["loss"] for r in two] == pytest.approx([r["loss"] for r in one], rel=1e-5)
    assert len(list((tmp_path / "two" / "snapshots").iterdir())) == 5
    assert draws(tmp_path / "one") == expected_draws(1)
    assert draws(tmp_path / "two") == expected_draws(2)


def draws(run: Path) -> list[list[str]]:
    """Per step, the checksum of each process's images, timesteps, noise and dropped captions."""
    return [json.loads(line)["draw"] for line in (run / "ranks.jsonl").open()]


def expected_draws(world_size: int) -> list[list[str]]:
    """Of equal slices of one batch, a function of seed and step alone."""
    stream = BatchStream(0, 64, 8, num_timesteps=1000, cond_dropout=0.1, shape=(3, 16, 16))
    return [
        [f"{stream.draw(step, rank, world_size).checksum():08x}" for rank in range(world_size)]
        for step in range(20)
    ]


@pytest.mark.slow
def test_a_batch_that_does_not_divide_is_refused_under_a_launcher(tmp_path):
    command = [sys.executable, "-m", *TORCHRUN]
    command += [str(ROOT / "scripts" / "train.py"), "--config", TINY, "--runs", str(tmp_path)]
    command += [*SHORT, "--train.batch-size", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1  # the launcher's, whatever ours was
    message = "train.batch_size: 7 does not divide among 2 processes"
    assert message in done.stderr
    status = json.loads((tmp_path / "tiny" / "status.json").read_text())["train"]
    assert status["state"] == "failed" and message in status["why"]
