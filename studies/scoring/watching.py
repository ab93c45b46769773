"""Evaluation beside a training at work: what it writes is scored as it appears."""

import time
from collections.abc import Callable
from functools import partial

from diffusion.snapshots import steps_in, thinned_steps
from ground.endings import Mistake, Preempted
from studies.run.directory import RunDir
from studies.run.plans import MEMORISER, RENDER
from studies.scoring.evaluate import Evaluator
from studies.scoring.units import Job, count_parts, unscored

GLANCE_SECONDS = 0.2  # how often a wait looks whether it is asked to stop


def follow(
    evaluator: Evaluator,
    say: Callable[[str], None],
    check: Callable[[], None],
    seconds: float,
) -> None:
    """Score what is planned as it appears, until training is done and all is scored.

    seconds: between two looks. check: raises to stop. Raises Mistake if training has failed or was
    never begun, Preempted if it was stopped or killed: first all that it has left is scored. It
    counts as ended if two looks in a row find it so, since one that is requeued comes back.
    """
    run, processes, total = evaluator.run, evaluator.processes, count_parts(evaluator.jobs)
    scored, before = total - count_parts(evaluator.missing()), ""
    say(f"evaluate: watching {run.path}, {scored} of {total} parts are scored")

    def tell(job: Job) -> None:
        nonlocal scored
        scored += len(job.parts)
        say(f"evaluate: {job.line()}: scored, {scored} of {total}")

    while True:
        state = processes.once(lambda: training_state(run))  # before looking what it has left
        missing, ready = processes.once(partial(_look, evaluator, state))
        scored = total - count_parts(missing)  # fewer, if a snapshot was written again
        if not missing and state != "running":
            return
        if ready:
            evaluator.evaluate(ready, check, tell)
        elif state == before != "running":
            raise _ended(run, state, f"scored {scored} of {total} parts")
        else:
            processes.each(lambda: _wait(seconds, check) if processes.is_main else check())
        before = state


def ready_while_training(evaluator: Evaluator) -> list[Job]:
    """Return what is not scored yet of the snapshots that a training has left so far."""
    return evaluator.processes.once(lambda: _look(evaluator, "running")[1])


def training_state(run: RunDir) -> str:
    """Return the state of a training: running, done, failed, preempted; killed (said to be running,
    but nobody is at it); none."""
    if run.is_held("train"):
        return "running"
    state = run.state_of("train")
    return "killed" if state == "running" else state or "none"


def _look(evaluator: Evaluator, state: str) -> tuple[list[Job], list[Job]]:
    """Return what is not scored yet, and what of it can be: all once training is done (a snapshot
    that is not there by then is a mistake); else where the snapshot is there, the memoriser
    last."""
    missing, snapshots = unscored(evaluator.jobs), evaluator.run.snapshots
    there = {*steps_in(snapshots)} - {*thinned_steps(snapshots)}
    others = [job for job in missing if job.plan.run != MEMORISER]
    ready = [
        job
        for job in others
        if job.plan.run == RENDER or {job.plan.step, job.also or job.plan.step} <= there
    ]
    complete = state == "done" or len(ready) == len(others)
    return missing, missing if complete else ready


def _wait(seconds: float, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check()
        time.sleep(min(GLANCE_SECONDS, max(0.0, deadline - time.monotonic())))


def _ended(run: RunDir, state: str, scored: str) -> Mistake | Preempted:
    """Return what to raise of a training that ended before all was there."""
    if state == "none":
        return Mistake(f"--watch: no training of {run.path} has begun; start it first; {scored}")
    if state == "failed":
        why = run.status_of("train").get("why", "no reason given")
        return Mistake(f"--watch: training of {run.path} has failed ({why}); {scored}")
    how = "was killed" if state == "killed" else "was stopped"
    return Preempted(f"training of {run.path} {how} before its end; {scored}")
