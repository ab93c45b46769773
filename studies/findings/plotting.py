"""Figures of several runs beside each other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ground.endings import Mistake
from studies.findings.run_findings import Findings
from studies.run.opened import Experiment
from studies.run_sets.discovery import members_in
from studies.run_sets.members import StudyRun
from studies.run_sets.run_set import RunSet


def plot_runs(paths: Sequence[Path], out: Path) -> list[Path]:
    """Draw figures of any number of runs of one world; return the files written.

    paths: run directories, and folders of such.
    """
    members = _told_apart(members_in(paths))
    opened = [Experiment.of_run(member.run) for member in members]
    first = opened[0]
    for one in opened:
        if one.exam.identity != first.exam.identity:
            raise Mistake(f"{one.run.path}: another world than {first.run.path}; plot them apart")
    findings = Findings(opened) if len(opened) == 1 else Findings.of(RunSet(members))
    return [out / f"{name}.png" for name in findings.draw(out)]


def _told_apart(members: Sequence[StudyRun]) -> list[StudyRun]:
    """Return the runs; those that show different weights say so in their names."""
    weights = [member.run.read_config().evaluate.weights for member in members]
    if len({*weights}) == 1:
        return [*members]
    return [replace(m, name=f"{m.name}, {w}") for m, w in zip(members, weights, strict=True)]
