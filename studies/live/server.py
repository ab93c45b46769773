"""A run at work on a page of this machine: a server that answers one address, and only reads.

It knows two paths, the page and its data, both below a token that no one can guess. No file is
served by its name, and what the data are made from must lie in the run's directory. A page of
another site cannot ask in a reader's name: the Host header must be ours.
"""

import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from analysis.report.live import live_page, policy
from studies.live.content import LiveContent
from studies.run.directory import RunDir

LOOPBACK, TOKEN_BYTES = "127.0.0.1", 24
HTML, JSON = "text/html; charset=utf-8", "application/json"
LOOKED_SECONDS, LAST_LOOK_SECONDS = 10.0, 5.0  # who looked so lately may look once more at the end


class LiveServer(ThreadingHTTPServer):
    """Server of one run on a loopback port that the system chooses.

    Attributes:
        address: of the page, with its token.
    """

    daemon_threads = True

    def __init__(self, run: RunDir):
        super().__init__((LOOPBACK, 0), _Handler)
        self.content, self.token = LiveContent(run), secrets.token_urlsafe(TOKEN_BYTES)
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}
        self.address = f"http://{LOOPBACK}:{self.server_port}/{self.token}/"
        self.looked_at, self.has_ended, self.last_look = 0.0, Event(), Event()

    def data(self, known: str) -> bytes:
        """Return the data of the page as JSON; known: the version that it has already."""
        ended = self.has_ended.is_set()
        told = {**self.content.now(known, last=ended), "ended": ended}
        self.looked_at = time.monotonic()
        if ended:
            self.last_look.set()
        return json.dumps(told).encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of pages that are closed while they are answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Stop, but first let a page that looks at the run see how it ended."""
        self.has_ended.set()
        if time.monotonic() - self.looked_at < LOOKED_SECONDS and self.looked_at:
            self.last_look.wait(LAST_LOOK_SECONDS)
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    server_version, sys_version = "concept-dynamics", ""

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        path, _, known = self.path.partition("?known=")
        answer = self._answers(known).get(self._below_token(path))
        if answer is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        kind, make = answer
        self._send(HTTPStatus.OK, kind, make())

    def _below_token(self, path: str) -> str | None:
        """Return what a path asks for; None of one that has not the token."""
        before, *rest = path.split("/", 2)
        if before or len(rest) != 2:
            return None
        known = secrets.compare_digest(rest[0].encode(), self.server.token.encode())
        return rest[1] if known else None

    def _answers(self, known: str) -> dict[str | None, tuple[str, Callable[[], bytes]]]:
        return {
            "": (HTML, lambda: live_page(self.server.content.name).encode()),
            "data.json": (JSON, lambda: self.server.data(known)),
        }

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", f"{policy()}; frame-ancestors 'none'"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the run's."""


@contextmanager
def live(run: RunDir, say: Callable[[str], None]) -> Iterator[LiveServer]:
    """Serve a run while what is inside goes on, and say the address."""
    server = LiveServer(run)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    say(f"live: {server.address}")
    try:
        yield server
    finally:
        server.end()
        thread.join()
