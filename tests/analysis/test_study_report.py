"""The page of a study in a browser: 500 runs are sorted and filtered, and nothing is fetched."""

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from analysis.report.study import FIRST_STATES, RunRow, Section, StudyReport, write_study_page
from tests.analysis.test_report import NASTY, Tags, png

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
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


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "study_report.html"
    figure = png(np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8))
    section = Section(NASTY, [(NASTY, figure)], [{NASTY: NASTY}], [NASTY])
    runs = rows(COUNT)
    report = StudyReport(NASTY, NASTY, {NASTY: 1}, ["signal", "time"], runs, "joint", [section])
    write_study_page(path, report)
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


def shown(page: Path, view: str, tmp_path: Path) -> list[int]:
    """Numbers of the runs that a browser shows, in its order."""
    assert CHROMIUM is not None
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={tmp_path}/u",
        "--dump-dom",
        f"{page.as_uri()}#{view}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=home, timeout=120, check=True
    )
    body = done.stdout.partition("<tbody>")[2].partition("</tbody>")[0]
    visible = re.findall(r"<tr (?![^>]*hidden)[^>]*>(.*?)</tr>", body, re.DOTALL)
    count = re.search(r'id="count"[^>]*>(\d+) of (\d+) runs<', done.stdout)
    assert count and (int(count[1]), int(count[2])) == (len(visible), COUNT)
    return [int(re.findall(r"run-(\d+)/report", row)[0]) for row in visible]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_a_browser_sorts_and_filters(page, tmp_path):
    runs = rows(COUNT)
    time, state, signal = 6, 3, 5  # columns, after sample, curve and name
    by_time = shown(page, f"by={time}", tmp_path)
    values = [runs[i].cells[1] for i in by_time]
    known = [value for value in values if value is not None]
    assert known == sorted(known) and values[: len(known)] == known  # unknown ones last
    down = [runs[i].cells[1] for i in shown(page, f"by={time}&down=1", tmp_path)]
    assert down[: len(known)] == known[::-1]
    found = shown(page, "find=KIND-7x&state=failed", tmp_path)
    wanted = {i for i, run in enumerate(runs) if run.state == "failed" and i % 9 == 7}
    assert wanted and {*found} == wanted
    assert shown(page, f"find=nothing+like+this&by={state}", tmp_path) == []
    first = shown(page, f"by={signal}", tmp_path)
    assert [runs[i].cells[0] for i in first] == sorted(run.cells[0] for run in runs)
