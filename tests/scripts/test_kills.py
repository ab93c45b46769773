"""Exact resume, proved by killing: whatever the moment, the run ends as if nothing had happened.

More kills: pytest tests/scripts/test_kills.py --numprocesses 0 -s --timeout 3600 --kills 50
"""

import shutil

import pytest

from tests.harness.kills import kill_and_compare
from tests.harness.moments import EVALUATION, MOMENTS, TRAINING
from tests.harness.processes import run_to_end
from tests.harness.tiny_runs import evaluation, tiny_job

pytestmark = pytest.mark.slow
STEPS_PER_KILL = 20  # more than an attempt makes before its moment comes, so that none is missed
SNAPSHOTS_PER_KILL = 3  # more than an attempt scores before its moment comes; of three tiles each
EVALUATE = (
    *("--evaluate.images-per-combination", "24", "--evaluate.final-images-per-combination", "24"),
    *("--evaluate.num-inference-steps", "10"),
)
WHOLE_RUN = {"metrics.jsonl", "snapshots", "state", "samples", "scores.parquet"}
TRAINED = {"metrics.jsonl", "snapshots", "state"}


@pytest.mark.parametrize(
    "script, ranks, moments, files",
    [("run", 1, tuple(MOMENTS), WHOLE_RUN), ("train", 2, TRAINING, TRAINED)],
    ids=["one process", "two ranks"],
)
def test_a_killed_run_ends_as_the_straight_one(script, ranks, moments, files, tmp_path, request):
    kills = request.config.getoption("--kills")
    straight, killed = (
        tiny_job(script, tmp_path / name, STEPS_PER_KILL * kills, 2 * kills, ranks=ranks)
        for name in ("straight", "killed")
    )
    run_to_end(straight)
    assert files <= {path.name for path in straight.run_directory.iterdir()}
    done = kill_and_compare(killed, straight.run_directory, kills, seed=1, moments=moments)
    assert len(done) == kills, "some moments never came: more steps are needed"


def test_a_killed_evaluation_on_two_ranks_ends_as_the_straight_one_on_one(tmp_path, request):
    kills = request.config.getoption("--kills")
    snapshots = SNAPSHOTS_PER_KILL * kills
    trained = tiny_job("train", tmp_path / "straight", 2 * snapshots, snapshots)
    run_to_end(trained)
    shutil.copytree(tmp_path / "straight", tmp_path / "killed", symlinks=True)
    straight = evaluation(trained.run_directory, *EVALUATE)
    killed = evaluation(tmp_path / "killed" / "tiny", *EVALUATE, ranks=2)
    run_to_end(straight)
    moments = ("start", *EVALUATION)
    done = kill_and_compare(killed, straight.run_directory, kills, seed=1, moments=moments)
    assert len(done) == kills, "some moments never came: more snapshots are needed"
    assert not [*killed.run_directory.glob("samples/*/*.tiles")]
