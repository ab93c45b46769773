"""Evaluation within a training: a snapshot is scored before the next step is trained."""

from collections.abc import Callable
from contextlib import ExitStack, suppress

from diffusion.processes import Processes
from ground.endings import Preempted
from studies.run.directory import Held
from studies.run.opened import Experiment
from studies.scoring.evaluate import Evaluator
from studies.scoring.watching import ready_while_training


def scorer_along(
    experiment: Experiment, processes: Processes, should_stop: Callable[[], bool]
) -> Callable[[], None]:
    """Return what scores all that a training has left so far, each part once.

    Training and evaluation draw from streams of their own, so both are the same bits as one after
    the other. Asked to stop, it keeps what is finished and returns: the training stops by itself.
    Where another process scores the run, such as scripts/evaluate.py --watch, it leaves that to it.
    """
    run = experiment.run
    processes.once(lambda: run.claim_prompts(experiment.config.evaluate.prompts))
    evaluator = Evaluator(experiment, processes)

    def check() -> None:
        if should_stop():
            raise Preempted("stopped while sampling, what is scored is kept")

    def score() -> None:
        with suppress(Preempted, Held), ExitStack() as stack:
            processes.once(lambda: stack.enter_context(run.locked("evaluate")))
            evaluator.evaluate(ready_while_training(evaluator), check)

    return score
