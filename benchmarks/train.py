"""Training steps a second: ours in float32 and in bf16 against a plainly written loop.

    python benchmarks/train.py            # about three minutes on two cores
    python benchmarks/train.py --recipes runs/demo_recipes  # after its study: see recipes.py

Same network, data, batch and threads, in blocks of steps that take turns; ratios are medians of
the turns. The plain loop (`plain_loop.py`) is what diffusers' examples do. A block begins with
steps that are not timed: they use up what the plain loop's workers have made meanwhile.

`outside_share`: of our float32 step, what is neither forward pass, backward pass nor optimizer
(clipping included): drawing the batch, averaging the weights, records. `conv_peak_share`: the time
that the convolutions of a step take where each of its shapes is called again and again in the
better of two memory layouts, over the time they take within a step, where a dispatch mode clocks
every call, forward and backward.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from machine import machine
from plain_loop import PlainLoop
from recipes import recipes, time_to_95_vs_before
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from diffusion import train
from diffusion.precision import Precision
from diffusion.processes import Processes, build_accelerator
from diffusion.train import Trainer
from studies.experiment.config import read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "quickstart.yaml"
UNTIMED = 5  # steps at the beginning of a block: the workers' two prefetched batches each, and one
CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
LAYOUTS = (torch.contiguous_format, torch.channels_last)

Step = Callable[[], None]


def build_loops(
    directory: Path, workers: int, threads: int | None
) -> tuple[dict[str, Trainer], PlainLoop]:
    """Return our trainers by precision, and the plain loop."""
    config = read_config(CONFIG)
    config = replace(config, train=replace(config.train, threads=threads))
    experiment = Experiment(config, RunDir(directory))
    task = experiment.task
    data, _ = task.load()
    processes = Processes(build_accelerator(config.train))

    def trainer(precision: Precision) -> Trainer:
        (directory / precision).mkdir()
        return Trainer(
            data,
            experiment.new_model(),
            task.conditioning.prompts,
            replace(config.train, precision=precision),
            seed=config.seed,
            directory=directory / precision,
            processes=processes,
        )

    plain = PlainLoop(data, stock(experiment.new_model()), config.train, workers)
    return {"float32": trainer("float32"), "bf16": trainer("bf16")}, plain


def stock(model: Any) -> Any:
    """Return the model with the U-Net of diffusers as it is made there."""
    unet = type(model.unet).from_config(model.unet.config)
    unet.load_state_dict(model.unet.state_dict())
    model.unet = unet
    return model


def timed_block(step: Step, steps: int, finish: Step | None = None) -> float:
    """Return seconds per step."""
    for _ in range(UNTIMED):
        step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if finish is not None:
        finish()
    return (time.perf_counter() - start) / steps


@contextmanager
def clocked(trainer: Trainer) -> Iterator[dict[str, float]]:
    """Yield the seconds spent within the phases of a trainer's steps."""
    seconds: dict[str, float] = defaultdict(float)

    def clock(name: str, call: Callable) -> Callable:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                seconds[name] += time.perf_counter() - start

        return wrapped

    phases = [
        ("forward", train, "image_losses"),
        ("backward", trainer.gradients, "add"),
        ("optimizer", trainer.optimizer, "step"),
        ("optimizer", trainer.gradients, "clip"),
        ("all", trainer, "_train_step"),
    ]
    before = [(owner, name, getattr(owner, name)) for _, owner, name in phases]
    for phase, owner, name in phases:
        setattr(owner, name, clock(phase, getattr(owner, name)))
    try:
        yield seconds
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)


def outside_share(seconds: dict[str, float]) -> float:
    inside = sum(seconds[name] for name in ("forward", "backward", "optimizer"))
    return 1 - inside / seconds["all"]


