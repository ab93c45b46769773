"""A disk that fills, for real: a small file system in memory."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from diffusion.snapshots import find_snapshot, steps_in
from diffusion.train_config import TrainConfig
from ground.files import damage, hashes, read_json
from studies import stages, training
from studies.experiment.config import Config, EvaluateConfig, read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment

pytestmark = pytest.mark.usefixtures("tiles_of_eight")

TRAIN = TrainConfig(max_steps=4, batch_size=4, snapshots="0, 2", state_every=2, threads=1)


@pytest.fixture(scope="module")
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    world = replace(config.world, num_images=32)
    return replace(config, world=world, train=TRAIN, evaluate=EvaluateConfig(snapshots="0"))


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    stages.train_stage(Experiment(config, run), print)
    return run


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs mounted at `folder`; skips where this user may not mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"mount: {done.stderr.strip() if done else 'not found'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def grow(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=100m,nr_inodes=0", str(folder)], check=True)


def whole(run: RunDir) -> bool:
    """True if every snapshot and state that has its name is complete."""
    parents = [parent for parent in (run.snapshots, run.states) if parent.is_dir()]
    return not any(damage(path) for parent in parents for path in parent.glob("step_*"))


@pytest.mark.parametrize("room", ["3m", "9m", "50m,nr_inodes=50"])
def test_a_full_disk_stops_the_run_and_loses_nothing(config, straight, tmp_path, monkeypatch, room):
    with small_disk(tmp_path / "disk", f"size={room}") as disk:
        run = RunDir(disk / "tiny")
        with monkeypatch.context() as patch, pytest.raises(OSError, match="[Nn]o space left"):
            patch.setattr(training, "check_disk", lambda *arguments: None)
            stages.train_stage(Experiment(config, run), print)
        status = read_json(run.path / "status.json")["train"]
        assert status["state"] == "failed" and "o space left" in status["why"]
        assert whole(run)
        grow(disk)
        stages.train_stage(Experiment(config, run), print)
        same_run(run, straight)


def same_run(run: RunDir, other: RunDir) -> None:
    first, second = ((r.path / "metrics.jsonl").read_bytes() for r in (run, other))
    assert first == second and steps_in(run.snapshots) == steps_in(other.snapshots)
    for step in steps_in(other.snapshots):
        assert hashes(find_snapshot(run.snapshots, step)) == hashes(
            find_snapshot(other.snapshots, step)
        )
