"""The page of a study in Markdown: what it says, the figures beside it, and names of any kind."""

import re

import numpy as np
import pytest

from analysis.report.markdown import write_markdown_page
from analysis.report.study import Section, StudyReport
from tests.analysis.test_report import NASTY, png

FIGURE = png(np.zeros((4, 4, 3), np.uint8))


def report(*sections: Section) -> StudyReport:
    return StudyReport("signals", "Which first?", {"runs": 9}, [], [], "joint", sections)


@pytest.fixture
def page(tmp_path):
    rows = [{"signal": "0.2", "time | steps": "400 [300, 500]"}]
    section = Section("Learning time, by signal", [("a curve", FIGURE)], rows, ["Wide_ intervals."])
    write_markdown_page(tmp_path / "page.md", report(section), "python scripts/x.py")
    return tmp_path / "page.md"


def test_a_page_has_question_facts_and_the_command_that_makes_it(page):
    lines = page.read_text().splitlines()
    assert lines[0] == "# signals"
    assert "Which first?" in lines and "runs: 9" in lines
    assert lines[-1] == "Made by `python scripts/x.py`."


def test_figures_lie_beside_the_page_under_the_names_that_it_says(page):
    (name,) = re.findall(r"!\[a curve\]\((.*)\)", page.read_text())
    assert name == "page/learning-time-by-signal-1.png"
    assert (page.parent / name).read_bytes() == FIGURE


def test_tables_keep_their_columns_and_notes_their_letters(page):
    text = page.read_text()
    assert "| signal | time \\| steps |\n| --- | --- |\n| 0.2 | 400 [300, 500] |" in text
    assert "Wide\\_ intervals." in text


def test_a_row_that_lacks_a_column_has_a_dash_there(tmp_path):
    section = Section("Levels", rows=[{"level": "0.1"}, {"level": "0.2", "size": "9"}])
    write_markdown_page(tmp_path / "page.md", report(section), "x")
    assert "| 0.1 | – |\n| 0.2 | 9 |" in (tmp_path / "page.md").read_text()


def test_names_of_any_kind_stay_text(tmp_path):
    section = Section(NASTY, [(NASTY, FIGURE)], [{NASTY: NASTY}], [NASTY, "[a](b)"])
    write_markdown_page(tmp_path / "page.md", report(section), "x")
    text = (tmp_path / "page.md").read_text()
    assert not re.search(r"(?<!\\)<", text)
    assert "[a]\\(b)" in text
