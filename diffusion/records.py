"""What a run writes as it goes: metrics.jsonl, ranks.jsonl, timings.jsonl and a tracker.

metrics.jsonl   a row per logged step: loss and gradient of the whole batch, and its mean loss per
                quarter of the times (1: least noise) and per combination (reproducible)
ranks.jsonl     per process: a checksum of its share of the batch, and its own loss (reproducible)
timings.jsonl   seconds, images/s, memory of the process and of its GPU (not reproducible)
"""

import math
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion.batches import Draw
from diffusion.processes import Processes
from diffusion.train_config import TrainConfig
from ground.files import append_rows, read_rows, truncate_rows

Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One finished step; tensors stay on the device until they are written."""

    step: int
    learning_rate: float
    loss: Tensor
    grad_norm: Tensor
    own_loss: Tensor
    draws: Sequence[Draw]  # few numbers of each
    images: "ImageLosses"

    def checksum(self) -> int:
        """CRC-32 of the draws of this process."""
        value = 0
        for draw in self.draws:
            value = draw.checksum(value)
        return value


@dataclass(frozen=True)
class ImageLosses:
    """Losses of the images of one process.

    loss: float32 (n,); quartile: int64 (n,), of the time, 0 to 3; combination: int64 (n,).
    """

    loss: Tensor
    quartile: Tensor
    combination: Tensor

    def labelled(self, combinations: Sequence[str]) -> list[tuple[str, str, float]]:
        """List (quartile's name, combination's name, loss) of every image."""
        columns = (self.quartile.tolist(), self.combination.tolist(), self.loss.tolist())
        return [
            (f"loss/quartile {q + 1}", f"loss/{combinations[c]}", loss)
            for q, c, loss in zip(*columns, strict=True)
        ]


class Records:
    """The rows of one run. `rows_written` counts those of metrics.jsonl."""

    def __init__(
        self,
        directory: Path,
        config: TrainConfig,
        processes: Processes,
        combinations: Sequence[str],
    ):
        self.combinations = combinations
        self.metrics, self.ranks, self.timings = (
            directory / f"{name}.jsonl" for name in ("metrics", "ranks", "timings")
        )
        self.config, self.processes = config, processes
        self.pending: list[Step] = []
        self.rows_written, self.saving_seconds, self.last_loss = 0, 0.0, math.nan

    def start(self, step: int, rows_written: int) -> None:
        """Go on after `step`: drop rows of steps that are trained again, and torn ones."""
        self.rows_written, self.timed_at = rows_written, (step, time.perf_counter())
        self.processes.once(lambda: self._truncate(step))

    def _truncate(self, step: int) -> None:
        ranks = read_rows(self.ranks) if self.ranks.exists() else []  # older runs have none
        truncate_rows(self.metrics, self.rows_written)
        truncate_rows(self.ranks, sum(row["step"] <= step for row in ranks))
        truncate_rows(self.timings, None)

    def flush(self, check: Callable[[Row], None]) -> None:
        """Write the pending rows, after `check` of every one."""
        means = self._means()
        rows = [{**self._row(s), **m} for s, m in zip(self.pending, means, strict=True)]
        for row in rows:
            check(row)
        by_rank = self._by_rank()
        self.pending, self.last_loss = [], rows[-1]["loss"] if rows else self.last_loss
        logged = [i for i, row in enumerate(rows) if row["step"] % self.config.log_every == 0]
        self.rows_written += len(logged)
        self.processes.once(
            lambda: self._write([rows[i] for i in logged], [by_rank[i] for i in logged])
        )

    def _row(self, step: Step) -> Row:
        return {
            "step": step.step,
            "images_seen": step.step * self.config.batch_size,
            "loss": step.loss.item(),
            "learning_rate": step.learning_rate,
            "grad_norm": step.grad_norm.item(),
        }

    def _means(self) -> list[dict[str, float]]:
        """Per step, the mean loss of each quarter of the times and each combination it had."""
        own = [step.images.labelled(self.combinations) for step in self.pending]
        every = self.processes.gather(own)
        return [
            mean_by_label(image for process in every for image in process[i])
            for i in range(len(own))
        ]

    def _by_rank(self) -> list[Row]:
        own = [(f"{step.checksum():08x}", step.own_loss.item()) for step in self.pending]
        every = self.processes.gather(own)
        return [
            {
                "step": step.step,
                "draw": [process[i][0] for process in every],
                "loss": [process[i][1] for process in every],
            }
            for i, step in enumerate(self.pending)
        ]

    def _write(self, rows: list[Row], ranks: list[Row]) -> None:
        append_rows(self.ranks, ranks)
        append_rows(self.metrics, rows)
        for row in rows:
            values = {key: value for key, value in row.items() if key != "step"}
            self.processes.accelerator.log(values, step=row["step"])

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Count the seconds inside as spent on saving, not on training."""
        start = time.perf_counter()
        yield
        self.saving_seconds += time.perf_counter() - start

    def time(self, step: int) -> Row:
        """Write and return what the steps up to `step`, and the saving among them, took."""
        (before, start), now = self.timed_at, time.perf_counter()
        seconds, saving = now - start, self.saving_seconds
        self.timed_at, self.saving_seconds = (step, now), 0.0
        row = {
            "step": step,
            "seconds": seconds,
            "saving_seconds": saving,
            "images_per_second": (step - before) * self.config.batch_size / (seconds - saving),
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **_gpu_memory(self.processes.device),
        }
        self.processes.once(lambda: append_rows(self.timings, [row]))
        return row


def _gpu_memory(device: torch.device) -> Row:
    """The most that tensors on a GPU took at once; nothing where there is none."""
    if device.type != "cuda":
        return {}
    return {"peak_gpu_memory_mib": torch.cuda.max_memory_allocated(device) / 2**20}


def mean_by_label(images: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Map labels to mean losses, sorted. Sums are exact: no order of images changes a bit."""
    groups: dict[str, list[float]] = {}
    for quartile, combination, loss in images:
        groups.setdefault(quartile, []).append(loss)
        groups.setdefault(combination, []).append(loss)
    return {label: math.fsum(groups[label]) / len(groups[label]) for label in sorted(groups)}
