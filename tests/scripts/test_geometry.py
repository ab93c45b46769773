"""scripts/geometry.py: what it refuses before anything is loaded."""

import pytest

from tests.harness.commands import call


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise-seeds", "1"], "--noise-seeds: got 1, allowed 2 and more"),
        (["--grid", "1"], "--grid: got 1, allowed 2 to 32 places of each coordinate"),
        (["--steps", "0", "x"], "--steps: got 'x', allowed 'all', or steps such as 0 512 1024"),
        (["--swap", "--pooled"], "--swap: allowed without --pooled alone"),
        (["--steer", "1", "--pooled"], "--steer: allowed without --pooled alone"),
        (["--sites", "a", "--sites", "b"], "--sites: given twice; give it once"),
        ([], "not a run directory (no config.yaml)"),
    ],
)
def test_what_cannot_be_measured_gives_status_2(arguments, message, tmp_path):
    status, _, err = call("geometry", "--run", str(tmp_path), *arguments, cwd=tmp_path)
    assert status == 2 and message in err and len(err.splitlines()) == 1, err
    assert not list(tmp_path.iterdir())
