"""Command lines of studies: plans and mistakes, before any work."""

from pathlib import Path

import pytest

from tests.harness.commands import call
from tests.harness.studies import write_study


def sweep(folder: Path, command: str, *flags: str, **changes) -> tuple[int, str, str]:
    where = ("--config", str(write_study(folder, **changes)), "--runs", str(folder / "runs"))
    return call("sweep", command, *where, *flags)


def test_a_plan_tells_runs_disk_and_hours_and_makes_nothing(tmp_path):
    status, out, err = sweep(tmp_path, "run", "--dry-run", "--slots", "2")
    assert status == 0, err
    assert "learning_rate=0.001-seed1: train.learning_rate 0.001, seed 1" in out
    assert "runs: 4, of 2 variants" in out and "hours: about" in out and "on 2 slots" in out
    assert "evaluate: 384 network evaluations, and 0 of evaluate.denoiser" in out
    assert "disk: about" in out and "probes: 1 to be made, of 1 worlds, " in out
    assert "pace: training " in out and "reports " in out.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "command, flags, message",
    [
        ("run", ["--slots", "0"], "--slots: got 0, allowed are 1 to 1024"),
        ("run", ["--slots-per-gpu", "0"], "--slots-per-gpu: got 0, allowed are 1 and more"),
        ("run", ["--max-minutes", "0"], "--max-minutes: got 0, allowed more than 0"),
        ("run", ["--slurm", "--runs-per-task", "0"], "--slurm: there is no sbatch here"),
        ("retry", ["--slurm"], "--slurm: there is no sbatch here; run it where SLURM is"),
        ("run", ["--", "--time=4:00:00"], "-- --time=4:00:00: flags after -- are sbatch's"),
        ("work", ["--task", "3", "--of", "2"], "--task: got 3, allowed are 0 to below --of = 2"),
        ("status", [], "nano: holds no study (no study.json); sweep.py run begins one"),
        ("run", ["--slot", "1"], "Unrecognized options"),
    ],
)
def test_mistakes_give_status_2_and_make_nothing(tmp_path, monkeypatch, command, flags, message):
    monkeypatch.setenv("PATH", "/nowhere")
    status, _, err = sweep(tmp_path, command, *flags)
    assert status == 2 and message in " ".join(err.split()), err
    assert "Traceback" not in err and not list(tmp_path.glob("runs/nano/study.json"))


def test_a_run_directory_in_the_studys_place_is_left_alone(tmp_path):
    (tmp_path / "runs" / "nano").mkdir(parents=True)
    config = tmp_path / "runs" / "nano" / "config.yaml"
    config.write_text("name: nano\n")
    status, _, err = sweep(tmp_path, "run")
    assert status == 2 and "is a run directory, no study's folder; rename the study" in err
    assert config.read_text() == "name: nano\n"


def test_nobody_is_asked_to_stop_where_nobody_works(tmp_path):
    status, out, err = sweep(tmp_path, "stop")
    assert status == 0 and "asked 0 launchers and 0 jobs of SLURM to stop" in out, err
