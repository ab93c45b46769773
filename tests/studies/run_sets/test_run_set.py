"""Many runs as one table: settings as columns, lazily, and of the weights that are there alone."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from analysis.tables.trajectory import accuracy_curves
from classifiers.scores import read_facts, read_part, write_part
from ground.endings import Mistake
from ground.files import write_json
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.run.results import read_run_scores
from studies.run.tables import write_rows
from studies.run_sets.discovery import members_in, variant_name
from studies.run_sets.members import StudyRun
from studies.run_sets.run_set import RunSet
from tests.harness.synthetic_runs import FIELD

ABOUT = ["name", "variant", "seed", FIELD]


def test_settings_are_what_configs_differ_in(runs):
    run_set = RunSet.of_folders([runs])
    assert run_set.fields == [FIELD]
    assert run_set.settings.to_dict("list") == {
        "name": ["s0.2-0", "s0.2-1", "s0.7-0", "s0.7-1"],
        "variant": ["color.signal 0.2"] * 2 + ["color.signal 0.7"] * 2,
        "seed": [0, 1, 0, 1],
        FIELD: [0.2, 0.2, 0.7, 0.7],
    }
    assert run_set.names() == ["scores"]
    assert RunSet.of_folders([runs / "s0.2-0", runs / "s0.2-1"]).fields == []


def test_the_table_is_that_of_every_run_with_its_settings(runs):
    run_set = RunSet.of_folders([runs])
    table = run_set.table().frame()
    assert [*table][-4:] == ABOUT
    for member in run_set.members:
        own = table[table["name"] == member.name]
        wanted = read_run_scores(member.run.path)
        keys = ["step", "combination", "sample", "concept"]
        columns = [*keys, "run", "target", "predicted", "p_target"]
        pd.testing.assert_frame_equal(
            own[columns].sort_values(keys, ignore_index=True),
            wanted[columns].sort_values(keys, ignore_index=True),
        )
        about = own[ABOUT].drop_duplicates().iloc[0]
        assert [*about] == [member.name, member.variant, member.seed, member.settings[FIELD]]


def test_columns_and_rows_are_chosen_before_they_are_read(runs):
    table = RunSet.of_folders([runs]).table()
    rows = table.rows(["name", "step"], (ds.field(FIELD) > 0.5) & (ds.field("step") == 10))
    assert rows.schema.names == ["name", "step"]
    assert {*rows["name"].to_pylist()} == {"s0.7-0", "s0.7-1"} and len(rows) == 2 * 8 * 4 * 3
    right = {"right": ds.field("predicted") == ds.field("target")}
    assert table.rows(right).schema.field("right").type == pa.bool_()


def test_a_run_that_no_filter_leaves_is_not_opened(own_runs):
    table = RunSet.of_folders([own_runs]).table()
    for part in (own_runs / "s0.2-0").glob("scores.parquet/*"):
        part.unlink()
    assert len(table.rows(["step"], ds.field(FIELD) == 0.7)) == 2 * 3 * 8 * 2 * 3
    with pytest.raises(Mistake, match="cannot read these runs"):
        table.rows(["step"])


def test_settings_keep_their_types_and_what_a_run_lacks_is_null(runs):
    values = [
        {"a.whole": 1, "a.real": 1, "a.yes": True, "a.word": "x", "a.list": ["x", "y"]},
        {"a.whole": 2, "a.real": 0.5, "a.yes": False, "a.word": "y", "a.list": None},
        {},
    ]
    run = RunDir(runs / "s0.2-0")
    members = [StudyRun(f"r{i}", f"v{i}", v, i, run) for i, v in enumerate(values)]
    run_set = RunSet(members)
    frame = run_set.table().frame([*run_set.fields, "name"]).drop_duplicates()
    types = {n: run_set.table().dataset.schema.field(n).type for n in run_set.fields}
    assert types == {
        "a.whole": pa.int64(),
        "a.real": pa.float64(),
        "a.yes": pa.bool_(),
        "a.word": pa.string(),
        "a.list": pa.string(),
    }
    assert frame["a.list"].iloc[0] == '["x", "y"]' and frame["a.real"].iloc[:2].tolist() == [1, 0.5]
    assert frame.iloc[2].drop("name").isna().all()


def test_a_setting_called_like_a_column_is_refused(runs):
    member = StudyRun("r", "v", {"step": 1}, 0, RunDir(runs / "s0.2-0"))
    with pytest.raises(Mistake, match="^step: is a column of scores"):
        RunSet([member]).table()


def test_pandas_polars_and_duckdb_read_what_is_written(runs, tmp_path):
    folder = tmp_path / "all" / "scores.parquet"
    run_set = RunSet.of_folders([runs])
    run_set.write(folder)
    wanted = run_set.table().frame()
    tables = [
        pd.read_parquet(folder),
        pl.read_parquet(folder, hive_partitioning=False).to_pandas(),
        duckdb.sql(
            f"SELECT * FROM read_parquet('{folder}/*.parquet', hive_partitioning=false)"
        ).df(),
    ]
    keys = ["name", "step", "combination", "sample", "concept"]
    columns = [*keys, "variant", "seed", FIELD, "predicted", "p_target"]
    wanted = wanted[columns].sort_values(keys, ignore_index=True)
    for table in tables:
        found = table[columns].sort_values(keys, ignore_index=True)
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    assert [path.name for path in tmp_path.joinpath("all").iterdir()] == ["scores.parquet"]
    with pytest.raises(Mistake, match="is there already"):
        run_set.write(folder)


def test_images_that_two_evaluations_share_are_there_once(own_runs):
    run = RunDir(own_runs / "s0.2-0")
    for part in sorted(run.scores.glob("step_*-n2-*")):
        few = read_part(part)
        more = pd.concat([few, few.assign(sample=few["sample"] + 2)], ignore_index=True)
        write_part(part.with_name(part.name.replace("-n2-", "-n4-")), more, read_facts(part))
    table = RunSet.of_folders([run.path]).table().frame()
    wanted = read_run_scores(run.path)
    assert len(table) == len(wanted) == 3 * 8 * 4 * 3


def test_scores_of_other_weights_are_refused(own_runs):
    run = RunDir(own_runs / "s0.7-1")
    write_json(run.snapshots / "step_00000010" / "manifest.json", {"step": 10, "run": "again"})
    with pytest.raises(Mistake, match=r"s0.7-1/.*step_00000010.*: of other weights than"):
        RunSet.of_folders([own_runs]).table()


def test_scores_of_another_oracle_are_refused(own_runs):
    (part,) = (own_runs / "s0.2-1").glob("scores.parquet/step_00000010*")
    oracle = part.with_name(part.name.rpartition("-")[0] + "-oracle.parquet")
    write_part(oracle, read_part(part), {**read_facts(part), "oracle": "0"})
    with pytest.raises(Mistake, match="read by another version of the oracle"):
        RunSet.of_folders([own_runs]).table()


@pytest.mark.parametrize("harm", ["torn", "page"])
def test_a_damaged_part_is_named(own_runs, harm):
    (part,) = (own_runs / "s0.2-1").glob("scores.parquet/step_00000010*")
    data = part.read_bytes()
    middle = len(data) // 3
    flipped = bytes([data[middle] ^ 0xFF])
    part.write_bytes(data[:100] if harm == "torn" else data[:middle] + flipped + data[middle + 1 :])
    with pytest.raises(Mistake, match="cannot read"):
        RunSet.of_folders([own_runs]).table().frame()


def test_other_tables_are_read_as_scores_are(own_runs):
    rows = pd.DataFrame({"step": [10, 10], "level": [0.2, 0.5], "obedience": [0.1, 0.9]})
    for name in ("s0.2-0", "s0.7-0"):
        run = RunDir(own_runs / name)
        (part,) = run.scores.glob("step_00000010*")
        write_rows(run.table("denoiser") / part.name, rows, read_facts(part))
    run_set = RunSet.of_folders([own_runs])
    assert run_set.names() == ["denoiser", "scores"]
    table = run_set.table("denoiser").frame()
    assert [*table] == ["step", "level", "obedience", *ABOUT] and len(table) == 4
    assert {*table["name"]} == {"s0.2-0", "s0.7-0"}
    with pytest.raises(Mistake, match="^brightness: no run of the set has this table"):
        run_set.table("brightness")


def test_findings_of_many_runs_are_those_of_each(runs):
    findings = Findings.of(RunSet.of_folders([runs]))
    wanted = [
        accuracy_curves(scores[scores["run"] == name])
        for name, scores in ((p.name, read_run_scores(p)) for p in sorted(runs.iterdir()))
    ]
    pd.testing.assert_frame_equal(findings.curves, pd.concat(wanted, ignore_index=True))
    means = findings.curves_over_seeds
    assert [*means["variant"].unique()] == ["color.signal 0.2", "color.signal 0.7"]
    assert (means["seeds"] == 2).all()


def test_a_folder_without_runs_and_a_name_twice_are_refused(runs, tmp_path):
    with pytest.raises(Mistake, match="not a run directory"):
        members_in([tmp_path])
    with pytest.raises(Mistake, match="several runs are named 's0.2-0'"):
        members_in([runs, runs / "s0.2-0"])


def test_a_variant_is_named_by_its_settings():
    assert variant_name({}) == "all runs"
    assert variant_name({FIELD: 0.2, "model.size": "nano"}) == "color.signal 0.2, model.size nano"
