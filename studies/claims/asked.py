"""What the command `scripts/reproduce.py ID` is asked for. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        runs: folder of the studies' folders.
        slots: processes at a time; None: one per core.
        deadline: when the time is up, on the clock of time.monotonic(); None: never.
    """

    runs: Path
    slots: int | None = None
    deadline: float | None = None
