"""Figures of several runs beside each other."""

from pathlib import Path

from ground.endings import Mistake
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.run.opened import Experiment


def plot_runs(paths: list[Path], out: Path) -> list[Path]:
    """Draw figures of any number of runs of one world; return the files written."""
    opened = [Experiment.of_run(RunDir(path)) for path in paths]
    names = [one.config.name for one in opened]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise Mistake(f"--run: several runs are named {doubled.pop()!r}; rename one in its config")
    first = opened[0]
    for one in opened:
        if one.exam.identity != first.exam.identity:
            raise Mistake(f"{one.run.path}: another world than {first.run.path}; plot them apart")
    figures = Findings(_told_apart(opened)).draw(out)
    return [out / f"{name}.png" for name in figures]


def _told_apart(opened: list[Experiment]) -> list[Experiment]:
    """Return the runs; those that show different weights say so in their names."""
    if len({one.config.evaluate.weights for one in opened}) == 1:
        return opened
    return [one.named(f"{one.config.name}, {one.config.evaluate.weights}") for one in opened]
