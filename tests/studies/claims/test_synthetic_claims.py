"""Claims that computations decide, on fewer draws: what is planted, and its opposite."""

from dataclasses import replace

import numpy as np
import pytest

from ground.endings import Mistake
from studies.claims.entries import Entry, entries_of
from studies.claims.evidence import count
from studies.claims.listing import CONFIGS
from studies.claims.of_file import Case, claims_of_file
from studies.claims.synthetic import controls, percolation
from studies.claims.synthetic.claims import Computation

ENTRIES = entries_of(CONFIGS / "synthetic.yaml")


def decided(function, id: str, margin: float | None = None, lists=(), **numbers) -> list:
    entry = ENTRIES[id]
    entry = replace(
        entry,
        margin=entry.margin if margin is None else margin,
        numbers={**entry.numbers, **numbers},
        lists={**entry.lists, **dict(lists)},
    )
    return [*function(Case(id, entry, Computation.of_rules()))]


def test_thresholds_are_the_known_ones_and_no_others():
    few = {"runs": 60, "lists": {"sizes": (8, 12, 16)}}
    (known,) = decided(percolation.thresholds, "p4.percolation.threshold", margin=0.05, **few)
    assert known.word == "holds" and len(known.parts) == 2
    few["lists"] = {**few["lists"], "known": (0.5, 0.5)}
    (other,) = decided(percolation.thresholds, "p4.percolation.threshold", margin=0.01, **few)
    assert other.word == "fails"


def test_narrow_bumps_need_more_and_equal_ones_do_not():
    few = {"canvas": 12, "orders": 48, "draws": 199}
    lists = {"sigmas": (0.5, 1.0), "taus": (0.05,)}
    (found,) = decided(percolation.widths, "p4.percolation.sigma", lists=lists, **few)
    assert found.word == "holds" and found.variant == "overlap 0.05"
    lists["sigmas"] = (1.0, 0.5)
    (other,) = decided(percolation.widths, "p4.percolation.sigma", lists=lists, **few)
    assert other.word == "fails"


def test_noise_is_quiet_by_the_rule_and_loud_without_one():
    (found,) = decided(controls.noise, "ctl.noise", runs=40)
    assert found.word in ("holds", "undecided") and len(found.parts) == 4
    (loud,) = decided(controls.noise, "ctl.noise", runs=40, swing=-1.0, certain=-1.0)
    assert loud.word == "fails"


def test_planted_effects_are_found_unless_the_bar_is_too_high():
    few = {"runs": 200, "draws": 36}
    (found,) = decided(controls.planted, "ctl.planted", **few)
    assert found.word == "holds" and len(found.parts) == 6
    (none,) = decided(controls.planted, "ctl.planted", swing=0.9, **few)
    assert none.word == "fails"


def test_entries_and_functions_must_be_the_same():
    others = {id: controls.noise for id in ENTRIES if id != "ctl.noise"}
    with pytest.raises(Mistake, match="synthetic.yaml: no function is registered for ctl.noise"):
        claims_of_file("synthetic", others)
    others["ctl.other"] = controls.noise
    both = "no function .* for ctl.noise; functions are registered for ctl.other, no entry"
    with pytest.raises(Mistake, match=both):
        claims_of_file("synthetic", others)


def yields(*found):
    """A function of a claim that yields what is given."""
    return lambda case: found


@pytest.mark.parametrize(
    "function",
    [
        lambda case: None,
        yields(),
        yields(count("MOST", np.array([True]))),
        lambda case: [case.decision("runs", [("a part", True)])],
    ],
)
def test_a_function_that_yields_no_decisions_is_named(function):
    (claim, *_) = claims_of_file("synthetic", dict.fromkeys(ENTRIES, function))
    with pytest.raises(Mistake, match=f"{claim.id}: .* must yield case.decision"):
        claim.decide(None)


def test_a_number_that_the_entry_lacks_is_named():
    case = Case("ctl.noise", Entry(numbers={"runs": 3}), None)
    assert case.numbers["runs"] == 3 and case.numbers == {"runs": 3}
    with pytest.raises(Mistake, match="ctl.noise: numbers.swing: missing"):
        case.numbers["swing"]
    with pytest.raises(Mistake, match="ctl.noise: lists.sigmas: missing"):
        case.lists["sigmas"]
