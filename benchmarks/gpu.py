"""Training on a GPU: what TF32, bf16, channels-last images, CUDA graphs and company are worth.

    python benchmarks/gpu.py                 # nothing new begins after 150 s; one line of JSON
    python benchmarks/gpu.py --device cpu    # a tiny version, to see that it works

The line says of each config, for each of the `ways` to train it: milliseconds a step, records read
as in a training, and what became of the CUDA graph. `draws`: whether uniforms of the device have
the bits of the CPU, how far normals are apart, and what a batch costs on either. `synchronised`:
the first operation of a step, between two reads of the records, for which torch says that it waits
for the GPU; null: none. `together`: images a second of several trainings at once on one GPU, each a
process of its own. `skipped` names what the time did not allow.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from machine import machine

from diffusion.processes import Processes, build_accelerator
from diffusion.train import FLUSH_EVERY, Trainer, draw_batches
from diffusion.training_data import TrainingData
from ground import streams
from ground.endings import first_line
from studies.experiment.config import read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = 2  # exit status
TF32, BF16 = {"tf32": True}, {"precision": "bf16"}
LAST, GRAPH = {"channels_last": True}, {"cuda_graph": "auto"}
WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32 graph": GRAPH,
    "tf32": TF32,
    "tf32 graph": TF32 | GRAPH,
    "tf32 channels_last": TF32 | LAST,
    "tf32 channels_last graph": TF32 | LAST | GRAPH,
    "bf16": BF16,
    "bf16 graph": BF16 | GRAPH,
    "bf16 channels_last": BF16 | LAST,
    "bf16 channels_last graph": BF16 | LAST | GRAPH,
}


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        configs: experiments, from the repository's root.
        changes: of their training, beside those of a way.
        seconds: of timed blocks of each way, and of trainings at once.
        steps: of a block, after which the records are read.
        together: trainings at once.
        budget: seconds after which nothing new is begun.
    """

    configs: tuple[str, ...]
    changes: Mapping[str, Any]
    seconds: float
    steps: int
    together: tuple[int, ...]
    budget: float


SIZES = {
    "cuda": Size(
        ("configs/quickstart.yaml", "configs/worlds/p2_2x2.yaml"),
        {},
        3.0,
        FLUSH_EVERY,
        (1, 2, 4),
        150,
    ),
    "cpu": Size(("configs/tiny.yaml",), {"batch_size": 8, "threads": 1}, 0.0, 1, (1, 2), 3600),
}


class Budget:
    """What is left of the time, and what it did not allow."""

    def __init__(self, seconds: float):
        self.end, self.skipped = time.monotonic() + seconds, list[str]()

    def allows(self, name: str) -> bool:
        there = time.monotonic() < self.end
        if not there:
            self.skipped.append(name)
        return there


class Measured:
    """One config, whose images are drawn once, and trainings of it."""

    def __init__(self, path: str, size: Size, device: torch.device, folder: Path):
        config = read_config(ROOT / path)
        self.size, self.device, self.folder = size, device, folder
        self.config = replace(config, train=replace(config.train, **size.changes))
        self.experiment = Experiment(self.config, RunDir(folder))
        self.data: TrainingData = self.experiment.task.load()[0]

    def trainer(self, name: str) -> Trainer:
        """Return a training of one way, that has made its first steps."""
        train = replace(self.config.train, **WAYS[name])
        processes = Processes(build_accelerator(train))
        processes.device = self.device
        trainer = Trainer(
            self.data,
            self.experiment.new_model(),
            self.experiment.task.conditioning.prompts,
            train,
            seed=self.config.seed,
            directory=Path(tempfile.mkdtemp(dir=self.folder)),
            processes=processes,
        )
        self.block(trainer)
        return trainer

    def block(self, trainer: Trainer) -> float:
        """Return the seconds of a step, of a block whose records are read at its end."""
        start = time.perf_counter()
        for _ in range(self.size.steps):
            trainer._train_step()
        trainer.records.flush(trainer._check_finite)
        return (time.perf_counter() - start) / self.size.steps

    def blocks(self, trainer: Trainer) -> list[float]:
        """Return the seconds of a step, of each block of as long as the size says."""
        end, found = time.monotonic() + self.size.seconds, [self.block(trainer)]
        while time.monotonic() < end:
            found.append(self.block(trainer))
        return found


