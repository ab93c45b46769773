"""How training runs, and the language of snapshot schedules. Imports no torch."""

import re
from dataclasses import dataclass
from typing import Literal

from data_gen.endings import Mistake

STEP = re.compile(r"\d+")
SPREAD = re.compile(r"(?P<kind>linear|sqrt):(?P<count>\d+)(?:@(?P<start>\d+))?")


@dataclass(frozen=True)
class TrainConfig:
    """AdamW, warm-up, clipping and averaging.

    Attributes:
        max_steps: optimizer steps.
        batch_size: images a step, over all processes together; must divide among them.
        learning_rate: reached after warmup_steps, then constant.
        clip_grad_norm: largest norm of the gradient.
        cond_dropout: share of captions replaced by the null caption.
        ema_decay: of the averaged weights; in step t at most (1 + t) / (10 + t).
        precision: of the arithmetic.
        snapshots: steps to keep the model at, see `parse_schedule`; step 0 and the last always are.
        state_every: steps between saved training states; the last two are kept.
        log_every: steps between rows of metrics.jsonl.
        threads: CPU threads per process; None: the machine's cores, shared by its processes.
    """

    max_steps: int = 2000
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_grad_norm: float = 1.0
    cond_dropout: float = 0.1
    ema_decay: float = 0.99
    precision: Literal["float32"] = "float32"
    snapshots: str = "0, pow2, linear:16"
    state_every: int = 200
    log_every: int = 1
    threads: int | None = None


def parse_schedule(text: str, max_steps: int, key: str) -> tuple[int, ...]:
    """Steps named by a comma-separated union of terms, sorted; 0 and max_steps are always added.

    `1331` one step · `pow2` 1, 2, 4, … · `linear:8` eight equal strides to the end ·
    `sqrt:60@500` sixty steps from 500 to the end, equally far apart in √step (arXiv:2406.19370).
    Steps beyond max_steps are left out. Mistake names `key` and the term.
    """
    steps = {0, max_steps}
    for term in filter(None, (part.strip() for part in text.split(","))):
        steps.update(_term_steps(term, max_steps, key))
    return tuple(sorted(step for step in steps if step <= max_steps))


def _term_steps(term: str, max_steps: int, key: str) -> list[int]:
    if STEP.fullmatch(term):
        return [int(term)]
    if term == "pow2":
        return [1 << k for k in range(max_steps.bit_length())]
    match = SPREAD.fullmatch(term)
    start = int(match["start"] or 0) if match else 0
    if match and int(match["count"]) >= 2 and start < max_steps:
        return _spread(match["kind"], int(match["count"]), start, max_steps)
    raise Mistake(
        f"{key}: cannot read {term!r}; allowed: a step, pow2, linear:N or sqrt:N, both also with "
        f"@START (N at least 2, START below train.max_steps = {max_steps})"
    )


def _spread(kind: str, count: int, start: int, stop: int) -> list[int]:
    """linear: `count` strides after `start`; sqrt: `count` points from `start`, truncated."""
    if kind == "linear":
        return [start + (stop - start) * k // count for k in range(1, count + 1)]
    low, high = start**0.5, stop**0.5
    return [int((low + (high - low) * k / (count - 1)) ** 2) for k in range(count - 1)] + [stop]


def depends_on_max_steps(schedule: str) -> bool:
    """True if more steps would move the snapshots already taken."""
    return "linear" in schedule or "sqrt" in schedule


def check_train(config: TrainConfig) -> None:
    """Ranges of every number and the schedule."""
    for key, low, high in (
        ("max_steps", 1, 10**8 - 1),
        ("batch_size", 1, 2**31),
        ("learning_rate", 0, 10),
        ("warmup_steps", 0, 10**9),
        ("weight_decay", 0, 10),
        ("clip_grad_norm", 1e-12, 1e12),
        ("cond_dropout", 0, 1),
        ("ema_decay", 0, 1),
        ("state_every", 1, 10**9),
        ("log_every", 1, 10**9),
        ("threads", 1, 4096),
    ):
        value = getattr(config, key)
        if value is not None and not low <= value <= high:
            raise Mistake(f"train.{key}: got {value}, allowed {low} to {high}")
    parse_schedule(config.snapshots, config.max_steps, "train.snapshots")
