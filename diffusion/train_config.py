"""How training runs, and the language of snapshot schedules. Imports no torch."""

import math
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ground.endings import Mistake, check_all, refuse

STEP = re.compile(r"\d+")
SPREAD = re.compile(r"(?P<kind>linear|sqrt):(?P<count>\d+)(?:@(?P<start>\d+))?")


@dataclass(frozen=True)
class InitFrom:
    """Another run's snapshot to start from (fine-tuning); `run` None: start from new weights.

    Attributes:
        run: its directory.
        step: of the snapshot.
        weights: averaged (ema) or raw.
    """

    run: str | None = None
    step: int | None = None
    weights: Literal["ema", "raw"] = "ema"


@dataclass(frozen=True)
class TrainConfig:
    """AdamW, warm-up, clipping and averaging.

    Attributes:
        max_steps: optimizer steps.
        batch_size: images a step, over all processes together; must divide among them.
        micro_batch_size: images a process takes at once, adding their gradients up (gradient
            accumulation); None: its whole share of the batch.
        reduction: how gradients are added over processes: `all_reduce`, in the backend's order; or
            `in_order`, one micro-batch after the other, so that any number of processes gives the
            same bits, at some cost.
        learning_rate: reached after the warm-up.
        learning_rate_decay: after the warm-up: none; or linear, to 0 at max_steps.
        warmup_steps: in which the learning rate rises, linearly.
        weight_decay: of AdamW.
        clip_grad_norm: largest norm of the gradient.
        cond_dropout: share of captions replaced by the null caption.
        ema_decay: of the averaged weights; in step t at most (1 + t) / (10 + t).
        precision: of the arithmetic, with weights in float32 always; bf16: on a CPU the
            convolutions alone, else autocast; auto: whichever a short measurement finds faster,
            decided once, at the first start.
        tf32: on a GPU, let products and convolutions of float32 round their factors to TF32, which
            has 10 bits behind the point in place of 23. Said to every command that works at the
            run: training, sampling, instruments.
        channels_last: keep the weights of convolutions, and so images within the network, with
            their channels side by side in memory: the order in which tensor cores work. On a CPU
            images are kept so in any case.
        cuda_graph: auto: on a GPU, launch the passes of a micro-batch as one CUDA graph, after a
            check of its gradients; where that fails, training goes on without, and says why.
        compile: run the model through torch.compile, after a check of its gradients.
        init_from: another run's snapshot to start from.
        snapshots: steps to keep the model at, a comma-separated union of terms: `1331` one step,
            `pow2` 1, 2, 4, …, `linear:8` eight equal strides, `sqrt:60@500` sixty steps from 500
            on, equally far apart in √step; step 0 and the last always are.
        state_every: steps between saved training states; the last two are kept.
        log_every: steps between rows of metrics.jsonl.
        tracker: also log to a tracker, by accelerate's name for it (tensorboard, wandb, ...).
        threads: CPU threads per process; None: the machine's cores, shared by its processes.
    """

    max_steps: int = 2000
    batch_size: int = 64
    micro_batch_size: int | None = None
    reduction: Literal["all_reduce", "in_order"] = "all_reduce"
    learning_rate: float = 1e-3
    learning_rate_decay: Literal["none", "linear"] = "none"
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_grad_norm: float = 1.0
    cond_dropout: float = 0.1
    ema_decay: float = 0.99
    precision: Literal["float32", "bf16", "auto"] = "float32"
    tf32: bool = False
    channels_last: bool = False
    cuda_graph: Literal["off", "auto"] = "off"
    compile: bool = False
    init_from: InitFrom = field(default_factory=InitFrom)
    snapshots: str = "0, pow2, linear:16"
    state_every: int = 200
    log_every: int = 1
    tracker: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        check_train(self)


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
    last = count - 1
    return [_square_of_mean_root(start, last - k, stop, k) for k in range(count)]


def _square_of_mean_root(a: int, a_parts: int, b: int, b_parts: int) -> int:
    """⌊((p √a + q √b) / (p + q))²⌋ in whole numbers: (p² a + q² b + √(4 p² q² a b)) / (p + q)²."""
    p, q = a_parts, b_parts
    return (p * p * a + q * q * b + math.isqrt(4 * (p * q) ** 2 * a * b)) // (p + q) ** 2


def depends_on_max_steps(config: TrainConfig) -> bool:
    """Return True if more steps would move the snapshots already taken, or change the learning
    rate."""
    moving = "linear" in config.snapshots or "sqrt" in config.snapshots
    return moving or config.learning_rate_decay != "none"


def check_train(config: TrainConfig) -> None:
    """Check the range of every number, and the schedule. Raises Mistake."""
    ranges = (
        ("max_steps", 1, 10**8 - 1),
        ("batch_size", 1, 2**31),
        ("micro_batch_size", 1, 2**31),
        ("learning_rate", 0, 10),
        ("warmup_steps", 0, 10**9),
        ("weight_decay", 0, 10),
        ("clip_grad_norm", 1e-12, 1e12),
        ("cond_dropout", 0, 1),
        ("ema_decay", 0, 1),
        ("state_every", 1, 10**9),
        ("log_every", 1, 10**9),
        ("threads", 1, 4096),
    )
    given = ((key, getattr(config, key), low, high) for key, low, high in ranges)
    refuse(
        f"train.{key}: got {value}, allowed {low} to {high}"
        for key, value, low, high in given
        if value is not None and not low <= value <= high
    )
    check_all(
        partial(count_parts, config, world_size=1),
        partial(_check_init_from, config.init_from),
        partial(parse_schedule, config.snapshots, config.max_steps, "train.snapshots"),
        partial(_check_decay, config),
    )


def _check_decay(config: TrainConfig) -> None:
    if config.learning_rate_decay != "none" and config.warmup_steps >= config.max_steps:
        raise Mistake(
            f"train.warmup_steps: got {config.warmup_steps}, allowed below train.max_steps = "
            f"{config.max_steps} with a learning rate that decays"
        )


def _check_init_from(source: InitFrom) -> None:
    if source.run is not None and source.step is None:
        raise Mistake("train.init_from.step: missing; give the step of the snapshot to start from")
    if source.run is None and source.step is not None:
        raise Mistake("train.init_from.run: missing; give the run directory to start from")


def count_parts(config: TrainConfig, world_size: int) -> int:
    """How many micro-batches a batch is made of, over all processes. Mistake if it does not divide.

    Micro-batch k is the k-th equal part of the batch and belongs to process k % world_size.
    """
    if config.batch_size % world_size:
        raise Mistake(
            f"train.batch_size: {config.batch_size} does not divide among "
            f"{world_size} processes; use a multiple"
        )
    micro = config.micro_batch_size
    if config.reduction == "in_order" and micro is None:
        raise Mistake("train.micro_batch_size: missing; reduction in_order adds up micro-batches")
    if micro is None:
        return world_size
    if config.batch_size % (micro * world_size):
        raise Mistake(
            f"train.micro_batch_size: {micro} images in each of {world_size} processes do not "
            f"divide train.batch_size = {config.batch_size}"
        )
    return config.batch_size // micro
