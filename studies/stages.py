"""The stages of one experiment: probe, train, evaluate, report. A finished stage is skipped."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from data_gen.dataset import leak_check, training_set
from data_gen.endings import Mistake, Preempted
from data_gen.files import read_json
from data_gen.world import World
from diffusion.conditioning import build_tokenizer
from diffusion.model import build_denoiser
from diffusion.snapshots import complete_steps, last_state
from diffusion.train import Trainer, build_accelerator, check_world_size, pin_threads
from studies.config import (
    Config,
    check_config,
    differences,
    identity,
    scored_steps,
    snapshot_steps,
    to_yaml,
)
from studies.evaluate import Evaluator, make_plans, planned_parts
from studies.findings import Findings, probe_facts, report_is_fresh, speed_facts, write_run_report
from studies.probing import ensure_probe, load_run_probe
from studies.run_dir import RunDir

Say = Callable[[str], None]


def run_experiment(config: Config, run: RunDir, say: Say) -> None:
    """All stages in one process; says what each found."""
    claim(config, run)
    probe_stage(config, run, say)
    train_stage(config, run, say)
    evaluate_stage(config, run, say)
    report_stage(config, run, say)


def claim(config: Config, run: RunDir) -> None:
    """Make the directory this experiment's, unless its training went beyond the config's end."""
    state = last_state(run.path / "state")
    reached = 0 if state is None else read_json(state / "progress.json")["step"]
    if run.config_file.is_file() and reached > config.train.max_steps:
        raise Mistake(
            f"train.max_steps: {run.path} is trained to step {reached} already; "
            f"allowed {reached} or more, or another --name"
        )
    run.claim(config)


def probe_stage(config: Config, run: RunDir, say: Say) -> None:
    world = check_config(config)
    pin_threads(config.train.threads)
    with run.locked("evaluate"):
        new = ensure_probe(run, world, config.probe)
    say(f"probe: {'trained' if new else 'found'}; {_probe_line(run)}")


def train_stage(config: Config, run: RunDir, say: Say) -> None:
    """Train to the end, going on from the last state. Raises Preempted or Diverged."""
    if _trained(config, run):
        if os.environ.get("RANK", "0") == "0":
            run.set_done("train")
        return say(f"train: finished before, {config.train.max_steps} steps; {_speed_line(run)}")
    world = check_config(config)
    accelerator = build_accelerator(config.train)
    if not accelerator.is_main_process:
        return _train(config, run, world, accelerator, lambda line: None)
    claim(config, run)
    with run.writing("train"):
        threads, processes = torch.get_num_threads(), accelerator.num_processes
        run.write_environment(str(accelerator.device), threads, processes)
        _train(config, run, world, accelerator, say)
    say(f"train: {config.train.max_steps} steps; {_speed_line(run)}")


def _train(config: Config, run: RunDir, world: World, accelerator: Any, say: Say) -> None:
    check_world_size(config.train, accelerator.num_processes)
    accelerator.wait_for_everyone()
    data = training_set(world)
    for line in leak_check(world, data).lines():
        say(line)
    tokenizer = build_tokenizer(world.captioner.vocabulary, world.captioner.max_words)
    with stop_on_signal() as should_stop:
        trainer = Trainer(
            data,
            tokenizer,
            config.model,
            config.objective,
            config.train,
            seed=config.seed,
            directory=run.path,
            accelerator=accelerator,
            should_stop=should_stop,
        )
        if trainer.step:
            say(f"train: going on from the state of step {trainer.step}")
        trainer.run()


def evaluate_stage(config: Config, run: RunDir, say: Say) -> None:
    """Score every planned snapshot that is not scored yet."""
    world = check_config(config)
    pin_threads(config.train.threads)
    probe, certificate = load_run_probe(run)
    evaluator = Evaluator(run, config, world, probe, certificate)
    parts = planned_parts(run, config, evaluator.probe_name)
    missing = sum(not part.is_file() for part in parts)
    if not missing:
        run.set_done("evaluate")
        return say(f"evaluate: finished before, {len(parts)} parts")
    total = sum(p.images_per_combination for p in make_plans(config)) * len(world.space)
    with (
        run.writing("evaluate"),
        tqdm(total=total, desc="evaluate", unit="image", disable=None) as bar,
    ):
        evaluator.evaluate(bar.update)
    say(f"evaluate: scored {missing} of {len(parts)} parts")


def report_stage(config: Config, run: RunDir, say: Say) -> None:
    """Figures and report, unless they were made from these scores before; then the table."""
    world = check_config(config)
    findings = Findings([run], [config], world)
    if not report_is_fresh(findings):
        data = training_set(world)
        figures = findings.draw(run.figures)
        write_run_report(findings, data, leak_check(world, data), figures)
    say(f"\naccuracy at step {config.train.max_steps} [95 % interval]\n{findings.table()}\n")
    say(f"joint accuracy at step 0: {findings.first_step_accuracy():.3f}")
    say(f"joint accuracy of true renders: {findings.ceiling():.3f}")
    say(f"effect of prompts, P(v | asked v) - P(v | asked another): {findings.prompt_effect()}")
    say(f"probe: {_probe_line(run)}\ntraining: {_speed_line(run)}")
    say(f"report: {run.report}")


def _trained(config: Config, run: RunDir) -> bool:
    """True if this experiment's snapshots are all there."""
    if not run.config_file.is_file() or differences(identity(run.read_config()), identity(config)):
        return False
    return set(snapshot_steps(config)) <= set(complete_steps(run.snapshots))


