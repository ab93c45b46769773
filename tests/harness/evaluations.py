"""Evaluations of one small run, and several processes played by threads."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from diffusion.processes import Processes, build_accelerator
from diffusion.snapshots import step_directory
from diffusion.train_config import TrainConfig
from ground.files import hash_file, write_json
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.evaluate import Evaluator

T = TypeVar("T")


def quiet(line: str) -> None:
    pass


def changed(config: Config, **evaluate) -> Config:
    return replace(config, evaluate=replace(config.evaluate, **evaluate))


def copy(run: RunDir, folder: Path) -> RunDir:
    shutil.copytree(run.path.parent, folder, symlinks=True)
    return RunDir(folder / run.path.name)


def files(run: RunDir) -> dict[str, str]:
    """{path: SHA-256} of samples and scores, but for the hidden hashes of these."""
    found = [path for folder in (run.samples, run.scores) for path in folder.rglob("[!.]*")]
    return {str(p.relative_to(run.path)): hash_file(p) for p in sorted(found) if p.is_file()}


class Side(Processes):
    """One of several processes, played by a thread. One works at a time, between two meetings:
    libraries do not load models in several threads at once."""

    def __init__(self, rank: int, values: list, turn: threading.Lock, barrier: threading.Barrier):
        super().__init__(build_accelerator(TrainConfig(threads=1)))
        self.rank, self.world_size, self.is_main = rank, len(values), rank == 0
        self.values, self.turn, self.barrier = values, turn, barrier

    def gather(self, value):
        self.values[self.rank] = value
        self.turn.release()
        self.barrier.wait()
        values = list(self.values)
        self.barrier.wait()
        self.turn.acquire()
        return values


def sides(run: RunDir, config: Config, count: int) -> list[Evaluator]:
    barrier, turn = threading.Barrier(count, timeout=30), threading.Lock()
    values: list = [None] * count
    experiment = Experiment(config, run)
    alike = [Side(rank, values, turn, barrier) for rank in range(count)]
    return [Evaluator(experiment, side) for side in alike]


def side_by_side(evaluators: list[Evaluator], work: Callable[[Evaluator], T]) -> list[T]:
    def in_turns(evaluator: Evaluator) -> T:
        with evaluator.processes.turn:
            return work(evaluator)

    with ThreadPoolExecutor(len(evaluators)) as pool:
        return [*pool.map(in_turns, evaluators)]


class Training:
    """Plays a training at work: whenever the watch waits, its next snapshot appears."""

    def __init__(self, run: RunDir, end: str):
        self.run, self.end, self.hidden = run, end, run.path / "hidden"
        self.steps = [2, 4]
        self.hidden.mkdir()
        for step in self.steps:
            shutil.move(step_directory(run.snapshots, step), self.hidden)
        self.state("running")

    def state(self, state: str) -> None:
        write_json(self.run.path / "status.json", {"train": {"state": state, "why": "no disk"}})

    def wait(self, seconds, check) -> None:
        check()
        if self.steps:
            shutil.move(step_directory(self.hidden, self.steps.pop(0)), self.run.snapshots)
        else:
            self.state(self.end)
