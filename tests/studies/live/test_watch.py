"""scripts/watch.py: serves while somebody is at work, and says why it does not."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.harness.commands import call, finish, start


def test_of_a_run_at_which_nobody_is_it_says_so(growing, tmp_path):
    for path in (growing.run.path, tmp_path / "none"):
        status, out, err = call("watch", "--run", str(path))
        assert (status, out) == (2, "")
        assert err == f"error: {path}: nobody is at work on it; start it, or open its report.html\n"


@pytest.mark.slow
def test_it_serves_until_the_run_ends(growing):
    with growing.run.locked("evaluate"):
        process = start("watch", "--run", str(growing.run.path))
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().split()[-1])
        connection = HTTPConnection(address.netloc, timeout=60)
        connection.request("GET", address.path)
        assert b"<title>color_and_size</title>" in connection.getresponse().read()
        assert process.poll() is None
    assert finish(process) == (0, "live: the run has ended\n", "")
