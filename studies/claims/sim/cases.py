"""Cases of a claim: the runs that it is decided from, selected by their settings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ground.endings import Mistake
from studies.claims.claim import Claim, Decision, Part, Rule
from studies.claims.evidence import count
from studies.claims.sim import measures
from studies.claims.sim.config import Run, SimConfig
from studies.claims.sim.kinds import Kind, check_kind
from studies.claims.sim.rules import RULES_FILE, Rules
from studies.claims.sim.runs import Paths, Study
from studies.claims.sim.selections import Select

PAPER = "arXiv:2410.08309"


@dataclass(frozen=True)
class Case:
    """Claim in one variant, to be decided from some runs of a study.

    Attributes:
        study: whose runs they are.
        claim: its id.
        label: of the variant, for people.
        names: of the runs, in the order in which they were selected.
    """

    study: Study
    claim: str
    label: str
    names: Sequence[str]

    @property
    def margin(self) -> float:
        """Margin δ of the claim."""
        return self.study.rules.claims[self.claim].margin

    @property
    def rules(self) -> Rules:
        """Rules of the study."""
        return self.study.rules

    @property
    def runs(self) -> list[Run]:
        """Runs, as the config has them."""
        return [self.study.config.runs[name] for name in self.names]

    @property
    def paths(self) -> list[Paths]:
        """Paths of the runs."""
        return [self.study.paths[name] for name in self.names]

    def each(self, measure: Callable[[Run, Paths, Rules], np.ndarray]) -> list[np.ndarray]:
        """Return a measure over seeds of each of the runs."""
        return [self.study.of(measure, name) for name in self.names]

    def rising(self) -> list[np.ndarray]:
        """Return of each of the runs, bool (seed,), whether its loss rises."""
        return [measures.rising(paths, self.rules) for paths in self.paths]

    def decision(self, parts: Iterable[Part], more: str = "") -> Decision:
        """Return the decision that `parts` make; `more` is added to the label."""
        return Decision(self.claim, self.label + more, [*parts])

    def twice(self, label: str, what: np.ndarray, more: Sequence[Part] = ()) -> list[Decision]:
        """Decide whether something is typical, and whether it occurs at all."""
        typical, occurs = ([(label, count(rule, what))] for rule in ("MOST", "SOME"))
        return [
            Decision(f"{self.claim}.typical", self.label, [*typical, *more]),
            Decision(f"{self.claim}.occurs", self.label, occurs),
        ]


def sim_claim(
    id: str,
    source: str,
    kind: Kind,
    select: Select,
    decide: Callable[[Case], Iterable[Decision]],
    numbers: tuple[str, ...],
) -> Claim[SimConfig, Study]:
    """Return a claim of the paper that is decided case by case.

    source: the place in the paper. kind: of all runs that it is decided from. select: the runs of
    each case, by label. decide: the decisions of one case. numbers: keys of the rules that it uses.
    """

    def needs(config: SimConfig) -> None:
        cases = select(config)
        if not cases:
            raise Mistake(f"{kind.words}, got none that decides it of {', '.join(config.runs)}")
        for names in cases.values():
            check_kind(kind, config, names)

    def decide_all(study: Study) -> list[Decision]:
        cases = (Case(study, id, *case) for case in select(study.config).items())
        return [decision for case in cases for decision in decide(case)]

    return Claim(id, f"{PAPER}, {source}", Rule(RULES_FILE, numbers), needs, decide_all)
