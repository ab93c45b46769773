"""The page of what was measured inside models, from planted tables."""

import pandas as pd
import pytest

from analysis.report.markdown import write_markdown_page
from studies.geometry.page import geometry_report

SITES, RUNS = ("mid", "up"), ("first", "second")
NUMBERS = {
    f"{name}{end}": value
    for name in ("kappa", "omega", "pr_x", "pr_y")
    for end, value in (("", 0.5), ("_low", -0.001), ("_high", 0.75))
}


def verdict_rows():
    for step, words in ((0, ("undecided", "undecided")), (9, ("factorized", "coupled"))):
        for site, word in zip(SITES, words, strict=True):
            origin = None if step == 0 else "learned"
            about = {"step": step, "site": site, "level": 0.2, "first": "x", "second": "y"}
            yield {
                **about,
                "verdict": word,
                "origin": origin,
                "each_run": f"2 {word}",
                "runs": 2,
                **NUMBERS,
            }


def homology_rows():
    for run, windows in zip(RUNS, ((1.5, 1.2), (1.25, 1.0)), strict=True):
        for site, window in zip(SITES, windows, strict=True):
            betti = {"betti0": 1, "betti1": 2 if window > 1 else 7, "betti2": 1}
            halves = {"halves_with_torus": 3, "halves": 6, "holes": 2}
            place = {"run": run, "step": 9, "site": site, "level": 0.2}
            yield {**place, **betti, "torus_window": window, **halves}


def edit_rows(kind: str):
    for run, moved in zip(RUNS, (0.25, 0.75), strict=True):
        for site in SITES:
            for coordinate in ("x", "y"):
                read = float("nan") if coordinate == "y" else moved
                place = {"run": run, "step": 9, "site": site, "places": 4}
                yield {**place, kind: "x", "coordinate": coordinate, "moved": read}


@pytest.fixture
def page(tmp_path) -> str:
    words = {"mid": ("carries", "carries"), "up": ("carries", "undecided")}
    answers = [
        {"run": run, "step": 9, "site": site, "answer": words[site][i]}
        for i, run in enumerate(RUNS)
        for site in SITES
    ]
    frames = {
        "verdicts": pd.DataFrame(verdict_rows()),
        "homology": pd.DataFrame(homology_rows()),
        "swaps": pd.DataFrame(edit_rows("swapped")),
        "swap_answers": pd.DataFrame(answers),
        "steers": pd.DataFrame(edit_rows("steered")),
    }
    write_markdown_page(
        tmp_path / "page.md", geometry_report(frames, {}, "torus", RUNS), "scripts/geometry.py"
    )
    return (tmp_path / "page.md").read_text()


def test_verdicts_are_told_at_both_ends(page):
    assert "Step 0: of 2 codes (a site at a level) 2 undecided." in page
    assert "Step 9: of 2 codes (a site at a level) 1 factorized, 1 coupled." in page
    assert "Alike in every run by itself: 2 undecided. Step 9" in page
    assert (
        "| mid | 0.2 | undecided | factorized (learned) | 2 factorized | 0.50 [0.00, 0.75] |"
        in page
    )


def test_a_torus_is_one_in_every_run(page):
    assert "Step 9: 1 of 2 codes have them in every run." in page
    assert "| mid | 0.2 | (1, 2, 1) | 1.25 to 1.50 | 6 of 12 | 2 |" in page
    assert "| up | 0.2 | (1, 2, 1) or (1, 7, 1) | – to 1.20 | 6 of 12 | 2 |" in page


def test_codes_that_never_hang_together_have_no_numbers():
    rows = [{**row, "torus_window": 1.0} for row in homology_rows()]
    alone = pd.DataFrame(rows).drop(columns=["betti0", "betti1", "betti2"])
    frames = {"verdicts": pd.DataFrame(verdict_rows()), "homology": alone}
    section = geometry_report(frames, {}, "torus", RUNS).sections[1]
    assert {row["Betti numbers"] for row in section.rows} == {"–"}


def test_runs_that_differ_give_no_answer(page):
    assert "**The same answer in every run. carries: mid.**" in page
    assert "| up | carries / undecided | 0.50 [0.25, 0.75] | not read |" in page
    assert "| mid | 4 | 0.50 [0.25, 0.75] | not read |" in page


def test_what_was_not_measured_has_no_section():
    report = geometry_report({"verdicts": pd.DataFrame(verdict_rows())}, {}, "torus", RUNS)
    assert [section.title for section in report.sections] == ["How x and y are held"]
