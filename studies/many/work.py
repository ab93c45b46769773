"""One process that works at the runs of a study, one after the other, until none is free.

It takes a run by its lock, so any number of such processes, of one machine or of a cluster, share
the work. What it imports and what it knows of the world is there once for all of its runs.
"""

import contextlib
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from diffusion.train import Diverged
from ground.endings import Mistake
from studies.experiment.config import Config
from studies.forecast import NoRoom
from studies.many.folder import WHOLE, StudyFolder
from studies.many.share import Share
from studies.many.study import PlannedRun, StudyConfig
from studies.run.directory import Held
from studies.run.opened import Experiment
from studies.stages import run_experiment

Say = Callable[[str], None]
LOOK_SECONDS = 2.0  # between looks at runs that others hold


def work(
    study: StudyConfig,
    folder: StudyFolder,
    share: Share,
    say: Say,
    deadline: float | None = None,
) -> None:
    """Take one run after the other, until none is free. Raises Preempted, with all saved, when it
    is asked to stop; a mistake or divergence of a run is recorded and said, and the next is taken.
    """
    worker, since = _Worker(folder, share, say, deadline), time.monotonic()
    runs = share.ordered(study.runs)
    while share.most is None or worker.taken < share.most:
        if worker.take_one(runs):
            since = time.monotonic()
        elif worker.held and time.monotonic() - since < share.patience:
            time.sleep(LOOK_SECONDS)
        else:
            return


class _Worker:
    """What a process has taken, and what of the world it knows by now."""

    def __init__(self, folder: StudyFolder, share: Share, say: Say, deadline: float | None):
        self.folder, self.share, self.say, self.deadline = folder, share, say, deadline
        self.tried: set[str] = set()
        self.held: set[str] = set()
        self.taken = 0
        self.known: tuple[Config, Experiment] | None = None

    def take_one(self, runs: tuple[PlannedRun, ...]) -> bool:
        """Run the first one that is free; False if none is."""
        before, self.held = self.held, set()
        for planned in runs:
            if planned.name in self.tried:
                continue
            if self.folder.run(planned.name).is_held(WHOLE):
                self._pass_over(planned, before)
            elif self.folder.is_open(planned) and self._attempt(planned):
                return True
        return False

    def _pass_over(self, planned: PlannedRun, before: set[str]) -> None:
        self.held.add(planned.name)
        if planned.name not in before and self.share.most is not None:
            self.say(f"{planned.name}: another process is at it; passing over it")

    def _attempt(self, planned: PlannedRun) -> bool:
        """Run one experiment, all stages; False if another process was first."""
        started = time.monotonic()
        try:
            self._run(planned)
        except Held:
            self.held.add(planned.name)
            return False
        except NoRoom:  # nor is there for any other
            raise
        except Mistake as mistake:
            what = "diverged" if isinstance(mistake, Diverged) else "failed"
            self.say(f"{planned.name}: {what}: {mistake}")
        else:
            self.say(f"{planned.name}: done in {time.monotonic() - started:.1f} s")
        self.tried.add(planned.name)
        self.taken += 1
        return True

    def _run(self, planned: PlannedRun) -> None:
        run = self.folder.run(planned.name)
        if not run.config_file.is_file():
            run.claim(planned.config)  # status and log belong into a run directory
        with run.writing(WHOLE, plan=planned.plan):
            self.say(f"{planned.name}: begins")
            with _logged(run.log):
                run_experiment(self._opened(planned), _print, self.deadline)

    def _opened(self, planned: PlannedRun) -> Experiment:
        """Open a run's experiment with the world of the last one, if it is the same."""
        run, config = self.folder.run(planned.name), planned.config
        if config.train.threads is None:
            config = replace(config, train=replace(config.train, threads=self.share.threads))
        if self.known and self.known[0].world == config.world:
            config = replace(config, world=self.known[1].config.world)  # with what its files hold
            experiment = self.known[1].beside(config, run)
        else:
            experiment = Experiment(config, run).with_contents()
        self.known = planned.config, experiment
        return experiment


def _print(line: str) -> None:
    print(line, flush=True)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Add all that is printed meanwhile to a log, and how it ended."""
    with path.open("a", encoding="utf-8", buffering=1) as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            print(f"-- {datetime.now():%F %T}, process {os.getpid()} on {platform.node()}")
            try:
                yield
            except BaseException as error:
                print(f"-- {type(error).__name__}: {error}")
                if not isinstance(error, Mistake):
                    traceback.print_exc()
                raise
