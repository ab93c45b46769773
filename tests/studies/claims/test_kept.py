"""Kept runs: small tables, from which claims are decided to the same numbers without training."""

import shutil
from dataclasses import replace
from functools import partial

import pandas as pd
import pytest

from analysis.measures.intervals import Interval
from analysis.measures.verdicts import same
from benchmarks.run_set import write_run
from ground.endings import Mistake
from ground.files import read_json, remove_directory, write_directory, write_json
from studies.claims.asked import Asked
from studies.claims.entries import Entry
from studies.claims.images import kept as kept_runs
from studies.claims.images import sweeps
from studies.claims.images.claims import OWN
from studies.claims.images.kept import is_kept, keep_study, read_kept, read_run
from studies.claims.images.pairs import of_pairs
from studies.claims.images.runs import Gates, ImageRuns
from studies.claims.listing import Listed
from studies.claims.of_file import Case
from studies.claims.told import as_rows
from studies.many.folder import WHOLE, StudyFolder
from studies.many.study import read_study
from tests.harness.studies import write_study

BASE = """
  world: {num_images: 64}
  train: {max_steps: 20, snapshots: "linear:2"}
  evaluate: {snapshots: "linear:2", oracle: false}
  evaluate.images_per_combination: 16
  evaluate.final_images_per_combination: 16
"""
WAYS = "grid: {model.conditioning: [captions, captions_contextual]}"
(CLAIM,) = (claim for claim in OWN if claim.id == "own.order-blind")
GATES = Gates(probe=0.5, probe_images=1, trained=0.0)


@pytest.fixture
def finished(tmp_path):
    """A study whose runs are there, as evaluated trainings leave them; its path and folder."""
    path = write_study(tmp_path, base=BASE, changes=WAYS, seeds=2, name="nano_claims")
    study, folder = read_study(path), StudyFolder(tmp_path / "runs" / "nano_claims")
    folder.claim(study)
    for planned in study.runs:
        run = write_run(folder.path, planned.config)
        concepts = {name: {"accuracy": 1.0} for name in ("shape", "color", "size")}
        told = read_json(run.probe / "certificate.json") | {"num_images": 64, "concepts": concepts}
        remove_directory(run.probe)
        write_directory(run.probe, partial(_write_certificate, told))
        run.set_state(WHOLE, "done", plan=planned.plan)
    return path, folder


def _write_certificate(told, folder) -> None:
    write_json(folder / "certificate.json", told)


def rows_of(runs) -> list:
    decisions = CLAIM.decide(ImageRuns(runs, GATES))
    return [row for decision in decisions for row in as_rows(decision)]


def test_what_is_kept_decides_the_same(finished, tmp_path):
    (path, folder), kept, lines = finished, tmp_path / "kept", []
    study = read_study(path)
    live = [read_run(study, planned, folder) for planned in study.runs]
    keep_study(str(path), folder.path.parent, lines.append, kept)
    assert "4 of 4 runs kept" in lines[0] and sum(f.stat().st_size for f in kept.rglob("*.*")) < 1e5
    shutil.rmtree(folder.path)
    again = [read_kept(study, planned, kept) for planned in study.runs]
    for one, other in zip(live, again, strict=True):
        assert one.certificate == other.certificate and {*one.tables} == {"scores"}
        for name, table in one.tables.items():
            pd.testing.assert_frame_equal(table, other.tables[name])
    assert rows_of(live) == rows_of(again) and rows_of(live)[0]["effect"] is not None


def test_what_was_measured_apart_is_not_lost(finished, tmp_path):
    (path, folder), kept = finished, tmp_path / "kept"
    study = read_study(path)
    run = read_run(study, study.runs[0], folder)
    measured = replace(run, tables={**run.tables, "geometry": pd.DataFrame({"step": [1]})})
    kept_runs.write_kept(measured, kept)
    with pytest.raises(Mistake, match=f"{run.name} holds geometry, .* remove the folder"):
        keep_study(str(path), folder.path.parent, print, kept)
    assert "geometry" in read_kept(study, study.runs[0], kept).tables
    assert not is_kept(study, study.runs[1], kept)


def test_a_claim_is_decided_from_kept_runs_alone(finished, tmp_path, monkeypatch):
    """No folder of runs is there, and none is made."""
    path, folder = finished
    kept = tmp_path / "kept"
    keep_study(str(path), folder.path.parent, print, kept)
    for module in (kept_runs, sweeps):
        monkeypatch.setattr(module, "KEPT", kept)
    monkeypatch.setattr(sweeps, "is_kept", lambda study, planned: is_kept(study, planned, kept))
    monkeypatch.setattr(sweeps, "read_kept", lambda study, planned: read_kept(study, planned, kept))
    one, elsewhere = Listed("own.order-blind", "own", path, Entry()), tmp_path / "elsewhere"
    found = sweeps.runs_of(one, [path], Asked(elsewhere), print)
    assert len(found.runs) == 4 and found.told == "4 runs of nano_claims, seeds 0 to 1"
    with pytest.raises(Mistake, match="own.order-blind: .* has no table geometry, .* remove"):
        found.with_code(found.runs[0])
    assert not elsewhere.exists()
    lines = [*sweeps.describe_sweeps([path], Asked(elsewhere))]
    assert lines == ["nano_claims: 0 of 4 runs are missing"]
    (kept / "nano_claims" / found.runs[0].name / "scores.parquet").write_bytes(b"")
    with pytest.raises(Mistake, match=found.runs[0].name):
        [*sweeps.describe_sweeps([path], Asked(elsewhere))]


