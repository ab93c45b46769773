"""Claims that a processor decides in a minute, decided again: the verdicts that are committed.

Draws are the same everywhere. Machines round otherwise, and networks of the theory do not amplify
that: a number may move in its last digits, and a seed that lies at a threshold may change sides.
"""

import pytest

from ground.files import read_json
from studies.claims.asked import Asked
from studies.claims.command import FAMILIES
from studies.claims.listing import find

pytestmark = [pytest.mark.slow, pytest.mark.full]

SEEDS = 256
FLIPPED = 2 / SEEDS  # of shares: two seeds at a threshold
MOVED = 1e-4  # of means


@pytest.mark.parametrize(
    "id, allowed", [("p1.fig5", FLIPPED), ("p1.thm41", MOVED), ("p4.percolation.sigma", FLIPPED)]
)
def test_a_claim_is_decided_to_the_committed_numbers(id, allowed, tmp_path):
    (one,) = find([id])
    rows, decided_from = FAMILIES[one.family](one, Asked(tmp_path / "runs"), print)
    told = read_json(one.verdict_file)
    assert (told["rules"], told["decided_from"]) == (one.rules_hash, decided_from)
    for row, before in zip(rows, told["rows"], strict=True):
        numbers = {key: before[key] for key in ("effect", "low", "high")}
        assert {key: row[key] for key in numbers} == pytest.approx(numbers, abs=allowed)
        assert {**row, **numbers} == before
