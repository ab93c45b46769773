"""The page of several runs: the data of each, a choice of them, and its size said."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.tables.trajectory import accuracy_curves
from ground.files import write_text
from studies.findings import several_runs
from studies.findings.several_runs import accuracy_rows, is_whole, write_runs_page
from studies.run.directory import RunDir
from studies.run.opened import Experiment


@pytest.fixture
def pair(finished, tmp_path) -> list[Experiment]:
    """The example, and the same under another name."""
    runs = [RunDir(tmp_path / name) for name in ("color_and_size", "second")]
    for run in runs:
        shutil.copytree(finished.path, run.path, symlinks=True)
        text = run.config_file.read_text().replace("name: color_and_size", f"name: {run.path.name}")
        write_text(run.config_file, text)
    return [*map(Experiment.of_run, runs)]


def curves_of(runs: list[Experiment]) -> pd.DataFrame:
    return pd.concat([accuracy_curves(one.planned_scores(one.probe_name)) for one in runs])


@pytest.mark.slow
def test_all_runs_are_on_it_and_its_size_is_said(pair, tmp_path):
    page: Path = tmp_path / "explore.html"
    said = write_runs_page(page, pair, curves_of(pair))
    html = page.read_text(encoding="utf-8")
    assert re.findall('class="explored" data-name="([^"]*)"', html) == ["color_and_size", "second"]
    assert said == f"{page}: 2 runs to explore on one page, {page.stat().st_size / 1e6:.1f} MB"
    assert '[data-run="1"][data-view="0"]' in html and "0.875 [0.768, 0.944]" in html
    assert page.stat().st_size < 2_000_000


def test_of_too_many_the_first_are_there_and_it_says_so(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(several_runs, "MOST_RUNS", 1)
    said = write_runs_page(tmp_path / "page.html", pair, curves_of(pair))
    assert "1 more runs are left out." in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert ": 1 runs to explore" in said


def test_a_run_without_samples_or_a_table_is_not_whole(pair):
    assert is_whole(pair[0]) and is_whole(pair[1])
    next(pair[0].run.samples.glob("*/*.npz")).unlink()
    next(pair[1].run.table("copies").glob("*")).unlink()
    assert not is_whole(pair[0]) and not is_whole(pair[1])


def test_a_row_per_run_a_column_per_split(pair):
    rows = accuracy_rows(curves_of(pair)[lambda table: table["split"] == "train"], ["second", "no"])
    assert rows[0] == {"run": "second", "train, joint": "0.990 [0.963, 0.999]"}
    assert rows[1] == {"run": "no", "train, joint": "–"}
