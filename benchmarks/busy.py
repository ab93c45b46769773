"""Busy machine: how fast is training beside a program that never rests, and what does that cost?

    python benchmarks/busy.py                        # minutes; on an idle machine
    python benchmarks/busy.py --spins 0 1000 30000   # also other numbers of rounds awake

Trains the demo's network in float32, in one process per setting of how threads wait for each other
(`ground/waiting.py`): what a command chooses that starts alone (`alone`) or beside a process that
never rests (`beside`), OpenMP's own (`default`), and other numbers of rounds awake. The processes
take turns of some seconds: on the machine as it is, and beside such a process. Whoever has no turn
sleeps.

Of the JSON, `busy_vs_idle` is the speed of `beside` beside the busy process over that of `alone`
without, and `idle_vs_default` the speed of `alone` over that of `default`, both without. What the
choice does not see is `overtaken_vs_idle`: the busy process starts later than the training. The
same of `default` is what all is to be better than. All are medians of the turns. `same_bits` says
whether all settings have trained the same weights.
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

from ground.waiting import SAID_BY, SPIN, said_in_environment, wait_briefly

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "quickstart.yaml"
CHOSEN = ("alone", "beside")  # by the command itself, as it starts
BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):  # it does not outlive the benchmark
    for _ in range(10**6):
        pass
"""
COMPARED_STEPS = 4  # of every setting, after which the weights are compared
SETTLE_SECONDS = 0.5  # until the scheduler has found the busy process a core

Speeds = dict[tuple[str, str], list[float]]  # setting, "idle" or "busy": images/s of the turns


class Training:
    """A training in a process of its own, whose threads wait as a setting says, or (None) as the
    process chooses."""

    def __init__(self, setting: Mapping[str, str] | None, threads: int):
        others = {k: v for k, v in os.environ.items() if k not in SAID_BY}
        choose = ["--choose"] if setting is None else []
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--train", str(threads), *choose],
            env={**others, **(setting or {}), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.begun = self.ask(steps=COMPARED_STEPS)

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate("")

    def ask(self, **what: float) -> dict[str, Any]:
        """Train `steps` steps or for some `seconds`. Returns images/s, a hash of the weights and
        how threads wait."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def train(threads: int, choose: bool) -> None:
    """Train as long as every line of stdin says; answer each with a line of JSON."""
    if choose:
        wait_briefly()
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
            speed = own.batch_size * steps_per_second(trainer, **json.loads(line))
            weights = hashlib.sha256(trainer.weights.detach().numpy().tobytes()).hexdigest()
            told = {"images_per_second": speed, "weights": weights, **said_in_environment()}
            print(json.dumps(told), flush=True)


def steps_per_second(trainer: Any, steps: int = 1, seconds: float = 0.0) -> float:
    """Train at least as many steps and seconds; the first step is not timed: caches come back."""
    trainer._train_step()
    start, done = time.perf_counter(), 0
    while done < steps or time.perf_counter() - start < seconds:
        trainer._train_step()
        done += 1
    return done / (time.perf_counter() - start)


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


def started(
    others: Mapping[str, Mapping[str, str]], threads: int
) -> Iterator[tuple[str, Training]]:
    """Start the trainings one after the other, and wait for each until it has begun."""
    for name in CHOSEN:
        with busy(name == "beside"):
            yield name, Training(None, threads)
    for name, setting in others.items():
        yield name, Training(setting, threads)


def measure(trainings: Mapping[str, Training], turns: int, seconds: float) -> Speeds:
    """Return the speed of every turn."""
    speeds: Speeds = {(name, load): [] for name in trainings for load in ("idle", "busy")}
    for _ in range(turns):
        for load in ("idle", "busy"):
            with busy(load == "busy"):
                for name, training in trainings.items():
                    answer = training.ask(seconds=seconds)
                    speeds[name, load].append(answer["images_per_second"])
    return speeds


def ratio(speeds: Speeds, over: tuple[str, str], under: tuple[str, str]) -> float:
    """Return the median of the turns' ratios."""
    pairs = zip(speeds[over], speeds[under], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def result(speeds: Speeds, same: bool) -> dict[str, Any]:
    return {
        "busy_vs_idle": ratio(speeds, ("beside", "busy"), ("alone", "idle")),
        "idle_vs_default": ratio(speeds, ("alone", "idle"), ("default", "idle")),
        "overtaken_vs_idle": ratio(speeds, ("alone", "busy"), ("alone", "idle")),
        "default_overtaken_vs_idle": ratio(speeds, ("default", "busy"), ("default", "idle")),
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
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn, or one step")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--spins", type=int, nargs="*", default=[], help="other rounds awake")
    parser.add_argument("--train", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    parser.add_argument("--choose", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train, arguments.choose)
    others = {"default": {}, **{f"{n} rounds": {SPIN: str(n)} for n in arguments.spins}}
    with ExitStack() as stack:
        trainings = {
            name: stack.enter_context(training)
            for name, training in started(others, arguments.threads)
        }
        same = len({training.begun["weights"] for training in trainings.values()}) == 1
        speeds = measure(trainings, arguments.turns, arguments.seconds)
    from machine import machine

    print(f"{machine()}; {arguments.threads} threads each")
    for name in CHOSEN:
        print(f"{name}: {trainings[name].begun.get(SPIN)} rounds awake")
    print("\n".join(table(speeds, list(trainings))))
    print(json.dumps(result(speeds, same)))


if __name__ == "__main__":
    main()
