"""Figures of several runs beside each other, and what is to be said of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ground.endings import Mistake
from studies.findings.run_findings import Findings, write_csv
from studies.findings.several_runs import is_whole, write_runs_page
from studies.run.opened import Experiment
from studies.run_sets.discovery import members_in
from studies.run_sets.members import StudyRun
from studies.run_sets.run_set import RunSet

OVER_SEEDS, EXPLORED = "over_seeds.csv", "explore.html"


def plot_runs(
    paths: Sequence[Path],
    out: Path,
    say: Callable[[str], None] | None = None,
    concepts: Sequence[str] = (),
    over_seeds: bool = False,
) -> list[Path]:
    """Draw figures of any number of runs of one world, with their numbers as CSV; return the
    figures written. Of several runs that have their samples there is a page to explore them, too.

    Raises Mistake for runs of different worlds and for a concept that is not there, before anything
    is drawn.

    paths: run directories, and folders of such. say: gets a sentence for each of when a concept is
    learned, by which instrument, of whether the runs agree, and of the page. concepts: that
    readouts and sentences look at; none: all. over_seeds: write last accuracies and learning times
    with intervals over the seeds of each variant, too; Mistake names a variant of one seed.
    """
    findings = _opened(paths, concepts)
    readouts = findings.readouts  # which refuses concepts that are not there
    numbers = readouts.over_seeds() if over_seeds else None
    written = [out / f"{name}.png" for name in findings.draw(out)]
    if numbers is not None:
        write_csv(out / OVER_SEEDS, numbers)
    whole = [*filter(is_whole, findings.experiments)]
    page = write_runs_page(out / EXPLORED, whole, findings.curves) if len(whole) > 1 else None
    if say is not None:
        for sentence in [*readouts.sentences(), *([page] if page else [])]:
            say(sentence)
    return written


def _opened(paths: Sequence[Path], concepts: Sequence[str]) -> Findings:
    members = _told_apart(members_in(paths))
    opened = [Experiment.of_run(member.run) for member in members]
    first = opened[0]
    for one in opened:
        if one.exam.identity != first.exam.identity:
            raise Mistake(f"{one.run.path}: another world than {first.run.path}; plot them apart")
    if len(opened) == 1:
        return Findings(opened, concepts=concepts)
    return Findings.of(RunSet(members), concepts)


def _told_apart(members: Sequence[StudyRun]) -> list[StudyRun]:
    """Return the runs; those that show different weights say so in their names."""
    weights = [member.run.read_config().evaluate.weights for member in members]
    if len({*weights}) == 1:
        return [*members]
    return [replace(m, name=f"{m.name}, {w}") for m, w in zip(members, weights, strict=True)]