def of_config(measured: Measured, budget: Budget) -> dict[str, Any]:
    """Return what is measured of one config."""
    ways, trainer = ways_of(measured, budget), measured.trainer("float32")
    waits, drawn = first_wait(trainer), draws(measured, trainer)
    return {"ways": ways, "synchronised": waits, "draws": drawn}


def ways_of(measured: Measured, budget: Budget) -> dict[str, Any]:
    """Return milliseconds a step of every way, and what became of its CUDA graph."""
    found: dict[str, Any] = {}
    for name in WAYS:
        if budget.allows(f"{measured.config.name}: {name}"):
            trainer = measured.trainer(name)
            step = statistics.median(measured.blocks(trainer))
            found[name] = {"ms": round(1000 * step, 3), "cuda_graph": trainer.cuda_graph}
    return found


def first_wait(trainer: Trainer) -> str | None:
    """Return what torch says of the first operation of a step that waits for the GPU; None: none
    does."""
    if trainer.processes.device.type != "cuda":
        return None
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer._train_step()
    except RuntimeError as error:
        return first_line(error)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return None


def draws(measured: Measured, trainer: Trainer) -> dict[str, Any]:
    """Return how draws of the device compare with those of the CPU, and the milliseconds of a
    batch."""
    index = torch.arange(1 << 16)
    own = index.to(measured.device)
    uniforms = [streams.uniform(7, "gpu", 3, i, 4).cpu() for i in (index, own)]
    normals = [streams.normal(7, "gpu", 3, i, 4).cpu() for i in (index, own)]
    here = draw_batches(measured.data, trainer.raw, measured.config.train, 0)
    there = here.on(measured.device)
    return {
        "uniforms_equal": bool(torch.equal(*uniforms)),
        "normals_apart": float((normals[0] - normals[1]).abs().max()),
        "batch_ms_device": round(1000 * seconds_of(lambda: there.draw(1).few().checksum()), 3),
        "batch_ms_cpu": round(1000 * seconds_of(lambda: here.draw(1).few().checksum()), 3),
    }


def seconds_of(action: Callable[[], object], times: int = 5) -> float:
    """Return the median of the seconds that an action takes, the first time left out."""
    found = []
    for _ in range(times + 1):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return statistics.median(found[1:])


def at_once(device: str, size: Size, budget: Budget) -> dict[str, float]:
    """Return images a second of several trainings at once, of the first config, all together."""
    found: dict[str, float] = {}
    with workers(device, max(size.together)) as started:
        for number in size.together:
            if budget.allows(f"{number} at once"):
                found[str(number)] = round(sum(ask(started[:number])), 1)
    return found


@contextmanager
def workers(device: str, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start trainings that wait to be asked; end them."""
    command = [sys.executable, __file__, "--device", device, "--worker"]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    try:
        for worker in started:
            _answer(worker)  # it is ready
        yield started
    finally:
        for worker in started:
            worker.communicate()  # it ends with its input


def ask(started: Sequence[subprocess.Popen[str]]) -> list[float]:
    """Let workers train, all at the same time; return images a second of each."""
    for worker in started:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return [float(_answer(worker)) for worker in started]


def _answer(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit("a training at once ended; what it printed stands above")
    return line


def work(size: Size, device: torch.device) -> None:
    """Train whenever a line comes in, and print images a second."""
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(size.configs[0], size, device, Path(folder))
        trainer = measured.trainer("float32")
        print("ready", flush=True)
        for _ in sys.stdin:
            step = statistics.mean(measured.blocks(trainer))
            print(trainer.config.batch_size / step, flush=True)


def measure(device: str, size: Size) -> dict[str, Any]:
    """Return all that is measured."""
    budget, found = Budget(size.budget), dict[str, Any]()
    for path in size.configs:
        with tempfile.TemporaryDirectory() as folder:
            measured = Measured(path, size, torch.device(device), Path(folder))
            found[measured.config.name] = of_config(measured, budget)
    found["together"] = at_once(device, size, budget)
    return {**found, "skipped": budget.skipped}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=list(SIZES), default="cuda")
    parser.add_argument("--worker", action="store_true", help="what a training at once is")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here; --device cpu runs a tiny version", file=sys.stderr)
        raise SystemExit(NO_GPU)
    size = SIZES[arguments.device]
    if arguments.worker:
        return work(size, torch.device(arguments.device))
    found = measure(arguments.device, size)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    print(json.dumps({"device": name, "machine": machine(), **found}))


if __name__ == "__main__":
    main()
