"""Contract of a claim: what is said, where, what it needs, what decides it, and by which rule.

It is the same for every family of studies; `studies/claims/registry.py` knows all claims.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from analysis.measures.verdicts import Verdict, Word, together
from studies.claims.entries import entries_of

Config = TypeVar("Config")  # what a study is to run
Study = TypeVar("Study")  # its runs, and what they did

Part = tuple[str, Verdict]  # what was measured, and what it says


@dataclass(frozen=True)
class Decision:
    """Claim in one variant, with what was measured.

    Attributes:
        claim: its id. A claim that is asked in two ways adds a word, such as .typical.
        variant: what it was decided from, for people.
        parts: what was measured. A part whose verdict has the rule "" only informs.
        gate: why it is not decided, or "".
    """

    claim: str
    variant: str
    parts: Sequence[Part]
    gate: str = ""

    @property
    def word(self) -> Word:
        """Word of the parts that decide, together; undecided if there is none, or by the gate."""
        if self.gate:
            return "undecided"
        words = [verdict.word for _, verdict in self.parts if verdict.rule]
        return together(words) if words else "undecided"


@dataclass(frozen=True)
class Rule:
    """Rule of a claim, fixed in a file before the runs that it judges.

    Attributes:
        file: a YAML file whose key `claims` holds an `Entry` by id.
        numbers: keys of that file whose numbers decide; margin is the one of the entry.
    """

    file: Path
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim(Generic[Config, Study]):
    """One claim.

    Attributes:
        id: its name in configs, in the file of rules and in tables.
        source: the paper, with the figure, theorem or section that says it.
        rule: what decides it.
        needs: raises Mistake, before the work, if a study with this config cannot decide it. The
            message ends the sentence "the claim asks for".
        decide: the decisions from a study's runs, one a variant and way of asking.
    """

    id: str
    source: str
    rule: Rule
    needs: Callable[[Config], None]
    decide: Callable[[Study], list[Decision]]

    @property
    def statement(self) -> str:
        """Statement, as the file of rules words it."""
        return entries_of(self.rule.file)[self.id].claim
