"""The oracle's limit is measured once for all runs of a world, and changes no byte of theirs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from classifiers.oracle import Oracle
from ground.files import read_json
from studies import stages
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.oracle_limit import limit_directory, shared_limit
from studies.worlds.shapes.oracle import measured_limit
from tests.harness.evaluations import files, quiet

MEASURE = "studies.scoring.oracle_limit.measured_limit"


@pytest.fixture
def measured(monkeypatch) -> list[Oracle]:
    """The oracles whose limit is measured from here on, each of another one."""
    oracles: list[Oracle] = []

    def measure(oracle: Oracle) -> float:
        oracles.append(oracle)
        return 0.1 + len(oracles) / 3  # a number that takes all of its digits

    monkeypatch.setattr(MEASURE, measure)
    return oracles


def test_runs_of_a_world_share_one_limit(tiny_world, tmp_path, measured):
    oracle, config = Oracle(tiny_world.config), Config("a", tiny_world.config)
    limits = [
        shared_limit(
            Experiment(replace(config, name=name, seed=i), RunDir(tmp_path / name)), oracle
        )
        for i, name in enumerate("abc")
    ]
    assert limits == [0.1 + 1 / 3] * 3 and len(measured) == 1


def test_runs_that_start_together_measure_it_once(tiny_world, tmp_path, measured):
    oracle, config = Oracle(tiny_world.config), Config("a", tiny_world.config)
    experiments = [Experiment(config, RunDir(tmp_path / str(i))) for i in range(4)]
    with ThreadPoolExecutor(len(experiments)) as pool:
        limits = {*pool.map(lambda experiment: shared_limit(experiment, oracle), experiments)}
    assert limits == {0.1 + 1 / 3} and len(measured) == 1


def test_a_world_that_looks_otherwise_has_another(tiny_world, tmp_path, measured):
    config, run = Config("a", tiny_world.config), RunDir(tmp_path / "run")
    held_out = replace(config.world, held_out=())
    larger = replace(config.world, image_size_px=24)
    of = [Experiment(replace(config, world=w), run) for w in (config.world, held_out, larger)]
    assert limit_directory(of[0]) == limit_directory(of[1]) != limit_directory(of[2])


def test_one_that_is_damaged_is_measured_again(tiny_world, tmp_path, measured):
    oracle = Oracle(tiny_world.config)
    experiment = Experiment(Config("a", tiny_world.config), RunDir(tmp_path / "run"))
    shared_limit(experiment, oracle)
    (limit_directory(experiment) / "limit.json").write_text("{}")
    assert shared_limit(experiment, oracle) == 0.1 + 2 / 3


@pytest.mark.slow
def test_scores_are_the_same_bytes_whoever_measured(scored, run, config, monkeypatch):
    """Measured by a run of its own, and found beside the runs."""
    experiment = Experiment(config, run)
    kept = read_json(limit_directory(Experiment(config, scored)) / "limit.json")["limit"]
    assert kept == measured_limit(Oracle(config.world))
    assert not limit_directory(experiment).exists()  # nothing is scored there
    stages.evaluate_stage(experiment, quiet)
    first = files(run)
    for part in run.scores.glob("*-oracle.parquet"):
        part.unlink()

    def refuse(oracle):
        raise AssertionError("measured again")

    monkeypatch.setattr(MEASURE, refuse)
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert files(run) == first == files(scored)
