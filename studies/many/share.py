"""Shares of a study: what one process of several works at. Imports no torch."""

from dataclasses import dataclass

from ground.endings import Mistake
from studies.many.study import PlannedRun


@dataclass(frozen=True)
class Share:
    """Share of a study that one process works at.

    Attributes:
        task, of: where among the runs it begins: task k of n at run k/n of the way.
        most: how many runs it takes; None: as many as are free.
        patience: how many seconds it waits for runs that others hold, before it ends.
        threads: CPU threads, where the experiment does not say how many.
    """

    task: int = 0
    of: int = 1
    most: int | None = None
    patience: float = 0.0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.of < 1:
            raise Mistake(f"--of: got {self.of}, allowed are 1 and more")
        if not 0 <= self.task < self.of:
            raise Mistake(f"--task: got {self.task}, allowed are 0 to below --of = {self.of}")
        if self.most is not None and self.most < 1:
            raise Mistake(f"--most: got {self.most}, allowed are 1 and more")

    def ordered(self, runs: tuple[PlannedRun, ...]) -> tuple[PlannedRun, ...]:
        """Return all runs, those of the share first."""
        first = self.task * len(runs) // self.of
        return runs[first:] + runs[:first]
