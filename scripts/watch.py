"""Show a run at work in the browser: samples, paths and curves so far, loss, speed and time left.

Serves one page on this machine, at an address that it prints, until the run ends. Only reads.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from ground.endings import Mistake
from studies.cli import say, start
from studies.run.directory import RunDir

LOOK_SECONDS = 2.0
IDLE_LOOKS = 5  # in a row, that find nobody at work: between two stages there is a moment


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: the run directory; its training or evaluation is at work.
    """

    run: Path


def is_at_work(run: RunDir) -> bool:
    """Return whether a process trains or evaluates the run."""
    return run.is_held("train") or run.is_held("evaluate")


def main() -> None:
    run = RunDir(tyro.cli(Arguments, description=__doc__).run)
    if not run.path.is_dir() or not is_at_work(run):
        raise Mistake(f"{run.path}: nobody is at work on it; start it, or open its report.html")
    from studies.live.server import live

    with live(run, say):
        idle = 0
        while idle < IDLE_LOOKS:
            time.sleep(LOOK_SECONDS)
            idle = 0 if is_at_work(run) else idle + 1
    say("live: the run has ended")


if __name__ == "__main__":
    start(main, resumes=False)
