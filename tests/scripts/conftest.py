"""One finished run for all tests of command lines."""

import shutil
from pathlib import Path

import pytest

from tests.harness.commands import SHORT, TINY, finish, start
from tests.harness.shared import made_once


def make_run(folder: Path) -> None:
    status, out, err = finish(start("run", "--config", TINY, "--runs", str(folder), *SHORT))
    assert status == 0, err
    assert "held_out" in out and "probe: trained" in out and "report:" in out


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder of a file's own with one finished run, `tiny`."""
    finished = made_once(tmp_path_factory, "finished", make_run)
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("runs") / "runs", symlinks=True))
