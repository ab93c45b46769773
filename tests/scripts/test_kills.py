"""Exact resume, proved by killing: whatever the moment, the run ends as if nothing had happened.

More kills: pytest tests/scripts/test_kills.py --numprocesses 0 -s --timeout 3600 --kills 50
"""

import pytest

from tests.harness.kills import kill_and_compare
from tests.harness.moments import MOMENTS, TRAINING
from tests.harness.processes import run_to_end
from tests.harness.tiny_runs import tiny_job

pytestmark = pytest.mark.slow
STEPS_PER_KILL = 20  # more than an attempt makes before its moment comes, so that none is missed
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