class Convolutions(TorchDispatchMode):
    """Clock of every convolution, forward and backward, by what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[tuple, list[float]] = defaultdict(list)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket not in CONVOLUTIONS:
            return func(*args, **(kwargs or {}))
        key = (func, *(_shape(a) if isinstance(a, Tensor) else _frozen(a) for a in args))
        start = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        self.seconds[key].append(time.perf_counter() - start)
        return result


def _shape(tensor: Tensor) -> tuple:
    return tuple(tensor.shape), tensor.dtype


def _frozen(argument: Any) -> Any:
    return tuple(argument) if isinstance(argument, list) else argument


def best_seconds(key: tuple, repeats: int) -> float:
    """Return the seconds of a convolution by itself, in the better layout."""
    func, *rest = key
    times = []
    for layout in LAYOUTS:
        arguments = [_tensor(a, layout) if _is_shape(a) else _thawed(a) for a in rest]
        for _ in range(repeats):
            start = time.perf_counter()
            func(*arguments)
            times.append(time.perf_counter() - start)
    return min(times)


def _is_shape(argument: Any) -> bool:
    return isinstance(argument, tuple) and isinstance(argument[-1], torch.dtype)


def _tensor(shape: tuple, layout: torch.memory_format) -> Tensor:
    tensor = torch.ones(shape[0], dtype=shape[1])
    return tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor


def _thawed(argument: Any) -> Any:
    return list(argument) if isinstance(argument, tuple) else argument


def conv_peak_share(step: Step, repeats: int) -> float:
    clock = Convolutions()
    for counted in (False, True, True, True):
        with clock:
            step()
        if not counted:
            clock.seconds.clear()
    alone = {key: best_seconds(key, repeats) for key in clock.seconds}
    calls = {key: len(times) for key, times in clock.seconds.items()}
    within = {key: statistics.median(times) for key, times in clock.seconds.items()}
    return sum(alone[key] * calls[key] for key in calls) / sum(
        within[key] * calls[key] for key in calls
    )


def measure(
    turns: int, steps: int, workers: int, threads: int | None
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return seconds per step of every turn, and the shares."""
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = build_loops(Path(folder), workers, threads)
        seconds: dict[str, list[float]] = {"plain": [], **{name: [] for name in ours}}
        outside = []
        for turn in range(turns + 1):
            block = {"plain": timed_block(plain.step, steps)}
            for name, trainer in ours.items():
                flush = partial(trainer.records.flush, trainer._check_finite)  # as `run` does
                block[name] = timed_block(trainer._train_step, steps, flush)
            if turn:  # the first warms up
                for name, value in block.items():
                    seconds[name].append(value)
                with clocked(ours["float32"]) as phases:
                    ours["float32"]._train_step()
                outside.append(outside_share(phases))
        shares = {
            "outside_share": round(statistics.median(outside), 3),
            "conv_peak_share": round(conv_peak_share(ours["float32"]._train_step, 10), 2),
        }
    return seconds, shares


def ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    speedup = {
        name: statistics.median(
            plain / own for plain, own in zip(seconds["plain"], values, strict=True)
        )
        for name, values in seconds.items()
        if name != "plain"
    }
    return {
        "float32_vs_plain_loop": round(speedup["float32"], 2),
        "best_vs_plain_loop": round(max(speedup.values()), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="timed ones of a block")
    parser.add_argument("--workers", type=int, default=2, help="of the plain loop's DataLoader")
    parser.add_argument("--threads", type=int, help="default: as many as cores")
    parser.add_argument("--recipes", type=Path, help="folder of a study: time_to_95_vs_before too")
    asked = vars(parser.parse_args())
    study = asked.pop("recipes")
    seconds, shares = measure(**asked)
    told = {"time_to_95_vs_before": time_to_95_vs_before(recipes(study))} if study else {}
    print(
        f"{machine()}, AMX {'yes' if torch.cpu._is_amx_tile_supported() else 'no'}, "
        f"diffusers {diffusers.__version__}; "
        f"{CONFIG.stem}, ms/step, median [lowest, highest]"
    )
    for name, values in seconds.items():
        low, median, high = (1000 * f(values) for f in (min, statistics.median, max))
        print(f"{name:10s} {median:7.1f} [{low:.1f}, {high:.1f}]")
    print(json.dumps({**ratios(seconds), **shares, **told}))


if __name__ == "__main__":
    main()
