"""How far a run at work is: its stage, step, loss, speed, and about how long it still takes.

All is read off the files of its directory; nothing is asked of the process that is at work.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ground.endings import Mistake
from studies.dry_run import count_denoiser_calls, count_evaluations
from studies.experiment.config import Config
from studies.run.opened import Experiment
from studies.scoring.units import planned_parts
from studies.scoring.watching import training_state

LOOK = 1 / 3  # of training on an image: the network's answer alone takes about so long
TAIL_BYTES = 1 << 16  # of a log, that hold its last rows
RECENT = 20  # rows of timings, and parts, whose speed counts


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    Attributes:
        stage: waiting, probe, train, evaluate, report, done; or how training ended before its end:
            preempted, failed, killed.
        step, of_steps: of training. loss: at that step; None: not known.
        images_per_second: of training, of late; None: not known.
        scored, of_parts: of the evaluation.
        seconds_left: of training and evaluation, about; None: not known.
    """

    stage: str
    step: int
    of_steps: int
    loss: float | None
    images_per_second: float | None
    scored: int
    of_parts: int
    seconds_left: float | None

    def line(self) -> str:
        """Return all that is known on one line."""
        told = [f"{self.stage}: step {self.step:,} of {self.of_steps:,}"]
        told += [f"loss {self.loss:.4f}"] if self.loss is not None else []
        told += [f"{self.images_per_second:.0f} images/s"] if self.images_per_second else []
        told += [f"{self.scored} of {self.of_parts} parts scored"] if self.scored else []
        told += [f"about {duration(self.seconds_left)} left"] if self.seconds_left else []
        return ", ".join(told)


def duration(seconds: float) -> str:
    """Return a time as people say it, such as "50 s", "12 min" or "3 h 20 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Follower:
    """What follows one run; what does not change is counted once."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.run, self.config = experiment, experiment.run, experiment.config

    @cached_property
    def parts(self) -> Sequence[Path]:
        """Return all parts of the evaluation. Raises Mistake before there is a probe: their names
        have its own."""
        return planned_parts(self.experiment)

    @cached_property
    def evaluations(self) -> int:
        return count_evaluations(self.experiment) + count_denoiser_calls(self.experiment)

    def standing(self) -> Standing:
        """Return how far the run is now."""
        metrics = last_rows(self.run.path / "metrics.jsonl", 1)
        step, loss = (metrics[-1]["step"], metrics[-1]["loss"]) if metrics else (0, None)
        speed = _speed(last_rows(self.run.path / "timings.jsonl", RECENT), self.config)
        planned = self.parts if (self.run.probe / "certificate.json").is_file() else []
        scored = [part for part in planned if part.is_file()]
        counts = len(scored), len(planned)
        left = self._seconds_left(step, speed, scored) if speed and planned else None
        stage = self._stage(planned, scored)
        return Standing(stage, step, self.config.train.max_steps, loss, speed, *counts, left)

    def _stage(self, planned: Sequence[Path], scored: Sequence[Path]) -> str:
        state = training_state(self.run)
        if state in ("running", "preempted", "failed", "killed"):
            return "train" if state == "running" else state
        if state == "none" or not planned:
            return "probe" if self.run.is_held("evaluate") else "waiting"
        if len(scored) < len(planned):
            return "evaluate"
        newest = max(part.stat().st_mtime for part in scored)
        report = self.run.report
        return "done" if report.is_file() and report.stat().st_mtime > newest else "report"

    def _seconds_left(self, step: int, speed: float, scored: Sequence[Path]) -> float:
        """Return what training and evaluation still take; of the latter, until some is done, what
        the network's answers alone would."""
        training = (self.config.train.max_steps - step) * self.config.train.batch_size / speed
        waiting = len(self.parts) - len(scored)
        times = sorted(part.stat().st_mtime for part in scored)[-RECENT:]
        each = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
        evaluating = waiting * each or self.evaluations * LOOK / speed * waiting / len(self.parts)
        return training + evaluating


def _speed(rows: Sequence[dict[str, Any]], config: Config) -> float | None:
    """Return images/s over some rows of timings, saving and all."""
    seconds = sum(row["seconds"] for row in rows[1:])
    steps = rows[-1]["step"] - rows[0]["step"] if rows else 0
    return steps * config.train.batch_size / seconds if seconds and steps > 0 else None


def last_rows(path: Path, count: int) -> list[dict[str, Any]]:
    """Return the last whole rows of a log; none if it is not there. Only its end is read."""
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_BYTES))
        lines = stream.read().split(b"\n")[:-1]  # what follows the last end of line is torn
    whole = lines[1:] if size > TAIL_BYTES else lines
    try:
        return [json.loads(line) for line in whole[-count:]]
    except ValueError as error:
        raise Mistake(f"{path}: not readable as JSON ({error})") from None
