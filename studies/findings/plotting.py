"""Figures of several runs beside each other."""

from dataclasses import replace
from pathlib import Path

from ground.endings import Mistake
from studies.experiment.config import Config, check_config
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.worlds.kinds import exam_of


def plot_runs(paths: list[Path], out: Path) -> list[Path]:
    """Figures of any number of runs of one world; returns the files written."""
    runs = [RunDir(path) for path in paths]
    configs = [run.read_config() for run in runs]
    worlds = [check_config(config) for config in configs]
    pairs = zip(worlds, configs, strict=True)
    asked = [exam_of(world, config.evaluate).identity for world, config in pairs]
    names = [config.name for config in configs]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise Mistake(f"--run: several runs are named {doubled.pop()!r}; rename one in its config")
    for run, identity in zip(runs, asked, strict=True):
        if identity != asked[0]:
            raise Mistake(f"{run.path}: another world than {runs[0].path}; plot them apart")
    figures = Findings(runs, _told_apart(configs), worlds[0]).draw(out)
    return [out / f"{name}.png" for name in figures]


def _told_apart(configs: list[Config]) -> list[Config]:
    """Runs that show different weights say so in their names."""
    if len({config.evaluate.weights for config in configs}) == 1:
        return configs
    return [replace(config, name=f"{config.name}, {config.evaluate.weights}") for config in configs]
