"""Claims of a file of `configs/claims/`: entry and function, put together by id."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.measures.verdicts import Verdict
from ground.endings import Mistake
from studies.claims.claim import Claim, Decision, Part, Rule
from studies.claims.entries import Entry, entries_of
from studies.claims.listing import CONFIGS


class _Given(dict[str, Any]):
    """What an entry gives by name: a name that it lacks is a mistake in its file."""

    def __init__(self, place: str, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.place = place

    def __missing__(self, name: str) -> Any:
        raise Mistake(f"{self.place}.{name}: missing in the file of rules, the function needs it")


@dataclass(frozen=True)
class Case:
    """Claim with what it is decided from.

    Attributes:
        id: of the claim.
        entry: of the file of rules.
        study: what it is decided from: runs, or the seed of a computation.
    """

    id: str
    entry: Entry
    study: Any

    @property
    def numbers(self) -> Mapping[str, float]:
        """Numbers of the rule, by name. Raises Mistake for one that the entry lacks."""
        return _Given(f"{self.id}: numbers", self.entry.numbers)

    @property
    def lists(self) -> Mapping[str, Sequence[float]]:
        """Lists of numbers of the rule, by name. Raises Mistake for one that the entry lacks."""
        return _Given(f"{self.id}: lists", self.entry.lists)

    def decision(self, variant: str, parts: Iterable[Part], gate: str = "") -> Decision:
        """Return the decision that `parts` make. gate: why there is none, or ""."""
        return Decision(self.id, variant, [*parts], gate)


Decide = Callable[[Case], Iterable[Decision]]


def claims_of_file(name: str, functions: Mapping[str, Decide]) -> tuple[Claim[Any, Any], ...]:
    """Return the claims of a file, each with its function.

    Raises Mistake for an entry without a function, unless a CPU cannot decide it, and for a
    function without an entry.
    """
    path = CONFIGS / f"{name}.yaml"
    here = {id: entry for id, entry in entries_of(path).items() if entry.scale != "gpu"}
    bare, lost = here.keys() - functions.keys(), functions.keys() - here.keys()
    whys = [f"no function is registered for {', '.join(sorted(bare))}"] if bare else []
    whys += [f"functions are registered for {', '.join(sorted(lost))}, no entry"] if lost else []
    if whys:
        raise Mistake(f"{path}: {'; '.join(whys)} (see claims_of_file({name!r}, …))")
    return tuple(_claim(id, entry, functions[id], Rule(path)) for id, entry in here.items())


def _claim(id: str, entry: Entry, function: Decide, rule: Rule) -> Claim[Any, Any]:
    return Claim(
        id,
        f"{entry.paper}, {entry.figure}",
        Rule(rule.file, (*entry.numbers, *entry.lists)),
        needs=lambda config: None,
        decide=lambda study: _decisions(function, Case(id, entry, study)),
    )


def _decisions(function: Decide, case: Case) -> list[Decision]:
    """Return what a function yields. Raises Mistake if that is not decisions of verdicts."""
    found: Any = function(case)
    found = [*found] if isinstance(found, Iterable) else []
    parts = [part for one in found if isinstance(one, Decision) for part in one.parts]
    whole = all(isinstance(one, Decision) for one in found)
    if found and whole and all(isinstance(verdict, Verdict) for _, verdict in parts):
        return found
    where = f"{function.__module__}.{function.__qualname__}"
    raise Mistake(
        f"{case.id}: {where} must yield case.decision(variant, [(what, Verdict), …], gate), once "
        f"at least"
    )
