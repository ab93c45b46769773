"""Examples: small, whole, and with the tables of the run that they were written of."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ground.endings import Mistake
from studies.examples import IMAGES, lay_out, write_example
from studies.findings.run import Run
from studies.run.directory import RunDir
from tests.harness.commands import call

MOST_BYTES = 1_000_000
NAME = "color_and_size"
TABLES = ("scores", "oracle", "denoiser", "copies", "losses", "accuracy", "trajectories", "learned")


@pytest.fixture(scope="module")
def shipped(root) -> Path:
    return root / "examples" / NAME


@pytest.fixture(scope="module")
def run(finished) -> Run:
    return Run(finished.path)


def test_it_is_small(shipped):
    assert sum(file.stat().st_size for file in shipped.rglob("*") if file.is_file()) <= MOST_BYTES


@pytest.mark.slow
def test_the_command_gives_the_same_tables_and_images(run, tmp_path):
    out = tmp_path / "examples" / NAME
    status, said, _ = call("example", "--run", str(run.experiment.run.path), "--out", str(out))
    again = Run(lay_out(out, tmp_path).path)
    assert status == 0 and said.startswith(f"wrote {out}, 36 files, 0.9")
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(run, name))
    for step in run.steps:
        np.testing.assert_array_equal(again.images(step), run.images(step))
    assert again.config == run.config


def test_it_has_all_of_the_last_snapshot_and_few_images_of_the_others(run):
    last = run.config.evaluate.final_images_per_combination
    assert run.images().shape == (4, last, 16, 16, 3)
    assert run.images(0).shape == (4, IMAGES, 16, 16, 3)
    assert run.held_out == ["blue small"] and len(run.combinations) == 4


def test_another_step_is_refused(run):
    with pytest.raises(Mistake, match="step: got 1, allowed 0, 25, "):
        run.images(1)


def test_laid_out_again_it_is_the_same_run_and_no_other_one(shipped, run, tmp_path):
    assert lay_out(shipped, run.experiment.run.path.parent).path == run.experiment.run.path
    own = RunDir(tmp_path / NAME)
    own.path.mkdir()
    with pytest.raises(Mistake, match="is another run than the example; move it away"):
        lay_out(shipped, tmp_path)


def test_a_damaged_example_or_none_is_refused(tmp_path):
    with pytest.raises(Mistake, match="no whole example"):
        lay_out(tmp_path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_not_evaluated_makes_none(shipped, tmp_path):
    copy = lay_out(shipped, tmp_path)
    next(copy.scores.glob("step_00001200-*")).unlink()
    with pytest.raises(Mistake, match="is missing; scripts/run.py makes it"):
        write_example(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()
