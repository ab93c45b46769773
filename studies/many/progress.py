"""Progress of a study as a whole: one bar on a terminal, else a line whenever a run changes its
state. Imports no torch."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tqdm import tqdm

from studies.many.folder import StudyFolder
from studies.run_sets.members import RunStatus, State

LOOK_SECONDS = 1.0  # between looks at the runs
ORDER: tuple[State, ...] = (
    "failed",
    "diverged",
    "lost",
    "running",
    "preempted",
    "waiting",
    "done",
)


class Progress:
    """Display of how all runs of a study stand. A context manager."""

    def __init__(self, folder: StudyFolder, say: Callable[[str], None]):
        self.folder, self._say = folder, say
        self.states: dict[str, State] = {}
        self.looked = -LOOK_SECONDS
        self.bar = tqdm(desc="study", unit="step", file=sys.stderr, disable=None)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.looked = -LOOK_SECONDS
        self.show()
        self.bar.close()

    def say(self, line: str) -> None:
        """Print a line; above the bar, where there is one."""
        self._say(line) if self.bar.disable else self.bar.write(line)

    def show(self) -> None:
        """Look how the runs stand, if the last look is old, and show it."""
        if time.monotonic() - self.looked >= LOOK_SECONDS:
            statuses = self.folder.read_status()
            self._tell(statuses)
            self.bar.total = sum(status.of_steps for status in statuses)
            self.bar.n = sum(status.step for status in statuses)
            self.bar.set_postfix_str(summary(statuses))
            self.looked = time.monotonic()

    def _tell(self, statuses: Sequence[RunStatus]) -> None:
        """Say which runs have changed their state; at first, how many there are of each."""
        if not self.states:
            self.say(summary(statuses))
        done = sum(status.state == "done" for status in statuses)
        for status in statuses:
            changed = self.states.get(status.name, status.state) != status.state
            if changed and (self.bar.disable or status.state in ("failed", "diverged")):
                why = f": {status.why}" if status.why else ""
                self.say(f"{status.name}: {status.state}{why} ({done} of {len(statuses)} done)")
        self.states = {status.name: status.state for status in statuses}


def summary(statuses: Iterable[RunStatus]) -> str:
    """Return how many runs are in each state, such as '9 runs: 1 failed, 2 running, 6 done'."""
    counts = Counter(status.state for status in statuses)
    parts = [f"{counts[state]} {state}" for state in ORDER if counts[state]]
    return f"{counts.total()} runs: {', '.join(parts)}"


def table(statuses: Iterable[RunStatus]) -> str:
    """Return a line per run, those first that need a look."""
    rows = sorted(statuses, key=lambda status: ORDER.index(status.state))
    width = max(len(status.name) for status in rows)
    return "\n".join(_row(status, width) for status in rows)


def _row(status: RunStatus, width: int) -> str:
    where = f"{status.stage:<8} {status.step}/{status.of_steps}" if status.stage else ""
    return f"{status.name:<{width}}  {status.state:<9}  {where:<20}  {status.why}".rstrip()
