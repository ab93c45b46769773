"""Page docs/findings/claims.md: every claim with its verdict, written from the verdict files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from studies.claims.listing import (
    ROOT,
    Last,
    Listed,
    decided_of,
    effect_text,
    last_verdict,
    listed,
    word_of,
)

PAGE = ROOT / "docs" / "findings" / "claims.md"
HEAD = """# Claims of the papers

Every claim that was written down before its runs, with its verdict.
`scripts/reproduce.py` writes this page from the files of `docs/findings/claims/`; no number is
copied by hand. How to decide one again is in [the guide](../guides/claims.md), how to add one in
[adding a claim](../extending/claims.md).

- A claim *holds*, *fails* or is *undecided*, by its rule. "reported" decides nothing.
  "(gate …)": what must be true before is not.
- Brackets are 95 % intervals. MOST, SOME, ALL and RARE judge shares of runs, MORE and SAME
  differences. EACH is said of these seeds alone.
- Rules: the first digits of the SHA-256 of the file of rules. A changed rule is a new claim (.v2).
"""
SUM = """Of {verdicts} verdicts {decided} are decided. They are not corrected for multiplicity:
.05 × {decided} = {wrong:.1f} of them are expected to be wrong.
"""


def page_text() -> str:
    """Return the whole page."""
    claims = [*listed().values()]
    lasts = {one.id: last_verdict(one) for one in claims}
    verdicts, decided = decided_of(lasts.values())
    waiting = [one for one in claims if one.entry.scale != "gpu" and lasts[one.id] is None]
    parts = [HEAD, SUM.format(verdicts=verdicts, decided=decided, wrong=0.05 * decided)]
    parts.append("\n".join(["## Decided", "", *_verdicts(claims, lasts)]) + "\n")
    parts.append("\n".join(["## Not run yet", "", *_waiting(waiting)]) + "\n")
    parts.append("\n".join(["## Not decidable on a CPU", "", *_elsewhere(claims)]))
    return "\n".join(parts) + "\n"


def _verdicts(claims: Sequence[Listed], lasts: Mapping[str, Last | None]) -> Iterator[str]:
    yield "| claim | says | variant | measured | rule | verdict | rules, date |"
    yield "|---|---|---|---|---|---|---|"
    for one in claims:
        last = lasts[one.id]
        for number, rows in enumerate(last.decisions if last else ()):
            assert last is not None
            of_rules = last.rules if last.rules == one.rules_hash else f"{last.rules} (older)"
            about = [f"`{rows[0]['claim']}`", one.entry.claim if number == 0 else "…"]
            yield _row([*about, rows[0]["variant"], *_measured(rows), f"{of_rules}, {last.date}"])


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what was measured, by which rules, and the word of the decision."""
    parts = [f"{row['what']}: {effect_text(row)}" for row in rows]
    rules = dict.fromkeys(row["rule"] for row in rows if row["rule"])
    return ["<br>".join(map(_plain, parts)), ", ".join(rules), f"**{word_of(rows)}**"]


def _waiting(claims: Sequence[Listed]) -> Iterator[str]:
    yield "| claim | says | rule | gate | cost |"
    yield "|---|---|---|---|---|"
    for one in claims:
        entry = one.entry
        yield _row([f"`{one.id}`", entry.claim, entry.rule, entry.gate or "–", entry.cost])


def _elsewhere(claims: Sequence[Listed]) -> Iterator[str]:
    yield "| claim | says | rule | command |"
    yield "|---|---|---|---|"
    for one in claims:
        if one.entry.scale == "gpu":
            yield _row(
                [f"`{one.id}`", one.entry.claim, one.entry.rule, f"`{one.entry.paper_scale}`"]
            )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it stands in a table."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
