"""How the threads of a process wait for each other, chosen before OpenMP is loaded. Imports no
torch.

Threads of OpenMP meet after every operation of a network, and whoever comes first waits awake. On a
machine where other programs run, a thread often comes late because its core is another program's
for a moment. To wait awake then takes a core from everybody, the late thread too. So threads here
wait awake only for about as long as they wait for each other on an idle machine, and then sleep.
"""

import os

SPIN = "GOMP_SPINCOUNT"  # read by libgomp, with which torch is built, when it is loaded
ROUNDS = "10000"  # awake: tenths of a millisecond; libgomp's own choice is thirty times that
SAID_BY = (SPIN, "OMP_WAIT_POLICY")  # variables by which users choose for themselves


def wait_briefly() -> None:
    """Let OpenMP's threads wait awake for a short time only, unless the environment says how.

    Has an effect only before torch is imported, and on the processes that this one starts. Which
    thread computes what stays as it is, and so does every bit.
    """
    if not said_in_environment():
        os.environ[SPIN] = ROUNDS


def said_in_environment() -> dict[str, str]:
    """Return the variables that say how threads wait, with their values."""
    return {name: os.environ[name] for name in SAID_BY if name in os.environ}
