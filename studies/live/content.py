"""What the live page of a run shows: how far it is, and all that is scored so far."""

import time
from pathlib import Path
from threading import Lock
from typing import Any

from analysis.report.build import data_uri
from ground.endings import Mistake
from ground.files import hash_json
from studies.findings.explored_run import explored_so_far
from studies.live.standing import Follower
from studies.run.directory import RunDir
from studies.run.opened import Experiment

READ = ("config.yaml", "status.json", "metrics.jsonl", "timings.jsonl", "report.html")
REST = 4  # times what making the data took, they stay as they are: the run needs the machine


class LiveContent:
    """Content of the live page. Any number of threads may ask."""

    def __init__(self, run: RunDir):
        self.run, self._lock = run, Lock()
        self._follower: Follower | None = None
        self._made: tuple[str, Any] = ("", None)  # version, and data of that
        self._rests_until = 0.0

    @property
    def name(self) -> str:
        return self.run.path.name

    def now(self, known: str, last: bool = False) -> dict[str, Any]:
        """Return how far the run is and, unless a page knows this version already, its data.

        last: the run has ended, and need not be spared any more.
        """
        with self._lock:
            try:
                self._check_inside()
                standing = self._follow()
                version, data = self._explored(last)
            except (Mistake, OSError) as wrong:  # such as a part that is just written again
                return {"name": self.name, "why": str(wrong)}
        told = {"name": self.name, **standing, "version": version}
        return told if version in ("", known) else {**told, "explored": data}

    def _check_inside(self) -> None:
        """Raise Mistake if something that is read leads outside of the run's directory."""
        folder = self.run.path.resolve()
        files = [self.run.path / name for name in READ]
        for table in ("scores", "denoiser", "copies"):
            files += [self.run.table(table), *self.run.table(table).glob("*")]
        files += [self.run.samples, *self.run.samples.rglob("*")]
        for file in files:
            if not file.resolve().is_relative_to(folder):
                raise Mistake(f"{file.name}: leads outside of {self.name}; nothing is shown")

    def _follow(self) -> dict[str, Any]:
        if not self.run.config_file.is_file():
            return {"line": "waiting: the run has not begun"}
        if self._follower is None:
            self._follower = Follower(Experiment.of_run(self.run))
        standing = self._follower.standing()
        return {"line": standing.line(), "share": standing.step / standing.of_steps}

    def _explored(self, last: bool) -> tuple[str, Any]:
        """Return the data of what is scored, made again where there is more, and their version."""
        parts = sorted(map(_known, self.run.scores.glob("step_*.parquet")))
        version, started = hash_json(parts), time.monotonic()
        is_resting = started < self._rests_until and not last
        if not parts or version == self._made[0] or is_resting:
            return self._made
        found = explored_so_far(Experiment.of_run(self.run))
        if found is not None:
            sheets = [data_uri(sheet) for sheet in found.sheets]
            self._made = version, {"json": found.json, "sheets": sheets}
        now = time.monotonic()
        self._rests_until = now + REST * (now - started)
        return self._made


def _known(part: Path) -> tuple[str, int]:
    return part.name, part.stat().st_mtime_ns
