"""Plan of an experiment that --dry-run prints: its config, then steps, snapshots, disk and work."""

from typing import Any

from studies.experiment.config import (
    interventions_of,
    scored_weights,
    snapshot_steps,
    to_yaml,
)
from studies.forecast import Weights, run_bytes
from studies.run.opened import Experiment
from studies.run.plans import make_plans, shown_plans
from studies.scoring.measurements.denoiser import DenoiserReadings
from studies.worlds.prompt_sets import prompts_of, rows_per_step


def describe_plan(experiment: Experiment) -> str:
    """Return the resolved config, then steps, snapshots, disk and work, as text."""
    return "\n".join([to_yaml(experiment.config), *plan_lines(experiment)])


def plan_lines(experiment: Experiment) -> list[str]:
    """Return steps, snapshots, disk and work, a line each."""
    config, task = experiment.config, experiment.task
    weights = Weights.of(experiment.new_model())
    snapshots = snapshot_steps(config)
    return [
        f"run: {experiment.run.path}",
        f"world: {task.shown}",
        *experiment.world.held_out_lines(),
        f"model: {(weights.trained + weights.frozen) / 1e6:.2f} M parameters"
        + (f", {weights.frozen / 1e6:.2f} M of them frozen" if weights.frozen else ""),
        f"train: {config.train.max_steps} steps of {config.train.batch_size} images, "
        f"{config.train.max_steps * config.train.batch_size} images in all",
        f"snapshots: {len(snapshots)} at steps {', '.join(map(str, snapshots))}",
        *_evaluation_plan(experiment),
        f"disk: about {run_bytes(experiment, weights) / 2**20:.0f} MiB",
    ]


def cost_line(experiment: Experiment) -> str:
    """Return what a run takes, on any machine: images, network evaluations, disk."""
    train, disk = experiment.config.train, run_bytes(experiment, Weights.of(experiment.new_model()))
    return (
        f"{train.max_steps * train.batch_size} training images, "
        f"{count_evaluations(experiment)} network evaluations, {disk / 2**20:.0f} MiB"
    )


def count_evaluations(experiment: Experiment) -> int:
    """Return how many times the network looks at one image to draw all samples."""
    config, first = experiment.config, _first_prompts(experiment)
    rows = sum(
        count * rows_per_step(first[plan.intervention], plan.guidance_scale)
        for plan, count in zip(make_plans(config), _images_of_plans(experiment), strict=True)
    )
    return rows * config.evaluate.num_inference_steps


def count_denoiser_calls(experiment: Experiment) -> int:
    """Return how many times the network looks at one image to be measured itself."""
    levels = experiment.config.evaluate.denoiser.levels
    if not levels:
        return 0
    readings = DenoiserReadings(experiment)
    snapshots = sum(map(readings.measures, make_plans(experiment.config)))
    return snapshots * len(levels) * readings.every.calls


def _first_prompts(experiment: Experiment) -> dict[str, Any]:
    return {name: prompts_of(own[0], 1)[0] for name, own in experiment.exam.questions.items()}


def _images_of_plans(experiment: Experiment) -> list[int]:
    asked = experiment.exam.questions
    plans = make_plans(experiment.config)
    return [plan.images_per_combination * len(asked[plan.intervention]) for plan in plans]


def _evaluation_plan(experiment: Experiment) -> list[str]:
    config = experiment.config
    asked, first = experiment.exam.questions, _first_prompts(experiment)
    own = count_denoiser_calls(experiment)
    line = (
        f"evaluate: steps {', '.join(str(plan.step) for plan in shown_plans(config))}, "
        f"{' and '.join(scored_weights(config.evaluate))} weights; "
        f"{sum(_images_of_plans(experiment))} images, "
        f"{count_evaluations(experiment)} network evaluations"
        + (f", and {own} of evaluate.denoiser" if own else "")
    )
    sets = [
        f"prompts: {name}: {len(asked[name])} such as {first[name]!r}"
        for name in config.evaluate.prompts
    ]
    made = [
        f"intervention: {one.name}: {len(asked[one.name])} such as {first[one.name]!r}"
        for one in interventions_of(config)
    ]
    return [line, *sets, *made]
