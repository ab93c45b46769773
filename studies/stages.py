"""The stages of one experiment: probe, train, evaluate, report. A finished stage is skipped."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from data_gen.dataset import leak_check, training_set
from data_gen.endings import Mistake, Preempted
from data_gen.files import damage, hash_json, read_json
from data_gen.world import World
from diffusion.fine_tuning import Source
from diffusion.group_norm import group_norm_implementation
from diffusion.processes import Processes, build_accelerator
from diffusion.snapshots import complete_steps, step_directory, steps_in, thinned_steps
from diffusion.train import Trainer
from studies.config import (
    Config,
    check_config,
    flatten,
    scored_weights,
    scored_world,
    snapshot_steps,
    to_dict,
    to_yaml,
)
from studies.evaluate import Evaluator
from studies.findings import Findings, probe_facts, report_is_fresh, speed_facts, write_run_report
from studies.forecast import Weights, check_disk, run_bytes
from studies.lineage import find_source, record_lineage
from studies.models import new_model, task_of
from studies.plans import count_images, make_plans, questions_of, shown_plans
from studies.precision import decide_precision, with_recorded_precision
from studies.probing import ensure_probe, load_run_probe
from studies.prompt_findings import table_of_prompts
from studies.prompt_sets import rows_per_step
from studies.run_dir import RunDir
from studies.stopping import stop_on_request
from studies.thinning import is_trained, thin_scored
from studies.watching import follow

Say = Callable[[str], None]


def run_experiment(config: Config, run: RunDir, say: Say, deadline: float | None = None) -> None:
    """All stages in one process; says what each found. deadline: as `stop_on_request` takes it."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Mistake("scripts/run.py is one process; train with several by scripts/train.py first")
    scored_world(config)
    config = with_recorded_precision(config, run)
    claim(config, run)
    task_of(config)  # refuse a mistake before the work
    probe_stage(config, run, say)
    train_stage(config, run, say, deadline)
    config = with_recorded_precision(config, run)
    evaluate_stage(config, run, say, deadline)
    report_stage(config, run, say)


def claim(config: Config, run: RunDir) -> None:
    """Make the directory this experiment's, unless its training went beyond the config's end."""
    reached = max((*steps_in(run.states), *steps_in(run.snapshots)), default=0)
    if run.config_file.is_file() and reached > config.train.max_steps:
        raise Mistake(
            f"train.max_steps: {run.path} is trained to step {reached} already; "
            f"allowed {reached} or more, or another --name"
        )
    run.check_prompts(config.evaluate.prompts)
    run.claim(config)


def probe_stage(config: Config, run: RunDir, say: Say) -> None:
    """The first process makes the probe, unless it is there; the others wait for it."""
    world = scored_world(config)
    new = _scoring_processes(config).once(lambda: _ensure_probe(config, run, world))
    say(f"probe: {'trained' if new else 'found'}; {_probe_line(run)}")


def _ensure_probe(config: Config, run: RunDir, world: World) -> bool:
    with run.locked("evaluate"):
        return ensure_probe(run, world, config.probe)


def _scoring_processes(config: Config) -> Processes:
    """Those that evaluate, with the threads of training; what they do goes to no tracker."""
    return Processes(build_accelerator(replace(config.train, tracker=None)))


def train_stage(config: Config, run: RunDir, say: Say, deadline: float | None = None) -> None:
    """Train to the end, going on from the last state. Raises Preempted or Diverged."""
    check_config(config)
    config = with_recorded_precision(config, run)
    processes = Processes(build_accelerator(config.train, run.path))
    if processes.once(lambda: is_trained(config, run)):
        processes.once(lambda: run.set_done("train"))
        return say(f"train: finished before, {config.train.max_steps} steps; {_speed_line(run)}")
    processes.check_equal("config", hash_json(to_dict(config)))
    with ExitStack() as stack:
        should_stop = stack.enter_context(stop_on_request(deadline))
        stack.push(processes.leave)
        processes.once(lambda: claim(config, run))
        processes.once(lambda: stack.enter_context(run.writing("train")))
        _train(config, run, processes, say, should_stop)
        processes.once(lambda: _check_snapshots(config, run))
    say(f"train: {config.train.max_steps} steps; {_speed_line(run)}")


