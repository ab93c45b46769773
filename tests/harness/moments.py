"""Moments of a run at which to end it, seen from its files."""

import glob
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.processes import HANG_SECONDS, Attempt, wait_for


@dataclass(frozen=True)
class Moment:
    """Up to `longest_delay` seconds after a file is new or has grown.

    `pattern` says which files, below the run directory; None: the start of the command.
    """

    pattern: str | None
    longest_delay: float


MOMENTS: Mapping[str, Moment] = {
    "start": Moment(None, 8.0),  # about what the imports and the data take
    "step": Moment("metrics.jsonl", 0.5),
    "snapshot write": Moment("snapshots/.step_*.tmp", 0.03),
    "state write": Moment("state/.step_*.tmp", 0.03),
    "sampling": Moment("samples/*/*", 0.5),
    "scoring": Moment(".*.parquet", 0.005),  # written in milliseconds
}
TRAINING = ("start", "step", "snapshot write", "state write")
EVALUATION = ("sampling", "scoring")


class Growth:
    """Tells whether files that match a pattern are new or have grown since this was made."""

    def __init__(self, directory: Path, pattern: str):
        self.directory, self.pattern = directory, pattern
        self.smallest = self._sizes()

    def seen(self) -> bool:
        sizes = self._sizes()
        grown = any(size > self.smallest.get(name, 0) for name, size in sizes.items())
        for name in self.smallest.keys() & sizes.keys():  # a resume truncates before it appends
            self.smallest[name] = min(self.smallest[name], sizes[name])
        return grown

    def _sizes(self) -> dict[str, int]:
        names = glob.glob(self.pattern, root_dir=self.directory)
        return {name: _size(self.directory / name) for name in names}


def _size(path: Path) -> int:
    """−1 for what has gone since it was listed."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return -1


def await_moment(attempt: Attempt, moment: Moment, rng: random.Random) -> bool:
    """Wait for it and a random delay; False if the command ends before."""
    if moment.pattern is not None:
        growth = Growth(attempt.job.run_directory, moment.pattern)
        wait_for(
            lambda: growth.seen() or attempt.ended(),
            HANG_SECONDS,
            lambda: f"{moment} never came\n{attempt.tail()}",
        )
    time.sleep(rng.uniform(0, moment.longest_delay))
    return not attempt.ended()


def draw_moments(count: int, rng: random.Random, names: Sequence[str]) -> list[str]:
    """`count` names, each about as often; what comes later in a run stands later."""

    def in_evaluation(name: str) -> bool:
        return rng.random() < 0.5 if name == "start" else name in EVALUATION

    shuffled = [name for _ in range(count) for name in rng.sample(names, len(names))][:count]
    return sorted(shuffled, key=in_evaluation)
