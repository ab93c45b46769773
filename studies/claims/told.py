"""Decisions as rows of tables and lines of text: a row per part, the same for all families."""

import math
from collections.abc import Mapping
from typing import Any

from studies.claims.claim import Decision


def as_rows(decision: Decision, gate: str = "") -> list[Mapping[str, Any]]:
    """Return a row per part: what was measured, and the word of the whole claim.

    gate: why nothing of the study can be decided; the decision may have a gate of its own.
    """
    why = gate or decision.gate
    word = f"undecided ({why})" if why else decision.word
    return [
        {
            "claim": decision.claim,
            "variant": decision.variant,
            "verdict": word if part.rule else "reported",
            "what": what,
            "rule": part.rule,
            "effect": _known(part.effect),
            "low": _known(part.interval.low),
            "high": _known(part.interval.high),
        }
        for what, part in decision.parts
    ]


def _known(number: float) -> float | None:
    """Return what JSON can say: it has no nan."""
    return number if math.isfinite(number) else None


def line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of text."""
    effect, low, high = (
        "unknown" if row[key] is None else f"{row[key]:.3f}" for key in ("effect", "low", "high")
    )
    interval = f"{effect} [{low}, {high}]"
    rule = f", {row['rule']}" if row["rule"] else ""
    return f"{row['claim']} | {row['variant']} | {row['what']}: {interval}{rule} | {row['verdict']}"
