"""One small run: trained, and scored by one process. What tests harm is a copy."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studies import stages
from studies.experiment.config import Config, read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.samples import save_tile
from tests.harness.evaluations import copy, quiet
from tests.harness.shared import made_once


@pytest.fixture(scope="session")
def config(root) -> Config:
    """8 × 9 images at each of three snapshots: two tiles, of 64 and of 8."""
    config = read_config(root / "configs" / "tiny.yaml")
    changes = {
        "world": {"num_images": 32},
        "train": {"max_steps": 4, "batch_size": 4, "snapshots": "0, 2", "state_every": 4},
        "probe": {"steps": 2, "gate": 0.0, "certificate_images": 64},
        "evaluate": {"num_inference_steps": 1, "snapshots": "0, 2", "images_per_combination": 9},
    }
    changes["train"]["threads"] = 1
    changes["evaluate"]["final_images_per_combination"] = 9
    parts = {name: replace(getattr(config, name), **new) for name, new in changes.items()}
    return replace(config, **parts)


@pytest.fixture(scope="session")
def trained(config, tmp_path_factory) -> RunDir:
    """With its probe, nothing scored. Tests work on copies of it: `run`."""

    def make(folder: Path) -> None:
        run = RunDir(folder / "tiny")
        stages.claim(Experiment(config, run))
        stages.probe_stage(Experiment(config, run), quiet)
        stages.train_stage(Experiment(config, run), quiet)

    return RunDir(made_once(tmp_path_factory, "trained", make) / "tiny")


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    return copy(trained, tmp_path / "runs")


@pytest.fixture(scope="session")
def scored(trained, config, tmp_path_factory) -> RunDir:
    """A copy that one process has scored. Tests work on copies of it."""

    def make(folder: Path) -> None:
        stages.evaluate_stage(Experiment(config, copy(trained, folder / "runs")), quiet)

    return RunDir(made_once(tmp_path_factory, "scored", make) / "runs" / "tiny")


@pytest.fixture
def drawn(monkeypatch) -> Iterator[list[str]]:
    """The tiles that are drawn from here on."""
    names: list[str] = []

    def save(path, images, snapshot):
        names.append(path.name)
        save_tile(path, images, snapshot)

    monkeypatch.setattr("studies.scoring.evaluate.save_tile", save)
    yield names
