"""A comparison that finds nothing proves nothing: every kind of file is changed once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ground.files import append_rows, write_directory
from tests.harness.compare import first_difference

SCORES = "scores.parquet/step_00000004.parquet"


def write_run(run: Path) -> None:
    """A run of four steps: two snapshots, two states, one sampled and scored step."""
    run.mkdir()
    for name in ("metrics.jsonl", "ranks.jsonl"):
        append_rows(run / name, [{"step": step, "loss": 1 / 3} for step in (1, 2, 3, 4)])
    for step in (0, 4):
        write_directory(run / f"snapshots/step_{step:08d}", fill_snapshot, step=step)
        write_directory(run / f"state/step_{step:08d}", fill_state, step=step)
    samples = run / "samples/step_00000004/ema.npz"
    samples.parent.mkdir(parents=True)
    samples.write_bytes(bytes(100))
    (run / "scores.parquet").mkdir()
    pd.DataFrame({"step": [4, 4], "probability": [0.25, float("nan")]}).to_parquet(run / SCORES)


def fill_snapshot(folder: Path) -> None:
    (folder / "unet").mkdir()
    (folder / "unet" / "weights.safetensors").write_bytes(bytes(1000))


def fill_state(folder: Path) -> None:
    for name in ("raw", "ema", "optimizer"):
        (folder / f"{name}.safetensors").write_bytes(bytes(1000))


@pytest.fixture
def two_runs(tmp_path) -> tuple[Path, Path]:
    for name in ("run", "straight"):
        write_run(tmp_path / name)
    return tmp_path / "run", tmp_path / "straight"


def change_byte(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def change_score(run: Path) -> None:
    table = pd.read_parquet(run / SCORES)
    table.loc[0, "probability"] += 1e-15
    table.to_parquet(run / SCORES)


def change_state(run: Path) -> None:
    shutil.rmtree(run / "state/step_00000004")

    def fill(folder: Path) -> None:
        fill_state(folder)
        change_byte(folder / "optimizer.safetensors", 999)

    write_directory(run / "state/step_00000004", fill, step=4)


CHANGES: dict[str, Callable[[Path], object]] = {
    "metrics.jsonl, line 2": lambda run: change_byte(run / "metrics.jsonl", 40),
    "metrics.jsonl: 5 lines, straight 4": lambda run: append_rows(run / "metrics.jsonl", [{}]),
    "ranks.jsonl, line 1": lambda run: change_byte(run / "ranks.jsonl", 0),
    "snapshots/step_00000000/unet/weights.safetensors: byte 7 differs": lambda run: change_byte(
        run / "snapshots/step_00000000/unet/weights.safetensors", 7
    ),
    "snapshots/step_00000004/unet/weights.safetensors: missing": lambda run: shutil.rmtree(
        run / "snapshots/step_00000004"
    ),
    "state/step_00000004/optimizer.safetensors: byte 999 differs": change_state,
    "state/step_00000000/ema.safetensors: not in the straight": lambda run: shutil.rmtree(
        run / "state/step_00000004"
    ),
    "samples/step_00000004/ema.npz: byte 99 differs": lambda run: change_byte(
        run / "samples/step_00000004/ema.npz", 99
    ),
    "row 0, probability: 0.25000000000000": change_score,
    "step_00000004.parquet: missing": lambda run: (run / SCORES).unlink(),
    "read as one table it has another length": lambda run: shutil.copytree(
        run / "scores.parquet", run / "scores.parquet" / "deeper"
    ),
}


def test_equal_runs_have_no_difference(two_runs):
    assert first_difference(*two_runs) is None


def test_what_a_kill_leaves_under_temporary_names_is_no_difference(two_runs):
    run, straight = two_runs
    shutil.copytree(run / "snapshots/step_00000004", run / "snapshots/.step_00000004.17.tmp")
    (run / "samples/step_00000004/.ema.17.tmp.npz").write_bytes(b"torn")
    (run / "scores.parquet/.step_00000004.17.tmp.parquet").write_bytes(b"torn")
    assert first_difference(run, straight) is None


@pytest.mark.parametrize("message", CHANGES)
def test_one_change_is_found_and_named(two_runs, message):
    run, straight = two_runs
    CHANGES[message](run)
    difference = first_difference(run, straight)
    assert difference is not None and message in difference


def test_two_empty_folders_are_no_proof(tmp_path):
    assert "nothing to compare with" in (first_difference(tmp_path, tmp_path) or "")
