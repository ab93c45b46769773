"""The harness on a command that counts: one that resumes as it should, and one that does not."""

import random
import sys
from pathlib import Path

import pytest

from tests.harness.kills import kill_and_compare
from tests.harness.moments import EVALUATION, MOMENTS, TRAINING, Growth, draw_moments
from tests.harness.processes import Job, run_to_end

COUNT = """
import json, pathlib, sys, time
metrics = pathlib.Path(sys.argv[1]) / "metrics.jsonl"
metrics.parent.mkdir(exist_ok=True)
done = len(metrics.read_text().splitlines()) if metrics.exists() else 0
for step in range(1 + (done if sys.argv[2] == "right" else done // 5 * 5), 201):
    with metrics.open("a") as stream:
        stream.write(json.dumps({"step": step}) + "\\n")
    time.sleep(0.01)
"""


def counting(run: Path, how: str) -> Job:
    """200 rows in two seconds. `wrong` goes back to a multiple of five but keeps its rows."""
    return Job([sys.executable, "-c", COUNT, str(run), how], run)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    job = counting(tmp_path_factory.mktemp("straight") / "run", "right")
    run_to_end(job)
    return job.run_directory


def test_a_right_resume_passes_and_its_kills_are_counted(straight, tmp_path, capsys):
    job = counting(tmp_path / "run", "right")
    kills = kill_and_compare(job, straight, 3, seed=0, moments=["step"])
    assert [kill.moment for kill in kills] == ["step"] * 3
    assert 0 < kills[0].step < kills[1].step < kills[2].step < 200
    assert "step                3          0          1" in capsys.readouterr().out


def test_a_wrong_resume_is_found(straight, tmp_path):
    job = counting(tmp_path / "run", "wrong")
    with pytest.raises(AssertionError, match=r"metrics.jsonl, line \d+: .*\n.*moment"):
        kill_and_compare(job, straight, 3, seed=0, moments=["step"])


def test_a_run_that_ends_before_a_moment_is_not_killed(straight, tmp_path):
    job = counting(tmp_path / "run", "right")
    assert kill_and_compare(job, straight, 1, seed=0, moments=["state write"]) == []


def test_moments_are_drawn_evenly_and_in_the_order_of_a_run():
    names = draw_moments(60, random.Random(0), tuple(MOMENTS))
    assert {name: names.count(name) for name in MOMENTS} == dict.fromkeys(MOMENTS, 10)
    phases = [name in EVALUATION for name in names if name != "start"]
    assert phases == sorted(phases)
    assert set(draw_moments(8, random.Random(0), TRAINING)) == set(TRAINING)


def test_growth_is_seen_after_a_truncation_not_the_truncation(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text("1\n2\n")
    growth = Growth(tmp_path, "metrics.jsonl")
    assert not growth.seen()
    file.write_text("1\n")
    assert not growth.seen()
    file.write_text("1\n2\n")
    assert growth.seen()


def test_a_new_temporary_directory_is_seen_an_old_one_is_not(tmp_path):
    (tmp_path / "state" / ".step_00000005.17.tmp").mkdir(parents=True)
    growth = Growth(tmp_path, "state/.step_*.tmp")
    assert not growth.seen()
    (tmp_path / "state" / ".step_00000005.18.tmp").mkdir()
    assert growth.seen()
