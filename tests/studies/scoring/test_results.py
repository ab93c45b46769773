"""One row per key from a run that was evaluated in many ways; other readers read it too."""

from dataclasses import replace

import duckdb
import pandas as pd
import polars as pl
import pytest

from analysis.tables.agreement import _IMAGE
from classifiers.certificate import probe_name
from classifiers.scores import KEY, SETTINGS
from ground.endings import Mistake
from studies import stages
from studies.run.certificate import read_certificate
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.results import read_run_scores
from tests.harness.evaluations import changed, copy, quiet

LATER = (
    {"images_per_combination": 12, "final_images_per_combination": 12},
    {"guidance_scale": 2.0},
    {"seed": 1},
    {"both_weights": True},
    {"prompts": {"pairs": "a {color} {shape} AND a {size} {shape}", "shapes": "a {color} {shape}"}},
)


@pytest.fixture(scope="module")
def often(scored, config, tmp_path_factory) -> RunDir:
    """Evaluated several times, by another probe too, in a run directory that was renamed."""
    run = copy(scored, tmp_path_factory.mktemp("often") / "runs")
    for change in LATER:
        stages.evaluate_stage(Experiment(changed(config, **change), run), quiet)
    other = replace(config, probe=replace(config.probe, steps=3))
    stages.probe_stage(Experiment(other, run), quiet)
    stages.evaluate_stage(Experiment(other, run), quiet)
    return RunDir(run.path.rename(run.path.with_name("step=5")))


@pytest.mark.slow
def test_the_key_is_a_key(often):
    raw, scores = pd.read_parquet(often.scores), read_run_scores(often.path)
    keys = raw[[*KEY]].drop_duplicates()
    assert not scores.duplicated([*KEY]).any()
    assert len(scores) == len(keys) < len(raw)
    assert len(scores.merge(keys, on=[*KEY])) == len(scores)
    assert {*SETTINGS} <= {*KEY} and {*_IMAGE, "probe", "concept"} == {*KEY}
    assert not scores[[*KEY]].isna().any(axis=None)


@pytest.mark.slow
def test_within_settings_an_average_is_that_of_one_evaluation(often, scored, config):
    """The images that two evaluations share count once."""
    scores = read_run_scores(often.path)
    right = scores["predicted"].astype(object).eq(scores["target"])
    shares = right.groupby([scores[key] for key in (*SETTINGS, "step")]).agg(["mean", "size"])
    twelve = changed(config, **LATER[0])
    probe = probe_name(read_certificate(scored))
    own = Experiment(twelve, often).planned_scores(probe)
    expected = own["predicted"].astype(object).eq(own["target"])
    expected = expected.groupby([own[key] for key in (*SETTINGS, "step")]).agg(["mean", "size"])
    assert len(expected) == 5 and expected.equals(shares.loc[expected.index])


def test_a_run_without_scores_is_refused(trained):
    with pytest.raises(Mistake, match="scores.parquet: holds no scores; run scripts/evaluate.py"):
        read_run_scores(trained.path)


@pytest.mark.slow
def test_pandas_polars_and_duckdb_read_the_folder_as_it_is(often):
    """Below a folder whose name looks like a value of a column."""
    tables = [
        pd.read_parquet(often.scores),
        pl.read_parquet(often.scores, hive_partitioning=False).to_pandas(),
        duckdb.sql(
            f"SELECT * FROM read_parquet('{often.scores}/*.parquet', hive_partitioning=false)"
        ).df(),
    ]
    columns = [*KEY, "target", "predicted", "p_target"]
    first, *others = [t[columns].sort_values(columns, ignore_index=True) for t in tables]
    assert {*first["step"]} == {-1, 0, 2, 4}
    for other in others:
        pd.testing.assert_frame_equal(other, first, check_dtype=False)
