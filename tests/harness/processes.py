"""Start a command that fills a run directory, and end every process that came of it."""

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "ATTEMPT_UNDER_TEST"  # variable that children inherit, also in a session of their own
HANG_SECONDS = 900  # no attempt of a test takes this long
GRACE_SECONDS = 10  # for the last processes of a command that has ended


@dataclass(frozen=True)
class Job:
    """A command that fills a run directory and, given again, goes on there.

    `environment` is added to this process's own.
    """

    command: Sequence[str]
    run_directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What all attempts printed."""
        return self.run_directory.with_name(f"{self.run_directory.name}.log")


class Attempt:
    """One start of a job. As a context manager it leaves no process behind."""

    def __init__(self, job: Job):
        self.job, self.mark = job, uuid.uuid4().hex
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("a") as log:
            self.process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **job.environment, MARK: self.mark},
                start_new_session=True,  # a Ctrl-C meant for the tests is not for the job
                preexec_fn=_heed_interrupts,
            )

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill_everything()

    def living(self) -> list[psutil.Process]:
        """All processes of this attempt, whoever their parent is now; none that is a zombie."""
        return [process for process in psutil.process_iter() if _carries(process, self.mark)]

    def kill_everything(self) -> int:
        """SIGKILL to all at once, until none is alive; returns how many there were."""
        found = self._kill_all()
        wait_for(  # again: some may just have been starting others
            lambda: self._kill_all() == 0, 30, lambda: f"will not die: {self.living()}"
        )
        self.process.wait()
        return found

    def _kill_all(self) -> int:
        processes = self.living()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(processes)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def end(self, seconds: float = HANG_SECONDS) -> int:
        """Exit status, awaited. AssertionError if it hangs or leaves a process behind."""
        wait_for(self.ended, seconds, lambda: f"no end after {seconds:g} s\n{self.tail()}")
        wait_for(lambda: not self.living(), GRACE_SECONDS, lambda: f"left {self.living()}")
        return self.process.wait()

    def tail(self) -> str:
        """The last lines printed."""
        return "\n".join(self.job.log.read_text(errors="replace").splitlines()[-30:])


def run_to_end(job: Job) -> None:
    """One attempt that nobody disturbs. AssertionError unless its status is 0."""
    with Attempt(job) as attempt:
        status = attempt.end()
        assert status == 0, f"status {status}\n{attempt.tail()}"


def wait_for(true: Callable[[], bool], seconds: float, complaint: Callable[[], str]) -> None:
    """Look every millisecond. AssertionError with the complaint if it never comes true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.001)


def _carries(process: psutil.Process, mark: str) -> bool:
    """False for the dead, and for those of others."""
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK) == mark
    return False


def _heed_interrupts() -> None:
    """A shell's background jobs ignore SIGINT, and so would all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
