"""Programs that tests need and Debian has: installed where that is allowed, else the tests skip."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from ground.locks import locked

INSTALL = "apt-get update && apt-get install --yes --no-install-recommends {packages}"
LOCK = Path(tempfile.gettempdir()) / "tests-install.lock"  # one apt-get at a time
DAEMONS = "/usr/sbin"  # where Debian puts them
MOST_SECONDS = 300


def require_programs(programs: Sequence[str], packages: str) -> None:
    """Install packages unless all programs are there. Skips where that cannot be, saying why."""
    if DAEMONS not in os.environ["PATH"].split(":"):
        os.environ["PATH"] += f":{DAEMONS}"
    if _are_there(programs):
        return
    command = INSTALL.format(packages=packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        who = "this is another user" if shutil.which("apt-get") else "there is no apt-get"
        pytest.skip(f"no {' '.join(programs)} here; root installs it by `{command}`, but {who}")
    with locked(LOCK, wait=True):
        why = "" if _are_there(programs) else _install(command)
    if not _are_there(programs):
        pytest.skip(f"no {' '.join(programs)} here and `{command}` failed: {why}")


def _are_there(programs: Sequence[str]) -> bool:
    return all(map(shutil.which, programs))


def _install(command: str) -> str:
    """Returns the last thing that was said of it."""
    quiet = {"capture_output": True, "text": True, "timeout": MOST_SECONDS}
    done = subprocess.run(["bash", "-c", command], **quiet)
    return (done.stderr.strip() or "it left no programs").splitlines()[-1]
