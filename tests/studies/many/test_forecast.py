"""What is counted ahead is what is done, and hours are what is counted at the measured pace."""

from dataclasses import replace
from pathlib import Path

import pytest

from ground.files import write_directory
from studies.dry_run import count_denoiser_calls
from studies.experiment.config import Config, read_config, scored_steps
from studies.many import probes_ahead as module
from studies.many.forecast import Cost, _seconds, cost_of
from studies.many.pace import Pace
from studies.many.probes_ahead import CERTIFIED, probes_ahead
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.measurements.denoiser import DenoiserReadings
from studies.scoring.probing import probe_directory
from studies.worlds.denoiser_config import DenoiserConfig

LEVELS = (0.1, 0.2)
PACE = Pace(step=5.0, look=2.0, reading=3.0)


def experiment(folder: Path, config: Config, name: str = "a", **world) -> Experiment:
    config = replace(config, name=name, world=replace(config.world, **world))
    return Experiment(config, RunDir(folder / name))


@pytest.fixture
def tiny(root) -> Config:
    return read_config(root / "configs" / "tiny.yaml")


@pytest.mark.parametrize("name", ["tiny", "quickstart", "bumps_torus_small", "bumps_bands_small"])
def test_calls_of_the_denoiser_are_counted_as_they_are_made(root, tmp_path, name):
    config = read_config(root / "configs" / f"{name}.yaml")
    settings = DenoiserConfig(LEVELS, scenes=3, training_scenes=2, renders=4)
    evaluate = replace(config.evaluate, denoiser=settings, both_weights=True)
    asking = experiment(tmp_path, replace(config, evaluate=evaluate))
    told = sum(
        len(contrast.images) * (1 + sum(map(len, contrast.others.values())))
        for contrast in DenoiserReadings(asking).contrasts
    )
    snapshots = 2 * len(scored_steps(asking.config))  # averaged weights and raw ones
    assert count_denoiser_calls(asking) == told * len(LEVELS) * snapshots > 0
    assert cost_of(asking).denoiser == count_denoiser_calls(asking)


def test_a_denoiser_that_is_not_asked_costs_nothing(tmp_path, tiny):
    assert count_denoiser_calls(experiment(tmp_path, tiny)) == 0


def test_hours_are_counts_times_pace_and_grow_with_the_network():
    one = Cost(images=10, samples=20, denoiser=30, read=4, work=7.0, disk=0, kept=0)
    found = _seconds([one, replace(one, work=14.0)], PACE, work=7.0)
    assert found == {
        "training": 5.0 * 10 * 3,
        "samples": 2.0 * 20 * 3,
        "denoiser": 2.0 * 30 * 3,
        "oracle": 3.0 * 8,
        "reports": pytest.approx(2 * 15),
    }


def test_a_world_needs_one_probe_and_none_that_is_made(tmp_path, tiny, monkeypatch):
    measured: list[Experiment] = []

    def step(one: Experiment) -> float:
        measured.append(one)
        return 1.0

    monkeypatch.setattr(module, "probe_step_seconds", step)
    runs = [
        experiment(tmp_path, tiny, "a"),
        experiment(tmp_path, tiny, "b", held_out=()),  # looks the same
        experiment(tmp_path, tiny, "c", pixel_noise=0.01),
        experiment(tmp_path, tiny, "d", pixel_noise=0.02),
    ]
    each = tiny.probe.steps + CERTIFIED * tiny.probe.certificate_images * PACE.reading
    probes = probes_ahead(runs, PACE)
    assert (probes.worlds, probes.missing, probes.seconds) == (3, 3, pytest.approx(3 * each))
    assert len(measured) == 1  # of one size and one kind
    write_directory(probe_directory(runs[0]), lambda path: (path / "x").write_text("x"))
    left = probes_ahead(runs, PACE)
    assert left.line().startswith("probes: 2 to be made, of 3 worlds, ")
    assert probes_ahead(runs[:2], PACE).line() == "probes: 0 to be made, of 1 worlds"
