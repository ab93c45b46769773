"""The list of claims as text: what `scripts/reproduce.py list` prints. Imports no torch."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from studies.claims.listing import Last, Listed, decided_of, last_verdict, verdict_text

WIDTH = 100  # characters of a line
KEY = "    {:<11}"  # what begins a line: a name of the block
NOT_HERE, NOT_YET = "not decidable here", "not run yet"


def list_lines(claims: Sequence[Listed]) -> list[str]:
    """Return a block of lines for each claim, and how many verdicts there are.

    A block has the id, the paper with figure, what is claimed and measured, the rule, the cost and
    the last verdict, a line of each variant.
    """
    lasts = {one.id: last_verdict(one) for one in claims}
    blocks = [line for one in claims for line in (*_block(one, lasts[one.id]), "")]
    return [*blocks, *textwrap.wrap(_counted(claims, lasts), WIDTH)]


def _block(one: Listed, last: Last | None) -> Iterator[str]:
    entry = one.entry
    yield f"{one.id}   {entry.paper}, {entry.figure}"
    told = {"claim": entry.claim, "statistic": entry.statistic, "rule": entry.rule}
    for key, text in {**told, "gate": entry.gate, "cost": entry.cost}.items():
        if text:
            yield from _keyed(key, text)
    for number, text in enumerate(_verdicts(one, last)):
        yield from _keyed("" if number else "verdict", text)


def _keyed(key: str, text: str) -> Iterator[str]:
    first, rest = KEY.format(key), KEY.format("")
    yield from textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def _verdicts(one: Listed, last: Last | None) -> Iterator[str]:
    """Yield the verdict of each variant, or why there is none."""
    if last is None:
        yield NOT_HERE if one.entry.scale == "gpu" else NOT_YET
        return
    stale = "" if last.rules == one.rules_hash else " (by other rules)"
    for rows in last.decisions:
        way = rows[0]["claim"].removeprefix(one.id).lstrip(".")  # a way of asking adds a word
        asked = f" ({way})" if way else ""
        yield f"{verdict_text(rows)}{stale}   {rows[0]['variant']}{asked}"


def _counted(claims: Sequence[Listed], lasts: Mapping[str, Last | None]) -> str:
    verdicts, decided = decided_of(lasts.values())
    there = sum(last is not None for last in lasts.values())
    return (
        f"claims: {len(claims)}, {there} of them with verdicts; {decided} of {verdicts} "
        f"verdicts are decided, of which .05 × {decided} = {0.05 * decided:.1f} are expected to be "
        f"wrong"
    )
