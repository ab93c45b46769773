"""A study under SLURM: job arrays whose tasks work at its runs. SLURM schedules, each run's
status.json says what is done. Imports no torch."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ground.endings import Mistake
from ground.files import read_json, write_json
from studies.many.folder import StudyFolder
from studies.many.study import StudyConfig

SCRIPT = Path(__file__).resolve().parents[2] / "configs" / "accelerate" / "sweep.sbatch"
LIMIT = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)  # of `scontrol show config`
JOBS = "jobs.json"
ASK_SECONDS = 60


def check_slurm(runs_per_task: int) -> None:
    """Raise Mistake where SLURM is not installed, and for tasks of no runs."""
    if shutil.which("sbatch") is None:
        raise Mistake("--slurm: there is no sbatch here; run it where SLURM is, or without --slurm")
    if runs_per_task < 1:
        raise Mistake(f"--runs-per-task: got {runs_per_task}, allowed are 1 and more")


def submit(
    study: StudyConfig,
    folder: StudyFolder,
    where: Sequence[str],
    flags: Sequence[str],
    runs_per_task: int,
    say: Callable[[str], None],
) -> None:
    """Submit tasks for all runs that are open, but for those that the queue holds already.

    where: flags of `sweep.py work` that say which study. flags: of sbatch. Raises Mistake with what
    SLURM says, if it refuses.
    """
    open_runs, queued = len(folder.open_runs(study)), len(queue(folder))
    tasks = -(-open_runs // runs_per_task) - queued
    if tasks < 1:
        return say(f"nothing to submit: {open_runs} runs to do, {queued} tasks in the queue")
    folder.slurm.mkdir(parents=True, exist_ok=True)
    for first in range(0, tasks, limit := array_limit()):
        count = min(limit, tasks - first)
        job = _ask(
            *("sbatch", "--parsable", f"--array=0-{count - 1}", f"--job-name={study.name}"),
            *(f"--output={folder.slurm.absolute()}/%A_%a.txt", *flags, str(SCRIPT), *where),
            *("--first", str(first), "--of", str(tasks), "--most", str(runs_per_task)),
        )
        write_json(folder.slurm / JOBS, [*jobs(folder), job.partition(";")[0]])
        say(f"submitted job {job}: {count} tasks of {runs_per_task} runs each")


def array_limit() -> int:
    """Return how many tasks an array may have. Raises Mistake where there are no arrays."""
    found = LIMIT.search(_ask("scontrol", "show", "config"))
    if not found or not int(found[1]):
        raise Mistake("--slurm: this cluster has no job arrays (MaxArraySize)")
    return int(found[1])


def jobs(folder: StudyFolder) -> list[str]:
    """Return the numbers of the jobs that were submitted for a study."""
    path = folder.slurm / JOBS
    return read_json(path) if path.is_file() else []


def queue(folder: StudyFolder) -> list[tuple[str, str]]:
    """Return job and state of each of a study's tasks that SLURM still knows; nothing where there
    is no SLURM. A job may be unknown: a controller that is killed loses some."""
    own = jobs(folder)
    if not own or shutil.which("squeue") is None:
        return []
    rows = _ask("squeue", "--noheader", "--array", "--format=%F %T").splitlines()
    tasks = [(job, state) for job, state in map(str.split, rows)]
    return [(job, state) for job, state in tasks if job in own]


def queue_lines(folder: StudyFolder) -> list[str]:
    """Return what SLURM's queue holds of a study, a line per job."""
    counts = Counter(queue(folder))
    found = dict.fromkeys(job for job, _ in counts)
    return [f"job {job}: {', '.join(_states(job, counts))}" for job in found]


def _states(job: str, counts: Counter[Any]) -> list[str]:
    return [f"{n} {state.lower()}" for (own, state), n in counts.items() if own == job]


def cancel(folder: StudyFolder) -> int:
    """Cancel all jobs of a study that the queue holds; returns how many."""
    own = list(dict.fromkeys(job for job, _ in queue(folder)))
    if own:
        _ask("scancel", *own)
    return len(own)


def _ask(*command: str) -> str:
    """Return what a command of SLURM prints. Raises Mistake with its last line, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it does not say why"]
        raise Mistake(f"{command[0]}: {lines[-1].removeprefix(f'{command[0]}: error: ')}")
    return done.stdout.strip()
