"""The claim that docs/extending/claims.md shows is decided by what it shows, from kept runs."""

import re

import pytest

from studies.claims.asked import Asked
from studies.claims.entries import Entry
from studies.claims.images.sweeps import runs_of
from studies.claims.listing import ROOT, Listed, listed
from studies.claims.of_file import Case

PAGE = (ROOT / "docs" / "extending" / "claims.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def shown() -> dict:
    names: dict = {}
    for block in blocks("python")[:2]:
        exec(block, names)
    return names


def case_of(id: str, entry: Entry, tmp_path) -> Case:
    one = Listed(id, "own", ROOT, entry)  # whose gates are those that the page shows
    runs = runs_of(one, [ROOT / path for path in entry.runs], Asked(tmp_path / "runs"), print)
    assert not (tmp_path / "runs").exists()  # nothing was trained
    return Case(id, entry, runs)


def test_the_rule_and_the_function_decide(shown, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    monkeypatch.setattr("studies.claims.listing.CONFIGS", tmp_path)
    entry = listed(("mine",))["mine.learned"].entry
    monkeypatch.undo()
    (found,) = shown["learned"](case_of("mine.learned", entry, tmp_path))
    assert found.word in ("holds", "fails", "undecided") and not found.gate
    assert [verdict.rule for _, verdict in found.parts] == ["MOST"]


def test_pairs_are_judged_seed_by_seed(shown, tmp_path):
    entry = Entry(margin=0.1, runs=("configs/studies/s_masked.yaml",))
    (found,) = shown["size_suffers"](case_of("mine.size", entry, tmp_path))
    assert len(found.parts) == 4 and found.parts[0][1].rule == "EACH MORE(0.1)"
