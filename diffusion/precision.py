"""Arithmetic to train in: float32, or bf16 where a measurement finds it faster.

Weights, their gradients and averages are float32 in either.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from diffusion.fast_layers import convolutions_in

Precision = Literal["float32", "bf16"]

CLEARLY = 1.1  # bf16 must be so many times as fast: it costs digits
TURNS = 7  # of measuring; the first, in which kernels are chosen, does not count


def allow_tf32(allowed: bool) -> None:
    """Let float32 on a GPU be TF32 in products and convolutions alike, or in neither.

    torch's own defaults differ: TF32 in convolutions, float32 in products.
    """
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def casting(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """The context in which a network is called, and outside of which its gradient is taken.

    bf16 on a CPU is that of the convolutions of fast layers alone: torch's autocast is slower
    there than float32, see `fast_layers`.
    """
    if precision == "float32":
        return nullcontext()
    if device.type == "cpu":
        return convolutions_in(torch.bfloat16)
    return torch.autocast(device.type, torch.bfloat16)


def choose_precision(
    step: Callable[[Precision], object], turns: int = TURNS
) -> tuple[Precision, dict[str, float]]:
    """The faster arithmetic for `step`, and what was measured.

    step: the forward and backward pass of one batch of the real size, finished when it returns.
        Called in either precision in turns, so that a busy machine slows both alike.

    Returns bf16 only if it is clearly faster (`CLEARLY`), and float32_ms, bf16_ms (medians) and
    speedup, the median ratio of float32 to bf16 of a turn. On CPUs without bf16 instructions
    (AMX, AVX512-BF16) the speedup is below one.
    """
    kinds: tuple[Precision, ...] = ("float32", "bf16")
    times = [{kind: _seconds(step, kind) for kind in kinds} for _ in range(turns)][1:]
    speedup = statistics.median(turn["float32"] / turn["bf16"] for turn in times)
    facts = {f"{kind}_ms": 1000 * statistics.median(t[kind] for t in times) for kind in kinds}
    return "bf16" if speedup > CLEARLY else "float32", {**facts, "speedup": speedup}


def _seconds(step: Callable[[Precision], object], precision: Precision) -> float:
    start = time.perf_counter()
    step(precision)
    return time.perf_counter() - start
