"""How the threads of a process wait for each other, chosen before OpenMP is loaded. Imports no
torch.

Threads of OpenMP meet after every operation of a network, and whoever comes first waits awake. On a
machine where other programs run, a thread often comes late because its core is another program's
for a moment. To wait awake then takes a core from everybody, the late thread too. So threads here
wait awake only for about as long as they wait for each other on an idle machine, and then sleep;
where other programs run as a command starts, they sleep almost at once.
"""

import os
import time
from pathlib import Path

SPIN = "GOMP_SPINCOUNT"  # read by libgomp, with which torch is built, when it is loaded
SAID_BY = (SPIN, "OMP_WAIT_POLICY")  # variables by which users choose for themselves
ROUNDS = "10000"  # awake: tenths of a millisecond; libgomp's own choice is thirty times that
ROUNDS_BESIDE_OTHERS = "300"  # microseconds: about what it costs to wake a thread
OTHERS_CORES = 0.5  # taken by other programs, from which on the machine is shared
LOOK_SECONDS = 0.05  # five ticks of the kernel's clock on every core
STATISTICS = Path("/proc/stat")  # Linux's, as libgomp mostly is
IDLE, IO_WAIT, GUEST = 3, 4, 8  # columns; those from GUEST on are counted in the first two


def wait_briefly() -> None:
    """Let OpenMP's threads wait awake for a short time only, unless the environment says how.

    Has an effect only before torch is imported, and on the processes that this one starts. Which
    thread computes what stays as it is, and so does every bit.
    """
    if not said_in_environment():
        shared = busy_cores() > OTHERS_CORES
        os.environ[SPIN] = ROUNDS_BESIDE_OTHERS if shared else ROUNDS


def said_in_environment() -> dict[str, str]:
    """Return the variables that say how threads wait, with their values."""
    return {name: os.environ[name] for name in SAID_BY if name in os.environ}


def busy_cores() -> float:
    """Return how many of the cores that this process may use others use now, a float.

    Sleeps for LOOK_SECONDS. 0 where the kernel does not say, and for a process that a launcher
    started: the others are its own ranks, which wait for each other differently.
    """
    if not STATISTICS.exists() or os.environ.get("WORLD_SIZE", "1") != "1":
        return 0.0
    before = _ticks()
    time.sleep(LOOK_SECONDS)
    return sum(_share(*ticks, *before[core]) for core, ticks in _ticks().items())


def _share(busy: int, ticks: int, busy_before: int, before: int) -> float:
    """Return the part of the time that passed in which a core worked."""
    return (busy - busy_before) / max(ticks - before, 1)


def _ticks() -> dict[str, tuple[int, int]]:
    """Return, by core, the ticks in which it worked, for us or (stolen) elsewhere, and all."""
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in STATISTICS.read_text().splitlines())
    counts = {name: [int(c) for c in columns[:GUEST]] for name, *columns in lines if name in own}
    return {name: (sum(c) - c[IDLE] - c[IO_WAIT], sum(c)) for name, c in counts.items()}