def test_a_code_that_is_there_is_not_measured_again(finished):
    path, folder = finished
    study = read_study(path)
    run = read_run(study, study.runs[0], folder)
    measured = replace(run, tables={**run.tables, "geometry": pd.DataFrame({"step": [1]})})
    assert ImageRuns([measured], GATES).with_code(measured) is measured
    with pytest.raises(Mistake, match=f"{run.name}: the geometry of its code was not measured"):
        ImageRuns([run], GATES).with_code(run)


def test_settings_tables_and_studies_that_are_not_there_are_named(finished, tmp_path):
    path, folder = finished
    study = read_study(path)
    runs = ImageRuns([read_run(study, planned, folder) for planned in study.runs], GATES)
    assert len(runs.where(conditioning="captions")) == 2 and len(runs.where()) == 4
    with pytest.raises(Mistake, match="where: masked: .* there are model_conditioning"):
        runs.where(masked=0.0)
    with pytest.raises(Mistake, match="'pooled', the runs have captions, captions_contextual"):
        runs.where(conditioning="pooled")
    with pytest.raises(Mistake, match=f"{runs.runs[0].name}: has no table geometry; .* scores"):
        runs.runs[0].table("geometry")
    with pytest.raises(Mistake, match="keep: s_cub: unknown study .*'s_cube'.*s_bumps, "):
        keep_study("s_cub", tmp_path, print, tmp_path)


def test_a_pair_that_diverged_is_judged_by_the_rule_of_the_others(finished):
    path, folder = finished
    study = read_study(path)
    runs = [read_run(study, planned, folder) for planned in study.runs]
    case = Case("x.mine", Entry(margin=0.1), ImageRuns(runs, GATES))
    small = Interval(-0.02, 0.02)

    def judge(case, one, other):
        return same(case.entry.margin, 0.0, small, small)

    pooled, contextual = (
        case.study.where(conditioning=one) for one in ("captions", "captions_contextual")
    )
    whole = of_pairs(case, "all", "difference", pooled, contextual, judge)
    assert whole.word == "holds"
    ended = [replace(pooled[0], diverged=True, tables={}), pooled[1]]
    broken = of_pairs(case, "all", "difference", ended, contextual, judge)
    assert broken.word == "undecided" and broken.parts[0][1].rule == "EACH SAME(0.1)"


def test_damaged_and_foreign_runs_are_named(finished, tmp_path):
    path, folder = finished
    study, kept = read_study(path), tmp_path / "kept"
    with pytest.raises(Mistake, match="no run of nano_claims in .* is finished"):
        keep_study(str(path), tmp_path / "nowhere", print, kept)
    keep_study(str(path), folder.path.parent, print, kept)
    first, second = (kept / study.name / planned.name for planned in study.runs[:2])
    (first / "scores.parquet").write_bytes(b"")
    with pytest.raises(Mistake, match=str(first)):
        read_kept(study, study.runs[0], kept)
    shutil.copy(first / "config.yaml", second / "config.yaml")
    with pytest.raises(Mistake, match="is of another config"):
        read_kept(study, study.runs[1], kept)
    (second / "manifest.json").unlink()
    with pytest.raises(Mistake, match=f"{second}: manifest.json: missing"):
        is_kept(study, study.runs[1], kept)


def test_what_would_be_too_much_is_refused_before_it_is_written(finished, tmp_path, monkeypatch):
    (path, folder), kept = finished, tmp_path / "kept"
    keep_study(str(path), folder.path.parent, print, kept)
    size = sum(file.stat().st_size for file in kept.rglob("*") if file.is_file())
    monkeypatch.setattr(kept_runs, "MOST_BYTES", size)
    keep_study(str(path), folder.path.parent, print, kept)  # in place of what is there
    monkeypatch.setattr(kept_runs, "MOST_BYTES", size - 1)
    before = {file: file.stat().st_mtime_ns for file in kept.rglob("*")}
    with pytest.raises(Mistake, match="would hold .* MB, allowed are .*; nothing is written"):
        keep_study(str(path), folder.path.parent, print, kept)
    assert {file: file.stat().st_mtime_ns for file in kept.rglob("*")} == before
