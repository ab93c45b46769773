"""One finished run for all tests of a file."""

from pathlib import Path

import pytest

from tests.harness.commands import SHORT, TINY, call


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with one finished run, `tiny`."""
    folder = tmp_path_factory.mktemp("runs")
    status, out, err = call("run", "--config", TINY, "--runs", str(folder), *SHORT)
    assert status == 0, err
    assert "held_out" in out and "probe: trained" in out and "report:" in out
    return folder
