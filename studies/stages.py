"""Stages of one experiment: probe, train, evaluate, report. A finished stage is skipped."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from classifiers.scores import adopt_older_parts
from diffusion.processes import Processes, build_accelerator
from ground.endings import Mistake, Preempted
from ground.files import hash_json, remove_unfinished
from studies.experiment.config import (
    Config,
    to_dict,
)
from studies.findings.certificate_facts import probe_facts, probe_warnings
from studies.findings.denoiser_findings import clock_facts
from studies.findings.elicitation_findings import elicitation_facts
from studies.findings.instruments import agreement_lines
from studies.findings.prompt_findings import other_sets, table_of_prompts
from studies.findings.run import Run
from studies.run.directory import RunDir
from studies.run.null_condition import check_null
from studies.run.opened import Experiment
from studies.run.stopping import stop_on_request
from studies.scoring.evaluate import Evaluator
from studies.scoring.probing import ensure_probe
from studies.scoring.sampler_certificate import (
    check_comparable,
    comparison_jobs,
    plan_comparisons,
    write_sampler_certificate,
)
from studies.scoring.thinning import thin_scored
from studies.scoring.units import count_parts, unscored
from studies.scoring.watching import follow
from studies.training import as_recorded, claim, speed_line, train_stage

__all__ = [
    "claim",
    "evaluate_stage",
    "probe_stage",
    "report_stage",
    "run_experiment",
    "train_stage",
]

Say = Callable[[str], None]


def run_experiment(
    experiment: Experiment, say: Say, deadline: float | None = None, along: bool = False
) -> None:
    """Run all stages in one process, and say what each found.

    deadline: see `stop_on_request`. along: score every snapshot as soon as training has left it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Mistake("scripts/run.py is one process; train with several by scripts/train.py first")
    experiment = as_recorded(experiment)
    claim(experiment)
    _ = experiment.task  # refuse a mistake before the work
    probe_stage(experiment, say, deadline)
    train_stage(experiment, say, deadline, along)
    experiment = as_recorded(experiment)  # by now the precision is decided
    evaluate_stage(experiment, say, deadline)
    report_stage(experiment, say)


def probe_stage(experiment: Experiment, say: Say, deadline: float | None = None) -> None:
    """Make the probe on the first process, unless it is there; the others wait for it."""
    experiment = experiment.with_contents()
    processes = _scoring_processes(experiment.config)
    new = processes.once(lambda: ensure_probe(experiment, say, deadline, processes.device))
    say(f"probe: {'trained' if new else 'found'}; {_probe_line(experiment)}")
    for line in probe_warnings(experiment.certificate):
        say(line)


def _scoring_processes(config: Config) -> Processes:
    """Return the processes that evaluate, with the threads of training; what they do goes to no
    tracker."""
    return Processes(build_accelerator(replace(config.train, tracker=None)))


def evaluate_stage(
    experiment: Experiment,
    say: Say,
    deadline: float | None = None,
    watch_seconds: float | None = None,
    certify_sampler: bool = False,
) -> None:
    """Score every planned snapshot that is not scored yet, then thin as `evaluate.keep` says.

    watch_seconds: how often to look for what a training at work has added; None: all is there.
    certify_sampler: compare the sampler with ancestral sampling too, while all snapshots are there.
    """
    experiment = experiment.with_contents()
    config, run = experiment.config, experiment.run
    check_null(config, run)
    if certify_sampler:
        check_comparable(config)
    processes = _scoring_processes(config)
    processes.check_equal("config", hash_json(to_dict(config)))
    with ExitStack() as stack:
        stack.push(processes.leave)
        processes.once(lambda: run.claim_prompts(config.evaluate.prompts))
        processes.once(lambda: _tidy_scores(run))
        evaluator = Evaluator(experiment, processes)
        for line in processes.once(evaluator.standings):
            say(f"evaluate: {line}")
        missing, parts = count_parts(evaluator.missing()), count_parts(evaluator.jobs)
        if missing:
            _evaluate(evaluator, say, deadline, watch_seconds)
            say(f"evaluate: scored {missing} of {parts} parts")
        else:
            processes.once(lambda: run.set_done("evaluate"))
            say(f"evaluate: finished before, {parts} parts")
        if certify_sampler:
            _certify_sampler(evaluator, say, deadline)
        for line in processes.once(lambda: thin_scored(experiment)):
            say(line)


def _tidy_scores(run: RunDir) -> None:
    """Tidy up what older versions have left: some readers of the folder take hidden files for
    parts."""
    if any(run.scores.glob(".*")):
        with run.locked("evaluate"):
            remove_unfinished(run.scores)
            adopt_older_parts(run.scores)


def _evaluate(
    evaluator: Evaluator, say: Say, deadline: float | None, watch_seconds: float | None
) -> None:
    with _scoring(evaluator, deadline) as check:
        if watch_seconds is None:
            evaluator.evaluate(evaluator.missing(), check)
        else:
            follow(evaluator, say, check, watch_seconds)


@contextmanager
def _scoring(evaluator: Evaluator, deadline: float | None) -> Iterator[Callable[[], None]]:
    """Hold the lock of evaluation; yields a check that raises Preempted when asked to stop."""
    run, processes = evaluator.run, evaluator.processes
    with ExitStack() as stack:
        should_stop = stack.enter_context(stop_on_request(deadline))
        processes.once(lambda: stack.enter_context(run.writing("evaluate")))

        def check() -> None:
            if should_stop():
                raise Preempted("stopped while sampling, what is scored is kept")

        yield check


def _certify_sampler(evaluator: Evaluator, say: Say, deadline: float | None) -> None:
    """Draw and score what is to be compared and not there yet; write and say the certificate."""
    experiment, once = evaluator.experiment, evaluator.processes.once
    compared = once(lambda: plan_comparisons(experiment))
    jobs = comparison_jobs(experiment, compared)
    with _scoring(evaluator, deadline) as check:
        evaluator.evaluate(once(lambda: unscored(jobs)), check)
        table = once(lambda: write_sampler_certificate(experiment, compared))
    say(f"joint accuracy from the same noise, in {evaluator.run.sampler_certificate}\n{table}")


def report_stage(experiment: Experiment, say: Say) -> None:
    """Make figures and report, unless they were made from these scores before; then say the
    table."""
    experiment = experiment.with_contents()
    config, run, opened = experiment.config, experiment.run, Run(experiment)
    findings, page = opened.findings, opened.write_report()
    for weights, table in findings.tables().items():
        say(f"\naccuracy at step {config.train.max_steps}{weights} [95 % interval]\n{table}\n")
    if other_sets(config):
        table = table_of_prompts(findings.prompt_rows())
        say(f"joint accuracy of other prompts, beside the captions\n{table}\n")
    say(f"joint accuracy at step 0: {findings.first_step_accuracy():.3f}")
    say(f"joint accuracy of {experiment.world.originals}: {findings.ceiling():.3f}")
    say(f"joint accuracy of the memoriser: {findings.floor()}")
    for name, fact in findings.exam.facts(findings.scores).items():
        say(f"{name}: {fact}")
    for name, fact in {**clock_facts(experiment), **elicitation_facts(experiment)}.items():
        say(f"{name}: {fact}")
    for line in agreement_lines(experiment):
        say(line)
    for sentence in findings.readouts.sentences():
        say(sentence)
    say(f"probe: {_probe_line(experiment)}\ntraining: {speed_line(run)}")
    say(f"report: {page}")


def _probe_line(experiment: Experiment) -> str:
    facts = probe_facts(experiment.certificate)
    return ", ".join(f"{name} {text}" for name, text in facts.items())
