"""A real browser without a window or network, driven by clicks and keys over its DevTools protocol.

Requests and answers are JSON texts, each ended by a zero byte, on two pipes that the browser finds
as its files 3 and 4.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.programs import require_programs

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
MOST_SECONDS = 120  # until an answer: two cores may be busy
WELL_ABOVE = 10  # files 3 and 4 of this process may be its own
KEYS = {  # by Windows' numbers
    **{"Tab": 9, "Enter": 13, "End": 35, "Home": 36},
    **{"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40},
}
TEXTS = {"Enter": "\r"}
CENTRE = """(() => {
  const element = document.querySelector(%s);
  element.scrollIntoView({block: "center", inline: "center"});
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""


class Page:
    """A tab of a browser.

    Attributes:
        requests: addresses of all that it has asked for.
        errors: what its console has complained of: scripts that failed, what the policy forbade.
    """

    def __init__(self, send: int, receive: int):
        self._send, self._receive, self._rest = send, receive, b""
        self._session: str | None = None
        self._asked = self._loads = 0
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol."""
        self._asked += 1
        command = {"id": self._asked, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._send, json.dumps(command).encode() + b"\0")
        while (answer := self._next()).get("id") != self._asked:
            pass
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        """The next answer or event, of which note is taken."""
        deadline = time.monotonic() + MOST_SECONDS
        while b"\0" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            ready = select.select([self._receive], [], [], left)[0]
            data = os.read(self._receive, 1 << 20) if ready else b""
            assert data, "the browser does not answer"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event: str | None, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event == "Page.loadEventFired":
            self._loads += 1
        elif event == "Runtime.exceptionThrown":
            self.errors.append(about["exceptionDetails"]["text"])
        elif event == "Log.entryAdded":
            self.errors.append(about["entry"]["text"])

    def following(self, act: Callable[[], Any]) -> None:
        """Do what leads to another page, and wait until that is loaded."""
        before = self._loads
        act()
        while self._loads == before:
            self._next()

    def open(self, address: str) -> None:
        self.following(lambda: self.ask("Page.navigate", url="about:blank"))
        self.following(lambda: self.ask("Page.navigate", url=address))

    def back(self) -> None:
        """Go to the page before, as by the browser's own button."""
        history = self.ask("Page.getNavigationHistory")
        before = history["entries"][history["currentIndex"] - 1]["id"]
        self.following(lambda: self.ask("Page.navigateToHistoryEntry", entryId=before))

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def await_value(self, expression: str, seconds: float = MOST_SECONDS) -> None:
        """Wait until an expression is true: the browser scrolls in its own time."""
        deadline = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < deadline, f"{expression}: not true"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element."""
        x, y = self.value(CENTRE % json.dumps(selector))
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, *keys: str) -> None:
        """Press and release keys, by name or as characters."""
        for key in keys:
            number = KEYS[key] if key in KEYS else ord(key.upper()) if key.isalnum() else 0
            text = TEXTS.get(key, key if len(key) == 1 else "")
            about = {"key": key, "windowsVirtualKeyCode": number}
            down = "keyDown" if text else "rawKeyDown"
            self.ask("Input.dispatchKeyEvent", type=down, text=text, **about)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def look(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Give the window a size in px, and ask for dark colors or not."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def processor_seconds(self) -> float:
        """Seconds that all threads of the page's process have worked so far, drawing too: unlike a
        clock's, these do not grow while others use the machine."""
        self.ask("Performance.enable")
        metrics = self.ask("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in metrics}["ProcessTime"]

    def save_picture(self, path: Path) -> None:
        """Save what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))


@contextmanager
def open_browser(folder: Path) -> Iterator[Page]:
    """A browser that keeps its files in a folder. Skips where there is none, and none can be
    installed."""
    require_programs(("chromium",), "chromium fonts-dejavu-core")
    (asked, ask), (answers, answered) = _pipe(), _pipe()
    command = f'exec chromium "$@" 3<&{asked} 4>&{answered}'
    process = subprocess.Popen(
        ["bash", "-c", command, "bash", *FLAGS, f"--user-data-dir={folder}/user"],
        pass_fds=(asked, answered),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    os.close(asked)
    os.close(answered)
    try:
        yield Page(ask, answers)
    finally:
        os.close(ask)  # it ends when nobody speaks to it any more
        os.close(answers)
        _await_end(process)


def _pipe() -> tuple[int, int]:
    """A pipe's two ends, the reading one first, with numbers that no program expects."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, WELL_ABOVE) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _await_end(process: subprocess.Popen) -> None:
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