def _train(
    config: Config,
    run: RunDir,
    processes: Processes,
    say: Say,
    should_stop: Callable[[], bool],
) -> None:
    facts = {
        "device": processes.device.type,
        "threads": torch.get_num_threads(),
        "world_size": processes.world_size,
        "micro_batch_size": config.train.micro_batch_size,
        "group_norm": group_norm_implementation(processes.device),
    }
    for line in processes.once(lambda: run.write_environment(facts)):
        say(f"environment: {line}; last bits may differ from here on")
    task = task_of(config)
    data, leaks = task.load()
    for line in leaks:
        say(line)
    model = new_model(config, task)
    config = decide_precision(config, run, processes, model, data)
    trainer = Trainer(
        data,
        model,
        task.conditioning.prompts,
        config.train,
        seed=config.seed,
        directory=run.path,
        processes=processes,
        find_source=lambda: _find_source(config, run, processes),
        should_stop=should_stop,
    )
    if trainer.step:
        say(f"train: going on from the state of step {trainer.step}")
    processes.once(lambda: check_disk(config, run, Weights.of(trainer.raw)))
    _start_tracker(config, processes, trainer.step)
    trainer.run()


def _check_snapshots(config: Config, run: RunDir) -> None:
    """Raises Mistake if a step that lies behind the training has no whole snapshot any more."""
    there = {*complete_steps(run.snapshots), *thinned_steps(run.snapshots)}
    for step in sorted({*snapshot_steps(config)} - there):
        path = step_directory(run.snapshots, step)
        raise Mistake(
            f"{path}: {damage(path)}, and training is beyond it; restore it: the same config, "
            f"trained under another --name, makes it again"
        )


def _find_source(config: Config, run: RunDir, processes: Processes) -> Source | None:
    source = find_source(config)
    if source is not None:
        processes.once(lambda: record_lineage(run, config, source))
    return source


def _start_tracker(config: Config, processes: Processes, step: int) -> None:
    """Give the tracker the config; TensorBoard drops what was logged beyond the state."""
    options = {"tensorboard": {"purge_step": step + 1}, "wandb": {"name": config.name}}
    processes.accelerator.init_trackers("concept-dynamics", flatten(config), init_kwargs=options)


def evaluate_stage(
    config: Config,
    run: RunDir,
    say: Say,
    deadline: float | None = None,
    watch_seconds: float | None = None,
) -> None:
    """Score every planned snapshot that is not scored yet, then thin as `evaluate.keep` says.

    watch_seconds: how often to look for what a training at work has added; None: all is there.
    """
    world, processes = scored_world(config), _scoring_processes(config)
    processes.check_equal("config", hash_json(to_dict(config)))
    with ExitStack() as stack:
        stack.push(processes.leave)
        processes.once(lambda: run.claim_prompts(config.evaluate.prompts))
        evaluator = Evaluator(run, config, world, *load_run_probe(run, world), processes)
        missing, parts = len(evaluator.missing()), len(evaluator.jobs)
        if missing:
            _evaluate(evaluator, say, deadline, watch_seconds)
            say(f"evaluate: scored {missing} of {parts} parts")
        else:
            processes.once(lambda: run.set_done("evaluate"))
            say(f"evaluate: finished before, {parts} parts")
        for line in processes.once(lambda: thin_scored(config, run)):
            say(line)


def _evaluate(
    evaluator: Evaluator, say: Say, deadline: float | None, watch_seconds: float | None
) -> None:
    run, processes = evaluator.run, evaluator.processes
    with ExitStack() as stack:
        should_stop = stack.enter_context(stop_on_request(deadline))
        processes.once(lambda: stack.enter_context(run.writing("evaluate")))

        def check() -> None:
            if should_stop():
                raise Preempted("stopped while sampling, what is scored is kept")

        if watch_seconds is None:
            evaluator.evaluate(evaluator.missing(), check)
        else:
            follow(evaluator, say, check, watch_seconds)


