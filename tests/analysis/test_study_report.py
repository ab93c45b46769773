"""The page of a study of 500 runs: it is light, fetches nothing, and shows failures first."""

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from analysis.report.study import FIRST_STATES, RunRow, Section, StudyReport, write_study_page
from tests.analysis.test_report import NASTY, Tags, png

COUNT = 500


def rows(count: int) -> list[RunRow]:
    rng = np.random.default_rng(0)
    states = ["done"] * 20 + [*FIRST_STATES]
    return [
        RunRow(
            name=f"run {NASTY} {i}",
            state=states[i % len(states)],
            variant=f"kind-{i % 9}x",
            cells=[i % 10, None if i % 7 == 0 else float((i * 37) % 101)],
            why="out of memory" if states[i % len(states)] == "failed" else "",
            link=f"run-{i}/report.html",
            sample=rng.integers(0, 256, (32, 32, 3), np.uint8),
            curve=[*np.sort(rng.random(60))],
        )
        for i in range(count)
    ]


def write_page(path: Path) -> None:
    """A page of 500 runs whose texts are hostile."""
    figure = png(np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8))
    section = Section(NASTY, [(NASTY, figure)], [{NASTY: NASTY}], [NASTY])
    runs = rows(COUNT)
    report = StudyReport(NASTY, NASTY, {NASTY: 1}, ["signal", "time"], runs, "joint", [section])
    write_study_page(path, report)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "study_report.html"
    write_page(path)
    return path


def test_500_runs_are_a_light_page_that_fetches_nothing(page):
    html = page.read_text(encoding="utf-8")
    assert page.stat().st_size <= 3_000_000
    assert not re.search(r"https?://|@import|url\(|<link|<iframe", html)
    assert [p.name for p in page.parent.iterdir()] == [page.name]


def test_only_the_script_that_the_policy_names_may_run(page):
    html = page.read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    tags = Tags(html.replace(script, ""))
    assert [tag for tag, _ in tags.tags].count("script") == 1
    assert not [a for _, attributes in tags.tags for a in attributes if a.startswith("on")]


def test_runs_that_failed_come_first(page):
    tags = Tags(page.read_text(encoding="utf-8"))
    states = [
        attributes["data-state"] for tag, attributes in tags.tags if tag == "tr" and attributes
    ]
    assert [*dict.fromkeys(states)] == [*FIRST_STATES, "done"] and len(states) == COUNT
