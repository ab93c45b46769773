"""Report of a study: study_report.html in its folder, and the numbers beside its figures as CSV."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from analysis.report.study import Cell, RunRow, Section, StudyReport, write_study_page
from analysis.tables.trajectory import final_accuracy
from ground.endings import Mistake
from studies.findings.elicited_section import elicited_of_runs, elicited_section
from studies.findings.expected_section import expected_section
from studies.findings.obedience_section import lead_section, middle_level
from studies.findings.outcome_section import outcome_sections, outcome_tables
from studies.findings.outcomes import outcomes_of_runs
from studies.findings.run_findings import Findings, colored, write_csv
from studies.findings.seed_sections import seed_sections_of
from studies.findings.seed_tables import SeedTables
from studies.findings.study_sections import sections_of, shown_split
from studies.findings.study_tables import StudyTables
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.run.results import read_samples
from studies.run_sets.discovery import short_name
from studies.run_sets.members import RunStatus, Study, StudyRun
from studies.run_sets.run_set import RunSet

PAGE, TABLES, KEPT = "study_report.html", "tables", ".found"


def write_study_report(study: Study, statuses: Sequence[RunStatus], folder: Path) -> StudyReport:
    """Write the report of a study into its folder, as PAGE, of all that is there; return it.

    Runs that wait, failed or diverged are in it too. Scores that are not of the weights that are
    there are left out, and the row of their run says why.
    """
    run_set = RunSet(study.runs)
    tables, refused = StudyTables.of(run_set, folder / TABLES / KEPT)
    more = _more(run_set, tables, folder / TABLES / KEPT) if tables is not None else None
    statuses = [_with(status, refused.get(status.name, "")) for status in statuses]
    runs = _runs_table(run_set, statuses, tables)
    write_csv(folder / TABLES / "runs.csv", runs)
    for name, table in _named(tables, more):
        write_csv(folder / TABLES / f"{name}.csv", table)
    report = StudyReport(
        title=study.name,
        question=study.question,
        facts=_facts(study, statuses),
        columns=[short_name(name) for name in _columns(runs)],
        runs=[*_rows(run_set, statuses, runs, tables, folder)],
        curve_name=f"joint, {_split_name(tables)}, over training",
        sections=[*_sections(tables, more)],
    )
    write_study_page(folder / PAGE, report)
    return report


class _More(NamedTuple):
    """What is found of how concepts are learned, beside a study's first tables."""

    experiments: Sequence[Experiment]
    seeds: SeedTables | None
    elicited: pd.DataFrame
    unread: dict[str, str]
    outcomes: pd.DataFrame
    without: dict[str, str]


def _more(run_set: RunSet, tables: StudyTables, kept: Path) -> _More:
    begun = {*tables.about["run"]}
    read = run_set.only([member for member in run_set.members if member.name in begun])
    experiments = Findings.of(read).experiments
    found = elicited_of_runs(experiments, tables.about)
    outcomes = outcomes_of_runs(experiments, tables.about)
    return _More(experiments, SeedTables.of(read, tables, kept), *found, *outcomes)