def report_stage(config: Config, run: RunDir, say: Say) -> None:
    """Figures and report, unless they were made from these scores before; then the table."""
    world = scored_world(config)
    findings = Findings([run], [config], world)
    if not report_is_fresh(findings):
        data = training_set(world)
        figures = findings.draw(run.figures)
        write_run_report(findings, data, leak_check(world, data), figures)
    for weights, table in findings.tables().items():
        say(f"\naccuracy at step {config.train.max_steps}{weights} [95 % interval]\n{table}\n")
    if config.evaluate.prompts:
        table = table_of_prompts(findings.prompt_rows())
        say(f"joint accuracy of other prompts, beside the captions\n{table}\n")
    say(f"joint accuracy at step 0: {findings.first_step_accuracy():.3f}")
    say(f"joint accuracy of true renders: {findings.ceiling():.3f}")
    say(f"joint accuracy of the memoriser: {findings.floor()}")
    say(f"effect of prompts, P(v | asked v) - P(v | asked another): {findings.prompt_effect()}")
    say(f"probe: {_probe_line(run)}\ntraining: {_speed_line(run)}")
    say(f"report: {run.report}")


def _probe_line(run: RunDir) -> str:
    facts = probe_facts(read_json(run.probe / "certificate.json"))
    return ", ".join(f"{name} {text}" for name, text in facts.items())


def _speed_line(run: RunDir) -> str:
    return ", ".join(f"{name} {text}" for name, text in speed_facts(run).items())


def describe_plan(config: Config, run: RunDir) -> str:
    """What --dry-run prints: the resolved config, then steps, snapshots, disk and work."""
    task = task_of(config)
    weights = Weights.of(new_model(config, task))
    snapshots = snapshot_steps(config)
    lines = [
        f"run: {run.path}",
        f"world: {task.shown}",
        f"model: {(weights.trained + weights.frozen) / 1e6:.2f} M parameters"
        + (f", {weights.frozen / 1e6:.2f} M of them frozen" if weights.frozen else ""),
        f"train: {config.train.max_steps} steps of {config.train.batch_size} images, "
        f"{config.train.max_steps * config.train.batch_size} images in all",
        f"snapshots: {len(snapshots)} at steps {', '.join(map(str, snapshots))}",
        *_evaluation_plan(config),
        f"disk: about {run_bytes(config, weights) / 2**20:.0f} MiB",
    ]
    return "\n".join([to_yaml(config), *lines])


def _evaluation_plan(config: Config) -> list[str]:
    plans, shown = make_plans(config), shown_plans(config)
    asked, scale = questions_of(config), config.evaluate.guidance_scale
    rows = {name: rows_per_step(own[0].prompt, scale) for name, own in asked.items()}
    evaluations = sum(count_images(config, [plan]) * rows[plan.intervention] for plan in plans)
    line = (
        f"evaluate: steps {', '.join(str(plan.step) for plan in shown)}, "
        f"{' and '.join(scored_weights(config.evaluate))} weights; "
        f"{count_images(config, plans)} images, "
        f"{evaluations * config.evaluate.num_inference_steps} network evaluations"
    )
    sets = [
        f"prompts: {name}: {len(asked[name])} such as {asked[name][0].prompt!r}"
        for name in config.evaluate.prompts
    ]
    return [line, *sets] if plans else []


def plot_runs(paths: list[Path], out: Path) -> list[Path]:
    """Figures of any number of runs of one world; returns the files written."""
    runs = [RunDir(path) for path in paths]
    configs = [run.read_config() for run in runs]
    worlds = [scored_world(config) for config in configs]
    names = [config.name for config in configs]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise Mistake(f"--run: several runs are named {doubled.pop()!r}; rename one in its config")
    for run, world in zip(runs, worlds, strict=True):
        if world.space.values != worlds[0].space.values or world.split != worlds[0].split:
            raise Mistake(f"{run.path}: another world than {runs[0].path}; plot them apart")
    figures = Findings(runs, _told_apart(configs), worlds[0]).draw(out)
    return [out / f"{name}.png" for name in figures]


def _told_apart(configs: list[Config]) -> list[Config]:
    """Runs that show different weights say so in their names."""
    if len({config.evaluate.weights for config in configs}) == 1:
        return configs
    return [replace(config, name=f"{config.name}, {config.evaluate.weights}") for config in configs]
