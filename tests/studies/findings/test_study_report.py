"""The report of a study: what is in it, whatever its runs are called and however they ended."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.tables.learning import turn_table
from ground.files import hash_file, write_json
from studies.findings import study_tables
from studies.findings.study_report import PAGE, write_study_report
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.run.samples import save_samples
from studies.run_sets.discovery import members_in
from studies.run_sets.members import RunStatus, Study
from tests.analysis.test_report import NASTY, Tags
from tests.harness.synthetic_runs import FIELD

pytestmark = pytest.mark.slow


def status(name: str, state="done", why="") -> RunStatus:
    return RunStatus(name, state, "train", 7, 20, why)


def save_sample(run: RunDir) -> None:
    config = run.read_config()
    plan, exam = shown_plans(config)[-1], Experiment(config, run).exam
    images = np.random.default_rng(0).integers(0, 256, (8, 2, 16, 16, 3), np.uint8)
    manifest = run.snapshots / f"step_{plan.step:08d}" / "manifest.json"
    save_samples(plan.samples_file(run), images, exam.questions["none"], hash_file(manifest))


@pytest.fixture
def study(own_runs) -> Study:
    """Four runs, the second of which failed with a hostile reason, and one that waits."""
    members = members_in([own_runs])
    waiting = replace(members[0], name="waits", seed=2, run=RunDir(own_runs / "waits"))
    save_sample(members[0].run)
    (members[0].run.path / "report.html").write_text("its own")
    return Study(f"study {NASTY}", f"why {NASTY}?", (*members, waiting))


def statuses(study: Study) -> list[RunStatus]:
    found = [status(run.name) for run in study.runs]
    found[1] = status(found[1].name, "failed", f"no memory {NASTY}")
    return [*found[:-1], status("waits", "waiting")]


def page_of(study: Study, folder: Path) -> Tags:
    write_study_report(study, statuses(study), folder)
    return Tags((folder / PAGE).read_text(encoding="utf-8"))


def test_failures_come_first_and_all_runs_are_there(study, own_runs):
    page = page_of(study, own_runs)
    states = [
        attributes["data-state"] for tag, attributes in page.tags if tag == "tr" and attributes
    ]
    assert states == ["failed", "waiting", "done", "done", "done"]
    assert page.text.count(NASTY) == 4  # <title>, heading, question, reason
    assert [tag for tag, _ in page.tags].count("script") == 1
    for run in study.runs:
        assert run.name in page.text


def test_a_run_is_shown_with_its_image_curve_and_report(study, own_runs):
    page = page_of(study, own_runs)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["s0.2-0/report.html"] and (own_runs / links[0]).is_file()
    images = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert images[0] == "sample of s0.2-0" and "sample of s0.2-1" not in images
    assert [tag for tag, _ in page.tags].count("svg") == 4  # none of the run that waits


def test_numbers_lie_beside_the_figures(study, own_runs):
    page_of(study, own_runs)
    tables = {path.stem: pd.read_csv(path) for path in (own_runs / "tables").glob("*.csv")}
    assert {*tables} == {
        *("runs", "curves", "learning_times", "typical_times", "laws", "differences", "turns"),
        *("swings", "swing_counts", "coordinates", "orders", "distances", "distance_orders"),
        *("emergence", "emergence_cells", "growth", "terminal", "terminal_laws"),
    }
    runs = tables["runs"].set_index("run")
    assert runs.loc["s0.2-1", "state"] == "failed" and NASTY in runs.loc["s0.2-1", "why"]
    assert runs.loc["s0.7-0", FIELD] == 0.7
    assert runs.loc["waits"].isna().any() and not np.isnan(runs.loc["s0.7-0", "joint, train"])
    assert (tables["learning_times"].groupby("run").size() == 8).all()


def test_scores_of_other_weights_are_left_out_and_the_row_says_so(study, own_runs):
    write_json(own_runs / "s0.7-1" / "snapshots/step_00000010/manifest.json", {"again": 1})
    page = page_of(study, own_runs)
    assert "of other weights than its snapshot has now" in page.text
    assert "s0.7-1" not in {*pd.read_csv(own_runs / "tables" / "learning_times.csv")["run"]}


def written(folder: Path) -> dict[str, bytes]:
    """The page and its numbers."""
    pages = [folder / "study_report.html", *sorted((folder / "tables").glob("*.csv"))]
    return {page.name: page.read_bytes() for page in pages}


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Names of the runs that are measured from here on."""
    names: list[str] = []

    def turns(scores: pd.DataFrame) -> pd.DataFrame:
        names.append(str(scores["run"].iloc[0]))
        return turn_table(scores)

    monkeypatch.setattr(study_tables, "MEASURES", (*study_tables.MEASURES[:-1], turns))
    return names


def test_what_was_found_in_a_run_is_kept_and_the_page_has_the_same_bytes(study, own_runs, measured):
    page_of(study, own_runs)
    first, names = written(own_runs), [member.name for member in study.runs[:4]]
    assert measured == names
    page_of(study, own_runs)
    assert measured == names and written(own_runs) == first


def test_a_run_is_measured_again_when_its_scores_change_or_what_is_kept_is_damaged(
    study, own_runs, measured
):
    page_of(study, own_runs)
    first = written(own_runs)
    part = next((own_runs / "s0.7-0" / "scores.parquet").glob("step_00000020*"))
    os.utime(part, ns=(0, 0))
    kept = own_runs / "tables" / ".found" / "s0.2-1.arrows"
    kept.write_bytes(kept.read_bytes()[:-100])
    measured.clear()
    page_of(study, own_runs)
    assert measured == ["s0.2-1", "s0.7-0"] and written(own_runs) == first


def test_a_study_of_which_nothing_has_begun_has_a_report(study, tmp_path):
    runs = tuple(replace(run, run=RunDir(tmp_path / run.name)) for run in study.runs)
    page = page_of(replace(study, runs=runs), tmp_path)
    assert "Variants" not in page.text and "s0.7-1" in page.text


def test_two_numbers_in_all_combinations_make_a_heat_map(study, own_runs):
    members = [
        replace(run, variant=f"{run.settings[FIELD]} {run.seed}", seed=0) for run in study.runs[:4]
    ]
    grid = [
        replace(m, settings={**m.settings, "train.batch_size": 8 * (1 + i % 2)})
        for i, m in enumerate(members)
    ]
    page = page_of(replace(study, runs=(*grid, study.runs[4])), own_runs)
    assert "Two settings at once" in page.text and "Learning time by setting" not in page.text
    assert not (own_runs / "tables" / "laws.csv").exists()
