"""Claims of a file of `configs/claims/`: entry and function, put together by id."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.claims.claim import Claim, Decision, Part, Rule
from studies.claims.entries import Entry, entries_of
from studies.claims.listing import CONFIGS


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
        """Numbers of the rule, by name."""
        return self.entry.numbers

    @property
    def lists(self) -> Mapping[str, Sequence[float]]:
        """Lists of numbers of the rule, by name."""
        return self.entry.lists

    def decision(self, variant: str, parts: Iterable[Part], gate: str = "") -> Decision:
        """Return the decision that `parts` make. gate: why there is none, or ""."""
        return Decision(self.id, variant, [*parts], gate)


Decide = Callable[[Case], Iterable[Decision]]


def claims_of_file(name: str, functions: Mapping[str, Decide]) -> tuple[Claim[Any, Any], ...]:
    """Return the claims of a file, each with its function.

    Raises ValueError for an entry without a function, unless a CPU cannot decide it, and for a
    function without an entry.
    """
    path = CONFIGS / f"{name}.yaml"
    here = {id: entry for id, entry in entries_of(path).items() if entry.scale != "gpu"}
    if apart := here.keys() ^ functions.keys():
        raise ValueError(f"{path.name}: entry or function is missing of {', '.join(sorted(apart))}")
    return tuple(_claim(id, entry, functions[id], Rule(path)) for id, entry in here.items())


def _claim(id: str, entry: Entry, function: Decide, rule: Rule) -> Claim[Any, Any]:
    return Claim(
        id,
        f"{entry.paper}, {entry.figure}",
        Rule(rule.file, (*entry.numbers, *entry.lists)),
        needs=lambda config: None,
        decide=lambda study: [*function(Case(id, entry, study))],
    )
