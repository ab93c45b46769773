"""A study on this machine: slots, processes of their own, that share its runs.

The launcher trains nothing: it starts the slots, shows how all runs stand, passes requests to stop
on, and starts a slot again when its process was killed. Imports no torch where there is no GPU to
ask for.
"""

import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ground.endings import Mistake, Preempted
from ground.locks import is_locked, locked
from studies.many.folder import WHOLE, StudyFolder
from studies.many.progress import Progress, summary
from studies.many.study import StudyConfig
from studies.run.stopping import SLOT, stop_on_request

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "sweep.py"
MOST_SLOTS = 1024
MOST_KILLS = 2  # of a run's process, in one launch: then the run has failed
WAIT_SECONDS = 0.2
MISTAKE = 2  # exit status: nothing goes on until somebody changes something
ENDED = (0, 75)  # nothing is free any more; stopped on request


@dataclass(frozen=True)
class Slot:
    """Place for one process at a time: its number, from 1 on, CPU threads, and GPU if any."""

    number: int
    threads: int
    gpu: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its process, beside those of this one."""
        own = {SLOT: str(self.number), "OMP_NUM_THREADS": str(self.threads)}
        return own if self.gpu is None else {**own, "CUDA_VISIBLE_DEVICES": self.gpu}


def divide(slots: int | None, per_gpu: int, gpus: Sequence[str], num_cores: int) -> list[Slot]:
    """Divide cores and GPUs among slots.

    slots: None is `per_gpu` on every GPU, or, without GPUs, one per core, of one thread each.
    Raises Mistake for none.
    """
    if per_gpu < 1:
        raise Mistake(f"--slots-per-gpu: got {per_gpu}, allowed are 1 and more")
    count = slots if slots is not None else len(gpus) * per_gpu or num_cores
    if not 1 <= count <= MOST_SLOTS:
        raise Mistake(f"--slots: got {count}, allowed are 1 to {MOST_SLOTS}")
    threads = max(1, num_cores // count)
    return [Slot(k + 1, threads, gpus[k % len(gpus)] if gpus else None) for k in range(count)]


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    if not Path("/proc/driver/nvidia").exists():
        return []
    import torch

    return [str(k) for k in range(torch.cuda.device_count())]


def launch(
    study: StudyConfig,
    folder: StudyFolder,
    slots: Sequence[Slot],
    command: Sequence[str],
    say: Callable[[str], None],
    deadline: float | None = None,
) -> None:
    """Run what is open of a study in slots. Raises Preempted when asked to stop, with all saved;
    Mistake at the end, if runs have failed.

    command: flags of `sweep.py work` that say which study.
    """
    asked = False
    with (
        stop_on_request(deadline) as should_stop,
        _registered(folder),
        Progress(folder, say) as progress,
    ):
        with _Launcher(study, folder, command, progress.say) as launcher:
            for slot in slots[: len(folder.open_runs(study))]:
                launcher.start(slot)
            while launcher.running:
                if should_stop() and not asked:
                    asked = True
                    launcher.stop()
                launcher.reap()
                progress.show()
                time.sleep(WAIT_SECONDS)
    if asked:
        raise Preempted("stopped when the time was up, what was finished is kept")
    _conclude(folder, launcher.problems, say)


class _Launcher:
    """Slots at work, and what has become of those that ended."""

    def __init__(
        self,
        study: StudyConfig,
        folder: StudyFolder,
        command: Sequence[str],
        say: Callable[[str], None],
    ):
        self.study, self.folder, self.say = study, folder, say
        self.command = [sys.executable, str(SCRIPT), "work", *command]
        self.running: dict[Slot, subprocess.Popen] = {}
        self.kills: Counter[str] = Counter()
        self.problems: list[str] = []
        self.stopping = False

    def start(self, slot: Slot) -> None:
        """Start a slot's process. It is in a session of its own: what a terminal sends to all
        reaches it once, from here."""
        self.folder.slots.mkdir(parents=True, exist_ok=True)
        with self._log(slot).open("a") as log:
            self.running[slot] = subprocess.Popen(
                [*self.command, "--threads", str(slot.threads)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **slot.environment},
                start_new_session=True,
            )

    def _log(self, slot: Slot) -> Path:
        return self.folder.slots / f"slot_{slot.number}.txt"

    def __enter__(self) -> "_Launcher":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        for process in self.running.values():
            process.wait()

    def stop(self) -> None:
        """Ask every slot to save and end; none is started again."""
        self.stopping = True
        for process in self.running.values():
            process.terminate()

    def reap(self) -> None:
        """Take note of the slots that have ended, and start those again whose run ended them."""
        for slot, process in list(self.running.items()):
            status = process.poll()
            if status is not None:
                del self.running[slot]
                if status not in ENDED:
                    self._broken(slot, process.pid, status)

    def _broken(self, slot: Slot, pid: int, status: int) -> None:
        taken = dict(self.folder.taken_by(pid))
        for name, entry in taken.items():
            if entry["state"] == "running":
                self._lost(name, entry["plan"], status)
        if not taken or status == MISTAKE:
            self.problems.append(f"slot {slot.number}: {_last_line(self._log(slot))}")
        elif not self.stopping and self.folder.open_runs(self.study):
            self.start(slot)

    def _lost(self, name: str, plan: str, status: int) -> None:
        self.kills[name] += 1
        how = f"its process was ended by {_ended_by(status)}"
        if self.kills[name] < MOST_KILLS:
            return self.say(f"{name}: lost, {how}; it is tried once more")
        self.say(f"{name}: failed, {how}, twice")
        why = f"{how}, twice; perhaps out of memory"
        self.folder.run(name).set_state(WHOLE, "failed", plan=plan, why=why, error="Killed")


def _ended_by(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else f"ended without a word, see {log}"


@contextmanager
def _registered(folder: StudyFolder) -> Iterator[None]:
    """Leave a file that is locked as long as this process lives: `stop_launchers` reads it."""
    path = folder.slots / f".{platform.node()}-{os.getpid()}.launcher"
    with locked(path):
        try:
            yield
        finally:
            path.unlink()


def stop_launchers(folder: StudyFolder) -> int:
    """Ask the launchers of this machine that work at a study to stop; returns how many."""
    own = f".{platform.node()}-"
    living = [path for path in folder.slots.glob(f"{own}*.launcher") if is_locked(path)]
    for path in living:
        os.kill(int(path.stem.removeprefix(own)), signal.SIGTERM)
    return len(living)


def _conclude(folder: StudyFolder, problems: Sequence[str], say: Callable[[str], None]) -> None:
    """Say how the study stands. Raises Mistake if a slot could not go on, or runs have failed."""
    statuses = folder.read_status()
    say(summary(statuses))
    if problems:
        raise Mistake("; ".join(problems))
    failed = [status for status in statuses if status.state in ("failed", "diverged")]
    if failed:
        raise Mistake(
            f"{len(failed)} of {len(statuses)} runs failed, such as {failed[0].name}: "
            f"{failed[0].why}; scripts/sweep.py retry tries them again"
        )
