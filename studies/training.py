"""Training of one experiment in its run directory, from what the run knows to its snapshots."""

from collections.abc import Callable
from contextlib import ExitStack

import torch

from diffusion.fine_tuning import Source
from diffusion.group_norm import group_norm_implementation
from diffusion.processes import Processes, build_accelerator
from diffusion.snapshots import (
    complete_steps,
    step_damage,
    step_directory,
    steps_in,
    thinned_steps,
)
from diffusion.train import Trainer
from ground.endings import Mistake
from ground.files import hash_json
from studies.experiment.config import Config, flatten, snapshot_steps, to_dict
from studies.findings.run_report import speed_facts
from studies.forecast import Weights, check_disk
from studies.run.auto_precision import decide_precision, with_recorded_precision
from studies.run.directory import RunDir
from studies.run.lineage import find_source, record_lineage, with_recorded_source
from studies.run.null_condition import check_null
from studies.run.opened import Experiment
from studies.run.stopping import stop_on_request
from studies.scoring.along import scorer_along
from studies.scoring.thinning import is_trained

Say = Callable[[str], None]


def as_recorded(experiment: Experiment) -> Experiment:
    """Return an experiment with what its run knows of it: the source's name, contents of files,
    precision."""
    experiment = experiment.with_contents()
    config = with_recorded_source(experiment.config, experiment.run)
    return experiment.changed(with_recorded_precision(config, experiment.run))


def claim(experiment: Experiment) -> None:
    """Make the directory this experiment's. Raises Mistake if its training went beyond the config's
    end."""
    config, run = experiment.config, experiment.run
    reached = max((*steps_in(run.states), *steps_in(run.snapshots)), default=0)
    if run.config_file.is_file() and reached > config.train.max_steps:
        raise Mistake(
            f"train.max_steps: {run.path} is trained to step {reached} already; "
            f"allowed {reached} or more, or another --name"
        )
    check_null(config, run)
    run.check_prompts(config.evaluate.prompts)
    run.claim(config)


def train_stage(
    experiment: Experiment, say: Say, deadline: float | None = None, along: bool = False
) -> None:
    """Train to the end, going on from the last state. Raises Preempted or Diverged.

    along: score every snapshot before the next step is trained; the probe is there.
    """
    experiment = as_recorded(experiment)
    config, run = experiment.config, experiment.run
    processes = Processes(build_accelerator(config.train, run.path))
    if processes.once(lambda: is_trained(config, run)):
        processes.once(lambda: run.set_done("train"))
        return say(f"train: finished before, {config.train.max_steps} steps; {speed_line(run)}")
    processes.check_equal("config", hash_json(to_dict(config)))
    with ExitStack() as stack:
        should_stop = stack.enter_context(stop_on_request(deadline))
        stack.push(processes.leave)
        processes.once(lambda: claim(experiment))
        processes.once(lambda: stack.enter_context(run.writing("train")))
        _train(experiment, processes, say, should_stop, along)
        processes.once(lambda: _check_snapshots(config, run))
    say(f"train: {config.train.max_steps} steps; {speed_line(run)}")


def _train(
    experiment: Experiment,
    processes: Processes,
    say: Say,
    should_stop: Callable[[], bool],
    along: bool,
) -> None:
    config, run = experiment.config, experiment.run
    facts = {
        "device": processes.device.type,
        "threads": torch.get_num_threads(),
        "world_size": processes.world_size,
        "micro_batch_size": config.train.micro_batch_size,
        "group_norm": group_norm_implementation(processes.device),
        "tf32": config.train.tf32,
        "channels_last": config.train.channels_last,
    }
    task = experiment.task
    data, leaks = task.load()
    for line in leaks:
        say(line)
    model = experiment.new_model()
    config = decide_precision(config, run, processes, model, data)
    own = experiment.changed(config)
    score = scorer_along(own, processes, should_stop) if along else lambda: None
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
        after_snapshot=score,
    )
    facts["cuda_graph"] = trainer.cuda_graph
    for line in processes.once(lambda: run.write_environment(facts)):
        say(f"environment: {line}; last bits may differ from here on")
    if config.train.cuda_graph != "off":
        say(f"train: CUDA graph {trainer.cuda_graph}")
    if trainer.step:
        say(f"train: going on from the state of step {trainer.step}")
    processes.once(lambda: check_disk(experiment, Weights.of(trainer.raw)))
    _start_tracker(config, processes, trainer.step)
    trainer.run()


def _check_snapshots(config: Config, run: RunDir) -> None:
    """Raise Mistake if a step that lies behind the training has no whole snapshot any more."""
    there = {*complete_steps(run.snapshots), *thinned_steps(run.snapshots)}
    for step in sorted({*snapshot_steps(config)} - there):
        path = step_directory(run.snapshots, step)
        raise Mistake(
            f"{path}: {step_damage(path)}, and training is beyond it; restore it: the same "
            f"config, trained under another --name, makes it again"
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


def speed_line(run: RunDir) -> str:
    """Return how fast a run was trained, on one line."""
    return ", ".join(f"{name} {text}" for name, text in speed_facts(run).items())