def _named(tables: StudyTables | None, more: _More | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables that are kept beside the report, by their names."""
    for one in (tables, more and more.seeds):
        if one is not None:
            yield from one.named()
    if more is not None and len(more.elicited):
        yield "elicited", more.elicited
    if more is not None:
        yield from outcome_tables(more.outcomes)


def _sections(tables: StudyTables | None, more: _More | None) -> Iterator[Section]:
    seeds = more.seeds if more is not None else None
    level = middle_level(seeds) if seeds is not None else None
    lead = lead_section(seeds) if seeds is not None else None
    yield from [lead] if lead is not None else []
    if more is not None:
        yield from outcome_sections(more.outcomes, more.without)
    if tables is not None:
        yield from sections_of(tables)
    if seeds is not None:
        yield from seed_sections_of(seeds)
    if more is not None and len(more.elicited):
        yield elicited_section(more.elicited, more.unread)
    if more is not None and seeds is not None and level is not None:
        yield expected_section(more.experiments, seeds, level)


def _with(status: RunStatus, why: str) -> RunStatus:
    return replace(status, why="; ".join(filter(None, (status.why, why))))


def _facts(study: Study, statuses: Sequence[RunStatus]) -> dict[str, str]:
    states = pd.Series([status.state for status in statuses]).value_counts()
    return {
        "runs": str(len(study.runs)),
        "variants": str(len({run.variant for run in study.runs})),
        **{str(state): str(count) for state, count in states.items()},
        "numbers": f"{TABLES}/*.csv",
    }


def _split_name(tables: StudyTables | None) -> str:
    return shown_split(tables).replace("_", "-") if tables is not None else "held-out"


def _runs_table(
    run_set: RunSet, statuses: Sequence[RunStatus], tables: StudyTables | None
) -> pd.DataFrame:
    """Return a row per run: settings, how it stands, and what it has reached."""
    status = pd.DataFrame([vars(s) for s in statuses]).rename(columns={"name": "run"})
    runs = run_set.settings.rename(columns={"name": "run"}).merge(status, on="run", how="left")
    if tables is None:
        return runs
    final = final_accuracy(tables.curves)
    final = final[final["measure"] == "joint"].pivot(
        index="run", columns="split", values="accuracy"
    )
    final.columns = [f"joint, {split.replace('_', '-')}" for split in final.columns]
    shown = tables.times[tables.times["split"] == shown_split(tables)]
    times = shown.pivot(index="run", columns="measure", values="images_seen")
    times = times[[*shown["measure"].unique()]]
    times.columns = [f"images until {measure}" for measure in times.columns]
    return runs.merge(final.reset_index(), on="run", how="left").merge(
        times.reset_index(), on="run", how="left"
    )


def _columns(runs: pd.DataFrame) -> list[str]:
    """Return the columns of the page beside what every row says first."""
    first = {"run", "variant", "state", "stage", "step", "of_steps", "why"}
    return [str(name) for name in runs if name not in first]


def _rows(
    run_set: RunSet,
    statuses: Sequence[RunStatus],
    runs: pd.DataFrame,
    tables: StudyTables | None,
    folder: Path,
) -> Iterator[RunRow]:
    curves = _joint_curves(tables) if tables is not None else {}
    cells = runs.set_index("run")[_columns(runs)]
    states = {status.name: status for status in statuses}
    for member in run_set.members:
        status = states[member.name]
        yield RunRow(
            name=member.name,
            state=status.state,
            variant=member.variant,
            cells=[_cell(value) for value in cells.loc[member.name]],
            why=_why(status),
            link=_link(member, folder),
            sample=_sample(run_set, member),
            curve=curves.get(member.name, ()),
        )


def _why(status: RunStatus) -> str:
    if status.state in ("done", "waiting"):
        return status.why
    where = f"{status.stage}, step {status.step} of {status.of_steps}"
    return f"{where}: {status.why}" if status.why else where


def _cell(value: Any) -> Cell:
    """Return a number or a text; None where it is not known."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return None if value is None or value is pd.NA else str(value)


def _joint_curves(tables: StudyTables) -> Mapping[str, Sequence[float]]:
    joint = tables.curves[tables.curves["measure"] == "joint"]
    own = joint[joint["split"] == shown_split(tables)].sort_values("images_seen")
    return {str(run): [*curve["accuracy"]] for run, curve in own.groupby("run")}


def _link(member: StudyRun, folder: Path) -> str | None:
    """Return where the run's own report is, relative to the study's folder."""
    report = member.run.report
    return quote(os.path.relpath(report, folder)) if report.is_file() else None


def _sample(run_set: RunSet, member: StudyRun) -> np.ndarray | None:
    """Return an image of the last snapshot that was drawn, of what is held out if anything is;
    None if there is none, or none of the weights that are there."""
    if not member.run.samples.is_dir():
        return None
    experiment = run_set.experiment(member)
    drawn = [p for p in shown_plans(experiment.config) if p.samples_file(member.run).is_file()]
    if not drawn:
        return None
    try:
        images = read_samples(member.run, drawn[-1])
    except Mistake:
        return None  # scripts/verify.py names it
    return colored(images[next(iter(experiment.exam.shown)), 0])
