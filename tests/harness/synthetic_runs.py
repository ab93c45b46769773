"""Synthetic runs on disk: two signals, two seeds, as an evaluated training leaves them."""

from pathlib import Path

import pytest

from benchmarks.run_set import synthetic_config, write_run
from studies.run.directory import RunDir

FIELD = "world.concepts.color.signal"
SIGNALS, SEEDS = (0.2, 0.7), (0, 1)


def write_runs(folder: Path, snapshots: int = 3, images: int = 4) -> list[RunDir]:
    return [
        write_run(folder, synthetic_config(f"s{signal}-{seed}", seed, signal, snapshots, images))
        for signal in SIGNALS
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder of four runs. Tests do not change it."""
    folder = tmp_path_factory.mktemp("step=5") / "runs"  # a name that looks like a column's value
    write_runs(folder)
    return folder


@pytest.fixture
def own_runs(tmp_path) -> Path:
    """A folder of four runs of the test's own."""
    write_runs(tmp_path / "runs", snapshots=2, images=2)
    return tmp_path / "runs"
