"""Requests to stop: signals, a limit of minutes, a launcher that is gone. Imports no torch."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ground.endings import Preempted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # USR1: what SLURM may send in advance
PR_SET_PDEATHSIG = 1  # prctl(2)
INIT = 1  # the process that adopts orphans
LAUNCHERS = (
    *(b"accelerate", b"accelerate.commands.launch", b"torchrun", b"torch.distributed.run"),
    b"sweep.py",
)
SLOT = "STUDY_SLOT"  # of the processes that scripts/sweep.py run starts: their number
LAUNCHED = ("TORCHELASTIC_RUN_ID", SLOT)  # variables that a launcher's processes have


@contextlib.contextmanager
def stop_on_request(deadline: float | None = None) -> Iterator[Callable[[], bool]]:
    """Let signals set a flag instead of ending the process; yield what reads the flag.

    deadline: on time.monotonic()'s clock; once it is past, the flag is up.
    """
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda n, frame: caught.append(n)) for number in SIGNALS
    }
    try:
        yield lambda: bool(caught) or (deadline is not None and time.monotonic() > deadline)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:  # after the last look at the flag
        raise Preempted("stopped on request, what was finished is kept")


def follow_launcher() -> None:
    """Ask Linux for a SIGTERM when the launcher that started this process is gone.

    `accelerate launch` of one process passes no signal on, and a killed torchrun leaves its workers
    behind: they would train on, holding the run's lock, with nobody to stop them.
    """
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):  # no /proc, no prctl: not Linux
        command = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
        names = [os.path.basename(part) for part in command]
        if any(name in LAUNCHERS for name in names):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            gone = os.getppid() != parent
        else:  # an orphan, unless a launcher of somebody's own is a container's init
            orphan = parent == INIT and not names[0].startswith(b"python")
            gone = orphan and any(name in os.environ for name in LAUNCHED)
        if gone:
            raise Preempted("the launcher is gone, nothing was begun")
