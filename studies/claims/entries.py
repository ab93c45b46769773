"""Entries of claims in files of rules: what a list of claims tells. Imports no torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ground.endings import Mistake
from ground.reading import read_as, read_yaml

Scale = Literal["theory", "cpu", "gpu"]


@dataclass(frozen=True)
class Entry:
    """Entry of a claim in a file of rules.

    Attributes:
        claim: what is said.
        margin: δ of a rule about a difference.
        paper, figure: who says so, and where.
        statistic, rule, gate: what is measured, what it must be, and what must be true before.
        cost: of deciding it, in words.
        scale: theory and cpu are decided here; gpu is not.
        runs: configs of the studies that it is decided from; none: a computation of its own.
        numbers, lists: that decide, by name.
        paper_scale: the command for runs of the size of the paper; "": there is none.
    """

    claim: str = ""
    margin: float = 0.0
    paper: str = "arXiv:2410.08309"
    figure: str = ""
    statistic: str = ""
    rule: str = ""
    gate: str = ""
    cost: str = ""
    scale: Scale = "cpu"
    runs: tuple[str, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    lists: dict[str, tuple[float, ...]] = field(default_factory=dict)
    paper_scale: str = ""


def entries_of(file: Path) -> dict[str, Entry]:
    """Return the entries of a file of rules by the id of their claim. Raises Mistake for a file
    without any, and for what an entry may not say."""
    data = read_yaml(file)
    if "claims" not in data:
        raise Mistake(f"{file}: claims: missing; it holds an entry for each claim")
    return read_as(dict[str, Entry], data["claims"], f"{file.name}: claims")
