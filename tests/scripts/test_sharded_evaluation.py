"""Evaluation under launchers and beside a training: the same files as those of one process."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.compare import first_difference
from tests.harness.processes import Attempt, Job, run_to_end, wait_for
from tests.harness.tiny_runs import evaluation, tiny_job

pytestmark = pytest.mark.slow
SEVERAL_TILES = (
    *("--evaluate.images-per-combination", "10", "--evaluate.final-images-per-combination", "20"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Job:
    """Two snapshots and its probe; nothing is scored."""
    job = tiny_job("train", tmp_path_factory.mktemp("runs"), steps=10, snapshots=2)
    run_to_end(job)
    return job


@pytest.fixture(scope="module")
def scored(trained) -> Path:
    """By one process."""
    run_to_end(evaluation(copy(trained.run_directory, "scored"), *SEVERAL_TILES))
    return trained.run_directory.parent.with_name("scored") / "tiny"


def copy(run: Path, name: str) -> Path:
    folder = run.parent.with_name(name)
    shutil.copytree(run.parent, folder, symlinks=True)
    return folder / run.name


def test_two_ranks_write_the_bytes_of_one_process(trained, scored):
    job = evaluation(copy(trained.run_directory, "two"), *SEVERAL_TILES, ranks=2)
    run_to_end(job)
    assert first_difference(job.run_directory, scored) is None
    parts = {path.name: path.read_bytes() for path in (scored / "scores.parquet").glob("[!.]*")}
    assert len(parts) == 10
    for name, data in parts.items():
        assert (job.run_directory / "scores.parquet" / name).read_bytes() == data
    printed = job.log.read_text()
    assert printed.count("evaluate: scored 10 of 10 parts") == 1


def test_two_ranks_write_the_samplers_certificate_that_one_process_finds_finished(trained):
    run = copy(trained.run_directory, "certified")
    flags = ("--certify-sampler", "--evaluate.snapshots", "10")
    run_to_end(evaluation(run, *flags, ranks=2))
    certificate = run / "sampler_certificate.json"
    written = certificate.read_bytes()
    assert json.loads(written)["joint_accuracy"][-1]["pairs"] == 2 * 128
    certificate.unlink()
    job = evaluation(run, *flags)
    run_to_end(job)
    assert certificate.read_bytes() == written and "finished before" in job.log.read_text()


def test_a_second_evaluation_is_refused_and_a_lost_rank_ends_the_first(trained):
    """The first process holds the lock for all; without the second it does not wait forever."""
    run = copy(trained.run_directory, "busy")
    slow = evaluation(run, *SEVERAL_TILES, "--evaluate.num-inference-steps", "1000", ranks=2)
    with Attempt(slow) as attempt:
        reserve = run / ".evaluate.reserve"
        wait_for(lambda: reserve.exists() or attempt.ended(), 120, attempt.tail)
        second = evaluation(run, *SEVERAL_TILES)
        done = subprocess.run(second.command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and "another process is at its evaluate stage" in done.stderr
        (lost,) = [p for p in attempt.living() if p.environ().get("RANK") == "1"]
        lost.kill()
        assert attempt.end(60) == 1
    status = json.loads((run / "status.json").read_text())["evaluate"]
    assert status["state"] == "failed" and "another process of this run is gone" in status["why"]


def test_a_watch_beside_a_training_ends_with_the_table_of_a_later_evaluation(tmp_path):
    training = tiny_job("train", tmp_path / "watched", steps=150, snapshots=3)
    with Attempt(training) as attempt:
        while not (training.run_directory / "metrics.jsonl").exists():
            assert not attempt.ended(), attempt.tail()
        watch = evaluation(training.run_directory, "--watch", "--watch-seconds", "0.5")
        run_to_end(watch)
        assert attempt.end() == 0
    lines = watch.log.read_text()
    assert "evaluate: step 50, ema: scored, 6 of 12\n" in lines
    shutil.copytree(tmp_path / "watched", tmp_path / "later", symlinks=True)
    later = tmp_path / "later" / "tiny"
    for folder in ("samples", "scores.parquet"):
        shutil.rmtree(later / folder)
    run_to_end(evaluation(later))
    assert first_difference(training.run_directory, later) is None
