"""Busy machine: how fast is training beside a program that never rests, and what does that cost?

    python benchmarks/busy.py                        # minutes; on an idle machine
    python benchmarks/busy.py --spins 0 1000 30000   # also other numbers of rounds awake

Trains the demo's network in float32, in one process per setting of how threads wait for each other
(`ground/waiting.py`): that of the scripts (`chosen`), that of OpenMP (`default`), and other numbers
of rounds awake. The processes take turns of some steps: on the machine as it is, and beside one
process that never rests. Whoever has no turn sleeps.

Of the JSON, `busy_vs_idle` is the speed of `chosen` beside the busy process over its own speed
without, `idle_vs_default` its speed without over that of `default`; `default_busy_vs_idle` is what
it is to be better than. All are medians of the turns. `same_bits` says whether all settings have
trained the same weights.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ground.waiting import ROUNDS, SAID_BY, SPIN

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "quickstart.yaml"
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "chosen": {SPIN: ROUNDS},
    "default": {},
}
BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):  # it does not outlive the benchmark
    for _ in range(10**6):
        pass
"""
WARM_UP = 3  # steps of a turn that are not timed: threads and caches come back
SETTLE_SECONDS = 0.5  # until the scheduler has found the busy process a core

Speeds = dict[tuple[str, str], list[float]]  # setting, "idle" or "busy": images/s of the turns


class Training:
    """A training in a process of its own, whose threads wait as a setting says."""

    def __init__(self, setting: Mapping[str, str], threads: int):
        others = {k: v for k, v in os.environ.items() if k not in SAID_BY}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--train", str(threads)],
            env={**others, **setting, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate("")

    def turn(self, steps: int) -> dict[str, Any]:
        """Train some steps. Returns images/s and a hash of the weights."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(steps, file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def train(threads: int) -> None:
    """Train as many steps as every line of stdin says; answer each with a line of JSON."""
    from diffusion.processes import Processes, build_accelerator
    from diffusion.train import Trainer
    from studies.experiment.config import read_config
    from studies.run.directory import RunDir
    from studies.run.opened import Experiment

    config = read_config(CONFIG)
    own = replace(config.train, threads=threads, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment(config, RunDir(Path(folder)))
        task = experiment.task
        trainer = Trainer(
            task.load()[0],
            experiment.new_model(),
            task.conditioning.prompts,
            own,
            seed=config.seed,
            directory=Path(folder),
            processes=Processes(build_accelerator(own)),
        )
        for line in sys.stdin:
            speed = own.batch_size / seconds_per_step(trainer, int(line))
            weights = hashlib.sha256(trainer.weights.detach().numpy().tobytes()).hexdigest()
            print(json.dumps({"images_per_second": speed, "weights": weights}), flush=True)


def seconds_per_step(trainer: Any, steps: int) -> float:
    for _ in range(WARM_UP):
        trainer._train_step()
    start = time.perf_counter()
    for _ in range(steps):
        trainer._train_step()
    return (time.perf_counter() - start) / steps


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep as many cores busy, as programs of another session do."""
    command = [sys.executable, "-c", BUSY, str(os.getpid())]
    started = [subprocess.Popen(command, start_new_session=True) for _ in range(processes)]
    try:
        time.sleep(SETTLE_SECONDS)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(
    settings: Mapping[str, Mapping[str, str]], turns: int, steps: int, threads: int
) -> tuple[Speeds, bool]:
    """Return the speed of every turn, and whether all settings trained the same weights."""
    speeds: Speeds = {(name, load): [] for name in settings for load in ("idle", "busy")}
    same = True
    with ExitStack() as stack:
        trainings = {
            name: stack.enter_context(Training(setting, threads))
            for name, setting in settings.items()
        }
        for training in trainings.values():  # one after the other: imports, and the first steps
            training.turn(1)
        for _ in range(turns):
            for load in ("idle", "busy"):
                with busy(load == "busy"):
                    answers = {name: own.turn(steps) for name, own in trainings.items()}
                for name, answer in answers.items():
                    speeds[name, load].append(answer["images_per_second"])
                same &= len({answer["weights"] for answer in answers.values()}) == 1
    return speeds, same


def ratio(speeds: Speeds, over: tuple[str, str], under: tuple[str, str]) -> float:
    """Return the median of the turns' ratios."""
    pairs = zip(speeds[over], speeds[under], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def result(speeds: Speeds, same: bool) -> dict[str, Any]:
    return {
        "busy_vs_idle": ratio(speeds, ("chosen", "busy"), ("chosen", "idle")),
        "idle_vs_default": ratio(speeds, ("chosen", "idle"), ("default", "idle")),
        "default_busy_vs_idle": ratio(speeds, ("default", "busy"), ("default", "idle")),
        "same_bits": same,
    }


def table(speeds: Speeds, names: Sequence[str]) -> Iterator[str]:
    heads = "".join(f"{head:>14s}" for head in ("idle", "busy", "busy/idle", "idle/default"))
    yield f"{'images/s':14s}{heads}"
    for name in names:
        idle, loaded = (statistics.median(speeds[name, load]) for load in ("idle", "busy"))
        own = ratio(speeds, (name, "busy"), (name, "idle"))
        lost = ratio(speeds, (name, "idle"), ("default", "idle"))
        yield f"{name:14s}{idle:14.1f}{loaded:14.1f}{own:14.3f}{lost:14.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="timed ones of a turn")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--spins", type=int, nargs="*", default=[], help="other rounds awake")
    parser.add_argument("--train", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train)
    settings = {**SETTINGS, **{f"{n} rounds": {SPIN: str(n)} for n in arguments.spins}}
    speeds, same = measure(settings, arguments.turns, arguments.steps, arguments.threads)
    from machine import machine

    print(f"{machine()}; {arguments.threads} threads each")
    print("\n".join(table(speeds, list(settings))))
    print(json.dumps(result(speeds, same)))


if __name__ == "__main__":
    main()
