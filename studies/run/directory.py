"""Directory of one run: its paths, locks, status and what makes it this experiment. Imports no
torch.

The layout of snapshots/ and state/ belongs to diffusion/snapshots.py.
"""

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ground.endings import Mistake, Preempted
from ground.files import read_json, write_json, write_text
from ground.locks import is_locked, locked
from ground.reading import read_as, read_yaml
from ground.unchanged import read_once
from ground.waiting import said_in_environment
from studies.experiment.config import Config, to_yaml
from studies.experiment.identity import differences, identity

RESERVED_BYTES = 1 << 16  # given up to say in status.json that the disk is full
OF_NO_NUMBER = ("commit", "waiting")  # facts of an environment that change no bit
PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "pandas", "torchmetrics")


class Held(Mistake):
    """A lock is held by another process."""


@read_once
def _read_config(path: Path) -> Config:
    try:
        return read_as(Config, read_yaml(path), "")
    except Mistake as mistake:
        raise mistake.at(f"{path}: ") from None


class RunDir:
    """Directory of one run, runs/<name>: its paths, locks and status."""

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.yaml"
        self.snapshots = path / "snapshots"
        self.states = path / "state"
        self.samples = path / "samples"
        self.scores = self.table("scores")
        self.probe = path / "probe"
        self.prompts = path / "prompts.json"
        self.lineage = path / "lineage.json"
        self.sampler_certificate = path / "sampler_certificate.json"
        self.figures = path / "figures"
        self.report = path / "report.html"
        self.log = path / "log.txt"  # of a run of a study

    def table(self, name: str) -> Path:
        """Return a folder of Parquet parts that reads as one table, such as `scores`."""
        return self.path / f"{name}.parquet"

    @property
    def shared(self) -> Path:
        """Return the folder of what several runs use: trained probes, limits of oracles. It is
        beside the directory itself, by whatever name or link that was reached."""
        return self.path.resolve().parent / ".shared"

    def read_config(self) -> Config:
        """Read the config of an existing run. Raises Mistake if there is none."""
        if not self.config_file.is_file():
            raise Mistake(
                f"{self.path}: not a run directory (no config.yaml); train one with scripts/run.py"
            )
        return _read_config(self.config_file)

    def claim(self, config: Config) -> None:
        """Make the directory this experiment's. Raises Mistake if it already is another's."""
        with self.locked("train"):
            self._claim(config)

    def _claim(self, config: Config) -> None:
        if self.config_file.is_file():
            changed = differences(identity(self.read_config()), identity(config))
            if changed and self.has_begun():
                raise Mistake(
                    f"{self.path}: holds another experiment ({'; '.join(changed)}); "
                    f"choose another --name or undo the change"
                )
        elif self.path.is_dir() and any(self.path.glob("[!.]*")):
            raise Mistake(f"{self.path}: is not empty and no run; choose another --name")
        write_text(self.config_file, to_yaml(config))

    def read_prompts(self) -> dict[str, str]:
        """Read the sets of prompts by name, as they were first asked. Raises Mistake if the file is
        damaged."""
        return read_as(dict[str, str], read_json(self.prompts), str(self.prompts))

    def check_prompts(self, prompts: Mapping[str, str]) -> dict[str, str]:
        """Return the sets of prompts that this run has asked. Raises Mistake if a name stands for
        another set there."""
        known = self.read_prompts() if self.prompts.is_file() else {}
        for name, template in prompts.items():
            if known.get(name, template) != template:
                raise Mistake(
                    f"evaluate.prompts.{name}: got {template!r}, but in {self.path} this name "
                    f"stands for {known[name]!r}; choose another"
                )
        return known

    def claim_prompts(self, prompts: Mapping[str, str]) -> None:
        """Record sets of prompts: their names stand for them from now on. Raises Mistake if a name
        stands for another set already."""
        if not prompts.keys() <= self.check_prompts(prompts).keys():
            with self.locked("evaluate"):
                write_json(self.prompts, {**self.check_prompts(prompts), **prompts})

    def has_begun(self) -> bool:
        """Return whether anything was made yet: a first start may have ended in a mistake."""
        metrics = self.path / "metrics.jsonl"
        made = [self.snapshots, self.states, self.samples, self.scores]
        return any(p.exists() for p in made) or (metrics.exists() and metrics.stat().st_size > 0)

    @contextlib.contextmanager
    def writing(self, writer: str, **facts: Any) -> Iterator[None]:
        """Hold the lock of "train", "evaluate" or, of a study, "run", and keep status.json true
        about it, with some facts beside."""
        reserve = self.path / f".{writer}.reserve"
        with self.locked(writer):
            try:
                self._set_status(writer, "running", **facts)
                reserve.write_bytes(bytes(RESERVED_BYTES))
                yield
            except BaseException as error:
                stopped = isinstance(error, Preempted | KeyboardInterrupt)
                kind = type(error).__name__
                facts |= {"why": str(error) or kind, "error": kind}
                reserve.unlink(missing_ok=True)
                self._set_status(writer, "preempted" if stopped else "failed", **facts)
                raise
            reserve.unlink(missing_ok=True)
            self._set_status(writer, "done", **facts)

    @contextlib.contextmanager
    def locked(self, writer: str) -> Iterator[None]:
        """Hold the lock of a writer, which goes with the process, however it ends. Raises Held if
        another process holds it."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock(writer)))
            except BlockingIOError:
                raise Held(
                    f"{self.path}: another process is at its {writer} stage; wait for it or stop it"
                ) from None
            yield

    def is_held(self, writer: str) -> bool:
        """Return whether a process holds the lock of a writer."""
        return is_locked(self._lock(writer))

    def _lock(self, writer: str) -> Path:
        return self.path / f".{writer}.lock"

    def state_of(self, writer: str) -> str | None:
        """Return what status.json says about a writer: running, preempted, failed or done; None if
        it never began."""
        return self.status_of(writer).get("state")

    def status_of(self, writer: str) -> dict[str, Any]:
        """Return the state of a writer and, if it was stopped or failed, why; nothing of one that
        never began."""
        path = self.path / "status.json"
        status = read_json(path) if path.is_file() else {}
        try:
            return dict(status.get(writer, {}))
        except (AttributeError, TypeError, ValueError):
            raise Mistake(f"{path}: holds no status of {writer}; move it away") from None

    def set_done(self, writer: str) -> None:
        """Record that a stage which is found finished is done: it may have been killed before it
        could say so."""
        if self.state_of(writer) != "done":
            self.set_state(writer, "done")

    def set_state(self, writer: str, state: str, **facts: Any) -> None:
        """Record a state of a writer that is not at work. Raises Held if it is."""
        with self.locked(writer):
            self._set_status(writer, state, **facts)

    def _set_status(self, writer: str, state: str, **facts: Any) -> None:
        path = self.path / "status.json"
        with locked(self.path / ".status.lock", wait=True):  # the two writers share one file
            status = read_json(path) if path.is_file() else {}
            status[writer] = {"state": state, "pid": os.getpid(), **facts}
            write_json(path, status)

    def write_environment(self, facts: dict[str, Any]) -> list[str]:
        """Write env.json: what the numbers are made with from now on, and, as `before`, until now.

        Returns what has changed, a line each, but for what changes no number.
        """
        path = self.path / "env.json"
        now = {**environment(), **facts}
        then = read_json(path) if path.is_file() else now
        before = then.pop("before", [])
        changed = [line for line in differences(then, now) if not line.startswith(OF_NO_NUMBER)]
        write_json(path, {**now, "before": [*before, then] if changed else before})
        return changed


def environment() -> dict[str, Any]:
    """Return versions, commit and machine, and how threads wait for each other."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "commit": _commit(),
        "waiting": said_in_environment(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Return the commit this code is at, or "unknown" outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        return done.stdout.strip()
    return "unknown"
