"""All claims, as their files of rules tell them, with the last verdict of each.

Imports no torch and no table: a list must be there at once. Who decides a claim is known to
`studies/claims/registry.py`, how the list looks to `studies/claims/list_text.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ground.endings import Mistake, nearest
from ground.files import hash_file, read_json
from ground.reading import read_yaml
from studies.claims.entries import Entry, entries_of

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs" / "claims"
FIRST = ("sim", "synthetic", "signal", "cube", "bumps", "own", "gpu")  # in this order; then others
MUST = ("claim", "figure", "statistic", "rule", "cost")  # what every entry of the list says
VERDICTS = ROOT / "docs" / "findings" / "claims"


@dataclass(frozen=True)
class Listed:
    """Claim as the list has it.

    Attributes:
        family: the file of `configs/claims/` that it stands in.
        rules: the file whose numbers decide it.
        entry: what that file says.
    """

    id: str
    family: str
    rules: Path
    entry: Entry

    @property
    def rules_hash(self) -> str:
        """SHA-256 of the file of rules, as 12 hexadecimal digits."""
        return hash_file(self.rules)[:12]

    @property
    def verdict_file(self) -> Path:
        """File of its verdict, which may not be there."""
        return VERDICTS / f"{self.id}.json"


def families() -> list[str]:
    """Return the names of the files of rules: those of FIRST, then all others of the folder."""
    others = {path.stem for path in CONFIGS.glob("*.yaml")} - {*FIRST}
    return [*FIRST, *sorted(others)]


def listed(names: Sequence[str] = ()) -> dict[str, Listed]:
    """Return the claims of some files, or of all, by id, in the order of the files. Raises Mistake
    for one that stands in two files, and for an entry that does not say all of MUST."""
    found: dict[str, Listed] = {}
    for one in chain.from_iterable(map(_of_file, names or families())):
        if one.id in found:
            both = f"{found[one.id].family}.yaml and {one.family}.yaml"
            raise Mistake(f"{one.id}: stands in {both}, allowed once")
        found[one.id] = one
    return found


def _of_file(name: str) -> Iterator[Listed]:
    path = CONFIGS / f"{name}.yaml"
    data = read_yaml(path)
    rules = path.parent / data["rules"] if "rules" in data else path
    decided = entries_of(rules)
    for id, entry in entries_of(path).items():
        one = Listed(id, name, rules.resolve(), _told(entry, decided[id]))
        if lost := [key for key in MUST if not getattr(one.entry, key)]:
            raise Mistake(f"{path}: claims.{id}: {', '.join(lost)}: missing")
        yield one


def _told(entry: Entry, decided: Entry) -> Entry:
    """Return an entry with statement and margin of the file of rules."""
    return replace(entry, claim=decided.claim, margin=decided.margin)


def find(asked: Sequence[str]) -> list[Listed]:
    """Return the claims of some ids. Raises Mistake for one that is unknown."""
    known = listed()
    for id in asked:
        if id not in known:
            hint = nearest(id, tuple(known))
            raise Mistake(f"{id}: unknown claim{hint}; scripts/reproduce.py list shows all")
    return [known[id] for id in dict.fromkeys(asked)]


@dataclass(frozen=True)
class Last:
    """Last verdict of a claim.

    Attributes:
        rules: SHA-256 of the file of rules that decided it, 12 digits.
        date: of the day it was decided.
        decided_from: what it was decided from, for people.
        versions: of what computed it.
        rows: of `studies/claims/told.py`, a row per part.
    """

    claim: str
    rules: str
    date: str
    decided_from: str
    versions: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]

    @property
    def decisions(self) -> list[list[Mapping[str, Any]]]:
        """Rows of each decision, in their order."""
        found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in self.rows:
            found.setdefault((row["claim"], row["variant"]), []).append(row)
        return [*found.values()]


def last_verdict(one: Listed) -> Last | None:
    """Return the last verdict of a claim; None of one that was never decided. Raises Mistake for
    a file that is no verdict."""
    if not one.verdict_file.is_file():
        return None
    data = read_json(one.verdict_file)
    if lost := [key.name for key in fields(Last) if key.name not in data]:
        raise Mistake(f"{one.verdict_file}: {', '.join(lost)}: missing; decide {one.id} again")
    return Last(**{key.name: data[key.name] for key in fields(Last)})


def verdict_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the word of a decision with effect and interval of its first part that decides."""
    deciding = [row for row in rows if row["rule"]] or rows
    word, gated, _ = word_of(rows).partition(" (")
    return f"{word}{' (gate)' if gated else ''}: {effect_text(deciding[0])}"


def effect_text(row: Mapping[str, Any]) -> str:
    """Return an effect with its interval as text, unknown ones as a dash."""
    effect, low, high = (
        "–" if row[key] is None else f"{row[key]:.3f}" for key in ("effect", "low", "high")
    )
    return f"{effect} [{low}, {high}]"


def decided_of(lasts: Iterable[Last | None]) -> tuple[int, int]:
    """Return how many verdicts there are, and how many of them are decided."""
    words = [word_of(rows) for last in lasts if last for rows in last.decisions]
    return len(words), sum(word in ("holds", "fails") for word in words)


def word_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the word of a decision; "reported" if no part of it decides."""
    return next((row["verdict"] for row in rows if row["rule"]), "reported")
