"""Kill a run at random moments until it ends by itself, and compare it with the straight one."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ground.files import read_rows
from tests.harness.compare import first_difference
from tests.harness.moments import MOMENTS, await_moment, draw_moments
from tests.harness.processes import Attempt, Job, run_to_end


@dataclass(frozen=True)
class Kill:
    """One SIGKILL to every process of a run.

    Attributes:
        moment: a name in MOMENTS.
        step: the last one in metrics.jsonl.
        processes: how many it ended.
        left: new temporary files and directories: something was being written.
    """

    moment: str
    step: int
    processes: int
    left: tuple[str, ...]


def kill_and_compare(
    job: Job, straight: Path, kills: int, seed: int, moments: Sequence[str] = tuple(MOMENTS)
) -> list[Kill]:
    """Kill `kills` attempts of a job, let the next one end, compare its run with `straight`.

    Returns the kills; fewer if the run ended before a moment came. AssertionError if an attempt
    fails or hangs, a process survives, or anything differs. Prints how often it hit what.
    """
    rng, done = random.Random(seed), []
    try:
        for name in draw_moments(kills, rng, moments):
            kill = _kill_at(job, name, rng)
            done += [kill] if kill else []
        run_to_end(job)
    finally:
        print(f"\n{summary(done)}")
    difference = first_difference(job.run_directory, straight)
    assert difference is None, f"{difference}\n{summary(done)}"
    return done


def _kill_at(job: Job, name: str, rng: random.Random) -> Kill | None:
    """One attempt, killed; None if it ended well before the moment came."""
    before = _temporaries(job.run_directory)
    with Attempt(job) as attempt:
        if not await_moment(attempt, MOMENTS[name], rng):
            status = attempt.end()
            assert status == 0, f"status {status}\n{attempt.tail()}"
            return None
        processes = attempt.kill_everything()
    left = sorted(_temporaries(job.run_directory) - before)
    return Kill(name, _last_step(job.run_directory), processes, tuple(left))


def _temporaries(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob(".*.tmp*")}


def _last_step(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    rows = read_rows(metrics) if metrics.is_file() else []
    return rows[-1]["step"] if rows else 0


def summary(kills: Sequence[Kill]) -> str:
    """A table: moment, its kills, how many of them hit an unfinished write, steps reached."""
    by_moment = defaultdict(list)
    for kill in kills:
        by_moment[kill.moment].append(kill)
    lines = [f"{'moment':<15} kills  mid-write  processes  at step"]
    for name, group in by_moment.items():
        torn = sum(bool(kill.left) for kill in group)
        most = max(kill.processes for kill in group)
        steps = " ".join(str(kill.step) for kill in group)
        lines.append(f"{name:<15} {len(group):>5}  {torn:>9}  {most:>9}  {steps}")
    return "\n".join([*lines, f"{'all':<15} {len(kills):>5}"])
