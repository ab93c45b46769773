"""Command lines on runs of some seconds: processes of their own, as a user starts them, and, where
seconds of imports would prove nothing, in the process of the test."""

import io
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from studies.run.stopping import SIGNALS

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
SHORT = (
    *("--train.max-steps", "8", "--train.batch-size", "8", "--train.state-every", "4"),
    *("--train.threads", "1", "--world.num-images", "64"),
    *("--probe.steps", "40", "--probe.gate", "0.3", "--evaluate.num-inference-steps", "2"),
    *("--probe.certificate-images", "64"),
    *("--evaluate.final-images-per-combination", "8"),
)


def start(script: str, *arguments: str, **options) -> subprocess.Popen:
    """A process of its own."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def call(script: str, *arguments: str, cwd: Path = ROOT) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command line, in this process."""
    path, out, err, status = str(ROOT / "scripts" / f"{script}.py"), io.StringIO(), io.StringIO(), 0
    with _as_it_was(), chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        sys.argv = [path, *arguments]
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return status, out.getvalue(), err.getvalue()


@contextmanager
def _as_it_was() -> Iterator[None]:
    """What a command changes in its process is undone."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with mock.patch.dict(os.environ), mock.patch.object(sys, "argv"), warnings.catch_warnings():
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
