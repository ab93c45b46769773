"""The live page: what it tells of a run that grows, and what it tells nobody."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from studies.live import content
from studies.live.server import LOOPBACK, LiveServer, live
from studies.run.directory import RunDir


@pytest.fixture
def server(growing) -> Iterator[LiveServer]:
    said: list[str] = []
    with live(growing.run, said.append) as server:
        assert said == [f"live: {server.address}"]
        yield server


@pytest.fixture(scope="module")
def quiet(tmp_path_factory) -> Iterator[LiveServer]:
    """The server of a run that has not begun."""
    with live(RunDir(tmp_path_factory.mktemp("runs") / "new"), lambda line: None) as server:
        yield server


def ask(server: LiveServer, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=600)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def data(server: LiveServer, known: str = "") -> dict:
    answer = ask(server, f"/{server.token}/data.json?known={known}")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.read())


def steps(told: dict) -> list[int]:
    return json.loads(told["explored"]["json"])["steps"]


def test_points_are_added_as_snapshots_are_scored(server, growing):
    first = data(server)
    assert steps(first) == [0, 25, 50, 75, 100, 150, 200, 250, 300]
    assert first["line"].startswith("evaluate: step 1,200 of 1,200, loss 0.0")
    assert "explored" not in data(server, first["version"])
    growing.score(to=400)
    more = data(server, first["version"])
    assert steps(more) == [*steps(first), 350, 400] and more["version"] != first["version"]
    assert more["explored"]["sheets"][0].startswith("data:image/png;base64,")


def test_a_run_that_has_nothing_yet_says_so(quiet):
    said = {"name": "new", "line": "waiting: the run has not begun"}
    assert data(quiet) == {**said, "version": "", "ended": False}


def test_the_page_runs_its_own_script_alone(quiet):
    answer = ask(quiet, f"/{quiet.token}/")
    page, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "", "/wrong/", "/wrong/data.json", "/{token}", "/{token}x/", "/{token}%2f"),
        *("/{token}/config.yaml", "/{token}/../config.yaml", "/{token}/../../../etc/passwd"),
        *("/{token}/%2e%2e/config.yaml", "/{token}//etc/passwd", "/{token}/data.json/"),
        *("/{token}/scores.parquet/", "/../{token}/", "/{token}/%e4"),
    ],
)
def test_nothing_else_is_there(quiet, path):
    answer = ask(quiet, path.format(token=quiet.token))
    assert answer.status in (400, 404) and quiet.token.encode() not in answer.read()


@pytest.mark.parametrize("host", ["example.org", "localhost", "127.0.0.1:1", "0.0.0.0:{port}"])
def test_a_page_of_another_name_is_told_nothing(quiet, host):
    given = host.format(port=quiet.server_port)
    answer = ask(quiet, f"/{quiet.token}/data.json", Host=given)
    assert answer.status == 421 and b"steps" not in answer.read()


def test_it_only_reads(quiet):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(quiet, f"/{quiet.token}/data.json", method).status == 501


def test_it_listens_on_this_machine_alone(quiet):
    assert quiet.server_address[0] == "127.0.0.1" and len(quiet.token) >= 32


@pytest.mark.parametrize("name", ["samples", "scores.parquet", "metrics.jsonl"])
def test_what_leads_outside_of_the_run_is_not_shown(growing, tmp_path, name):
    """Beside the run, and with a name that begins as the run's."""
    path, outside = growing.run.path / name, tmp_path / "runs" / "color_and_size_too"
    outside.mkdir()
    shutil.move(path, outside / name)
    path.symlink_to(outside / name)
    with live(growing.run, lambda line: None) as server:
        told = data(server)
    assert told["why"] == f"{name}: leads outside of color_and_size; nothing is shown"
    assert {*told} == {"name", "why", "ended"}


def test_one_samples_file_that_leads_outside_is_enough(growing, tmp_path):
    file = next(growing.run.samples.rglob("*.npz"))
    shutil.move(file, tmp_path / "elsewhere.npz")
    file.symlink_to(tmp_path / "elsewhere.npz")
    with live(growing.run, lambda line: None) as server:
        assert "leads outside" in data(server)["why"]


def test_it_ends_with_the_run_and_lets_who_looks_see_it(growing, monkeypatch):
    monkeypatch.setattr(content, "REST", 10**6)  # so long that nothing is made again but at the end
    with live(growing.run, lambda line: None) as server:
        first = data(server)
        growing.score(to=1200)
        assert not first["ended"] and "explored" not in data(server, first["version"])
        server.has_ended.set()
        last = data(server, first["version"])
        assert last["ended"] and steps(last)[-1] == 1200 and server.last_look.is_set()
    with pytest.raises(ConnectionRefusedError):
        data(server)


def test_a_damaged_log_is_told_and_the_server_goes_on(server, growing):
    (growing.run.path / "metrics.jsonl").write_text("{no json}\n")
    assert "metrics.jsonl: not readable as JSON" in data(server)["why"]
    (growing.run.path / "metrics.jsonl").write_text('{"step": 7, "loss": 0.5}\n{"step": 8, "lo')
    assert data(server)["line"].startswith("evaluate: step 7 of 1,200, loss 0.5000")
