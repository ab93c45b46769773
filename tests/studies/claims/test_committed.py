"""Verdicts of the repository, decided again from the tables that it keeps: the same numbers.

What is kept is data, and what decides is exact or draws by fixed seeds. So machines may differ in
the last digits alone.
"""

import pytest

from ground.files import read_json
from ground.reading import read_yaml
from studies.claims.asked import Asked
from studies.claims.images.kept import KEPT
from studies.claims.images.sweeps import runs_of
from studies.claims.listing import ROOT, listed
from studies.claims.registry import CLAIMS
from studies.claims.told import as_rows

pytestmark = pytest.mark.slow

IMAGES = listed(("signal", "cube", "bumps", "own")).values()
DECIDED = [one for one in IMAGES if one.verdict_file.exists()]
SAME = 1e-6


@pytest.mark.parametrize("one", DECIDED, ids=[one.id for one in DECIDED])
def test_a_verdict_follows_from_what_is_kept(one, tmp_path):
    told = read_json(one.verdict_file)
    assert told["rules"] == one.rules_hash
    runs = runs_of(one, [ROOT / path for path in one.entry.runs], Asked(tmp_path / "runs"), print)
    rows = [row for found in CLAIMS[one.id].decide(runs) for row in as_rows(found)]
    assert not (tmp_path / "runs").exists()  # nothing was trained
    assert runs.told == told["decided_from"]
    for row, before in zip(rows, told["rows"], strict=True):
        numbers = {key: before[key] for key in ("effect", "low", "high")}
        assert {key: row[key] for key in numbers} == pytest.approx(numbers, abs=SAME)
        assert {**row, **numbers} == before


def test_all_that_is_kept_is_asked_for():
    """By a claim, which may wait for the runs that are missing. And a renamed folder does not
    empty the test above."""
    kept = {path.parent.name for path in KEPT.glob("*/*")}
    asked = {read_yaml(ROOT / path)["name"] for one in IMAGES for path in one.entry.runs}
    assert kept and kept <= asked and DECIDED
