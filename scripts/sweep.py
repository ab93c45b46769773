"""Run many experiments as one study: all variants of a config and all seeds, on this machine or
under SLURM.

The same command goes on where it was stopped. Several of them share the work.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ground.endings import Mistake
from studies.cli import deadline_after, say, start
from studies.many.folder import StudyFolder
from studies.many.local import cores, divide, launch, stop_launchers, visible_gpus
from studies.many.progress import summary, table
from studies.many.share import Share
from studies.many.slurm import cancel, check_slurm, queue_lines, submit
from studies.many.study import StudyConfig, read_study


@dataclass(frozen=True)
class Study:
    """Which study.

    Attributes:
        config: the study's YAML file, such as configs/studies/*.yaml.
        runs: folder of the studies' folders.
    """

    config: Path
    runs: Path = Path("runs")

    def read(self) -> tuple[StudyConfig, StudyFolder]:
        """Return the study and its folder, in which nothing needs to be there."""
        study = read_study(self.config)
        return study, StudyFolder(self.runs / study.name)


@dataclass(frozen=True)
class Run(Study):
    """Run what is not done yet: here, or under SLURM. Flags of sbatch follow after --.

    Attributes:
        slots: processes at a time; without it one per core, or --slots-per-gpu on every GPU.
        slots_per_gpu: processes on one GPU.
        slurm: submit job arrays instead of working here.
        runs_per_task: runs of one task of a job array, one after the other.
        dry_run: print runs, disk, work and hours, then stop.
        max_minutes: stop after so long, as if asked to: all is saved, exit status 75.
    """

    slots: int | None = None
    slots_per_gpu: int = 1
    slurm: bool = False
    runs_per_task: int = 1
    dry_run: bool = False
    max_minutes: float | None = None


@dataclass(frozen=True)
class Retry(Run):
    """Run what is not done yet, and what has failed or diverged too."""


@dataclass(frozen=True)
class Status(Study):
    """Print how every run stands, and what SLURM's queue holds."""


@dataclass(frozen=True)
class Stop(Study):
    """Ask all who work at the study to save and stop: launchers here, and jobs of SLURM."""


@dataclass(frozen=True)
class Report(Study):
    """Write the report of all that is there, and the numbers of its figures as CSV.

    Attributes:
        tables: tables of the runs, such as scores, to be written as one each: a folder of Parquet
            files with the settings as columns.
        page: a Markdown file, such as docs/findings/dynamics.md, that gets the findings too; its
            figures go into the folder beside it that has its name.
    """

    tables: tuple[str, ...] = ()
    page: Path | None = None


@dataclass(frozen=True)
class Work(Study):
    """Work at runs in this process until none is free: what the other commands start."""

    share: Annotated[Share, tyro.conf.arg(name="")] = Share()


COMMANDS = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Status, tyro.conf.subcommand("status")]
    | Annotated[Retry, tyro.conf.subcommand("retry")]
    | Annotated[Stop, tyro.conf.subcommand("stop")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Work, tyro.conf.subcommand("work")]
)


def read_arguments() -> tuple[Study, list[str]]:
    """Read the command line; what follows -- are flags of sbatch."""
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    arguments = tyro.cli(COMMANDS, args=given[:end], description=__doc__)  # type: ignore[call-overload]
    flags = given[end + 1 :]
    if flags and not getattr(arguments, "slurm", False):
        raise Mistake(f"-- {flags[0]}: flags after -- are sbatch's; they need --slurm")
    return arguments, flags


def run(arguments: Run, flags: Sequence[str]) -> None:
    study, folder = arguments.read()
    deadline = deadline_after(arguments.max_minutes)
    slots = divide(arguments.slots, arguments.slots_per_gpu, visible_gpus(), cores())
    if arguments.dry_run:
        from studies.many.forecast import describe

        return print(describe(study, folder, len(slots)))
    where = ("--config", str(arguments.config), "--runs", str(arguments.runs))
    if arguments.slurm:
        check_slurm(arguments.runs_per_task)
    folder.claim(study)
    if isinstance(arguments, Retry):
        folder.open_again()
    if arguments.slurm:
        submit(study, folder, where, flags, arguments.runs_per_task, say)
    else:
        launch(study, folder, slots, where, say, deadline)


def status(arguments: Status) -> None:
    _, folder = arguments.read()
    statuses = folder.read_status()
    say(f"{table(statuses)}\n{summary(statuses)}")
    for line in queue_lines(folder):
        say(line)


def stop(arguments: Stop) -> None:
    _, folder = arguments.read()
    say(f"asked {stop_launchers(folder)} launchers and {cancel(folder)} jobs of SLURM to stop")


def report(arguments: Report) -> None:
    from analysis.report.markdown import write_markdown_page
    from studies.findings.study_report import PAGE, write_study_report
    from studies.run_sets.run_set import RunSet

    _, folder = arguments.read()
    study = folder.read()
    written = write_study_report(study, folder.read_status(), folder.path)
    if arguments.page is not None:
        command = shlex.join(["python", *sys.argv])
        write_markdown_page(arguments.page, written, command)
        say(f"wrote {arguments.page}")
    for name in arguments.tables:
        table = folder.path / "tables" / f"{name}.parquet"
        RunSet(study.runs).write(table, name)
        say(f"wrote {table}")
    say(f"report: {folder.path / PAGE}")


def work(arguments: Work) -> None:
    study, folder = arguments.read()
    from studies.many.work import work as work_at

    work_at(study, folder, arguments.share, say)


def main() -> None:
    arguments, flags = read_arguments()
    if isinstance(arguments, Run):
        run(arguments, flags)
    elif isinstance(arguments, Report):
        report(arguments)
    elif isinstance(arguments, Work):
        work(arguments)
    elif isinstance(arguments, Status):
        status(arguments)
    elif isinstance(arguments, Stop):
        stop(arguments)


if __name__ == "__main__":
    start(main)
