"""Checks of a run's logs, metrics.jsonl and ranks.jsonl. Imports no torch.

`progress` is that of the last whole state: the step it was saved at, the rows written until then
and (not in older runs) their SHA-256.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ground.files import hash_rows

Rows = Sequence[Mapping[str, Any]]
SAME_LOSS = 1e-4  # relative: processes add up their losses in another order
CHECKSUM = re.compile(r"[0-9a-f]{8}")


def is_torn(path: Path) -> bool:
    """Return whether the last line has no end: its writer was killed, or is writing."""
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 1))
        return stream.read() not in (b"", b"\n")


def wrong_rows(rows: Rows) -> str:
    """Return which row of metrics.jsonl has no step or no loss, on one line; nothing if all have
    both."""
    for i, row in enumerate(rows, 1):
        if not all(isinstance(row.get(key), int | float) for key in ("step", "loss")):
            return f"row {i} has no step or no loss"
    return ""


def wrong_metrics(path: Path, rows: Rows, progress: Mapping[str, Any], log_every: int) -> str:
    """Return what is wrong with metrics.jsonl, on one line, or nothing."""
    count, step = progress["rows_written"], progress["step"]
    if wrong_rows(rows):
        return wrong_rows(rows)
    if len(rows) < count:
        return f"has {len(rows)} rows, but the state of step {step} knows {count}"
    if "metrics_sha256" not in progress:
        return _wrong_steps(rows, 0, 0, log_every)
    if hash_rows(path, count) != progress["metrics_sha256"]:
        return f"its first {count} rows are not those that the state of step {step} knows"
    return _wrong_steps(rows, count, step, log_every)  # log_every may have changed before


def _wrong_steps(rows: Rows, start: int, step: int, log_every: int) -> str:
    """Return which row is wrong, or nothing: rows after the first `start` hold the multiples of
    log_every after `step`, each once."""
    for i, row in enumerate(rows[start:], start):
        step += log_every - step % log_every
        if row["step"] != step:
            return f"row {i + 1} is of step {row['step']}, expected {step}"
    return ""


def wrong_ranks(ranks: Rows, metrics: Rows, step: int) -> str:
    """Return what is wrong with ranks.jsonl; up to `step` it has the rows of metrics.jsonl, where
    known.

    It may begin later: the first steps of a run may be older than the file.
    """
    for i, row in enumerate(ranks, 1):
        if not _is_rank_row(row):
            return f"row {i} has no step, or not a checksum and a loss of every process"
    steps = [row["step"] for row in ranks]
    means: dict[int, float] = {
        row["step"]: math.fsum(row["loss"]) / len(row["loss"]) for row in ranks
    }
    first = steps[0] if steps else 0
    for t, loss in [(row["step"], row["loss"]) for row in metrics]:
        if first <= t <= step and t not in means:
            return f"has no row of step {t}"
        if t in means and not math.isclose(means[t], loss, rel_tol=SAME_LOSS):
            return f"its losses of step {t} average {means[t]:g}, metrics.jsonl has {loss:g}"
    return "" if steps == sorted(means) else "its steps do not increase"


def _is_rank_row(row: Mapping[str, Any]) -> bool:
    draw, loss = row.get("draw"), row.get("loss")
    if not (isinstance(row.get("step"), int) and isinstance(draw, list) and isinstance(loss, list)):
        return False
    checksums = all(isinstance(d, str) and CHECKSUM.fullmatch(d) for d in draw)
    return checksums and all(isinstance(x, float) for x in loss) and len(draw) == len(loss) > 0