def _probe_line(run: RunDir) -> str:
    facts = probe_facts(read_json(run.probe / "certificate.json"))
    return ", ".join(f"{name} {text}" for name, text in facts.items())


def _speed_line(run: RunDir) -> str:
    return ", ".join(f"{name} {text}" for name, text in speed_facts(run).items())


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM set a flag instead of ending the process; yields the flag's reader."""
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda n, frame: caught.append(n)) for number in numbers]
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if caught:  # after the last look at the flag
        raise Preempted("stopped on request, what was finished is kept")


def describe_plan(config: Config, run: RunDir) -> str:
    """What --dry-run prints: the resolved config, then steps, snapshots, disk and work."""
    world = check_config(config)
    tokenizer = build_tokenizer(world.captioner.vocabulary, world.captioner.max_words)
    model = build_denoiser(config.model, tokenizer, config.world.image_size_px, config.seed)
    parameters = sum(p.numel() for p in model.parameters())
    snapshots = snapshot_steps(config)
    disk_mib = parameters * 4 * (2 * len(snapshots) + 2 * 4) / 2**20
    images = sum(p.images_per_combination for p in make_plans(config)) * len(world.space)
    calls = images * config.evaluate.num_inference_steps
    lines = [
        f"run: {run.path}",
        f"world: {len(world.split.train)} training and {len(world.split.held_out)} held-out "
        f"combinations, {world.num_training_images} images",
        f"model: {parameters / 1e6:.2f} M parameters",
        f"train: {config.train.max_steps} steps of {config.train.batch_size} images, "
        f"{config.train.max_steps * config.train.batch_size} images in all",
        f"snapshots: {len(snapshots)} at steps {', '.join(map(str, snapshots))}",
        f"evaluate: steps {', '.join(map(str, scored_steps(config)))}; "
        f"{images} images, {calls} network evaluations",
        f"disk: about {disk_mib:.0f} MiB",
    ]
    return "\n".join([to_yaml(config), *lines])


def plot_runs(paths: list[Path], out: Path) -> list[Path]:
    """Figures of any number of runs of one world; returns the files written."""
    runs = [RunDir(path) for path in paths]
    configs = [run.read_config() for run in runs]
    worlds = [check_config(config) for config in configs]
    names = [config.name for config in configs]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise Mistake(f"--run: several runs are named {doubled.pop()!r}; rename one in its config")
    for run, world in zip(runs, worlds, strict=True):
        if world.space.values != worlds[0].space.values or world.split != worlds[0].split:
            raise Mistake(f"{run.path}: another world than {runs[0].path}; plot them apart")
    figures = Findings(runs, configs, worlds[0]).draw(out)
    return [out / f"{name}.png" for name in figures]
