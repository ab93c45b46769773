"""Plans of what is generated and scored at each snapshot, and where it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diffusion.snapshots import step_directory
from studies.experiment.config import (
    RESERVED_NAMES,
    Config,
    interventions_of,
    scored_steps,
    scored_weights,
)
from studies.run.directory import RunDir
from studies.run.provenance import snapshot_at
from studies.worlds.intervention_config import Guidance, file_part
from studies.worlds.prompt_sets import PLAIN, Questions

RENDER, MEMORISER = RESERVED_NAMES


@dataclass(frozen=True)
class Plan:
    """Plan of what is generated at one snapshot; file names say all of it but the step."""

    run: str
    train_seed: int
    step: int
    images_seen: int
    weights: str
    sampler: str
    num_inference_steps: int
    guidance_scale: float
    eval_seed: int
    images_per_combination: int
    intervention: str = PLAIN  # the set of prompts that is asked, or the intervention that is made

    @property
    def what(self) -> str:
        prompts = "" if self.intervention == PLAIN else f"{file_part(self.intervention)}-"
        return (
            f"{prompts}{self.weights}-{self.sampler}{self.num_inference_steps}-g{self.guidance_scale:g}"
            f"-seed{self.eval_seed}-n{self.images_per_combination}"
        )

    def snapshot(self, run: RunDir) -> Path | None:
        """Return the snapshot that the images are drawn from; None if they need none."""
        return snapshot_at(run.snapshots, self.step)

    def samples_file(self, run: RunDir) -> Path:
        return step_directory(run.samples, self.step) / f"{self.what}.npz"

    def part(self, run: RunDir, name: str, table: str = "scores") -> Path:
        """Return where what a measurement (an instrument, by its name) says of the plan is kept, in
        one of the run's tables."""
        return run.table(table) / part_name(self, name)


def part_name(plan: Plan, instrument: str) -> str:
    """Return the name of a plan's part of the scores. It says all that is the same in their keys,
    but for what is the run's own."""
    if plan.run == RENDER:
        return f"{RENDER}-seed{plan.eval_seed}-n{plan.images_per_combination}-{instrument}.parquet"
    if plan.run == MEMORISER:
        return f"{MEMORISER}-{_memorised(plan)}-{instrument}.parquet"
    return f"step_{plan.step:08d}-{plan.what}-{instrument}.parquet"


def make_plans(config: Config) -> list[Plan]:
    """Return a plan per scored step, kind of weights and set of prompts or intervention; the last
    step gets more images."""
    evaluate, steps = config.evaluate, scored_steps(config)
    scales = _guidance_scales(config)
    return [
        Plan(
            run=config.name,
            train_seed=config.seed,
            step=step,
            images_seen=step * config.train.batch_size,
            weights=weights,
            sampler=evaluate.sampler,
            num_inference_steps=evaluate.num_inference_steps,
            guidance_scale=scale,
            eval_seed=evaluate.seed,
            images_per_combination=(
                evaluate.final_images_per_combination
                if step == steps[-1]
                else evaluate.images_per_combination
            ),
            intervention=intervention,
        )
        for step in steps
        for weights in scored_weights(evaluate)
        for intervention, scale in scales.items()
    ]


def _guidance_scales(config: Config) -> dict[str, float]:
    """Return the guidance of the captions, and of every set of prompts and intervention by name."""
    usual = config.evaluate.guidance_scale
    made = {
        one.name: one.scale if isinstance(one, Guidance) else usual
        for one in interventions_of(config)
    }
    return {PLAIN: usual, **dict.fromkeys(config.evaluate.prompts, usual), **made}


def shown_plans(config: Config, intervention: str = PLAIN) -> list[Plan]:
    """Return the plans of the weights that tables and figures show, one per scored step."""
    shown = config.evaluate.weights, intervention
    return [plan for plan in make_plans(config) if (plan.weights, plan.intervention) == shown]


def count_images(questions: Questions, plans: Sequence[Plan]) -> int:
    """Return how many images some plans draw. questions: of an exam."""
    return sum(plan.images_per_combination * len(questions[plan.intervention]) for plan in plans)


def memoriser_plan(config: Config) -> Plan:
    """Return the plan of the memoriser: the last plan, without what only a model has.

    The step stays where the noise schedule is learned, and so belongs to it.
    """
    learned, last = config.objective.kind == "variational", shown_plans(config)[-1]
    return replace(
        last,
        run=MEMORISER,
        train_seed=-1,
        step=last.step if learned else -1,
        images_seen=-1,
        weights="none",
        guidance_scale=1.0,
    )


def render_plan(config: Config) -> Plan:
    """Return the plan of true renders: as many as the last plan draws, without what only a model
    has."""
    return replace(
        shown_plans(config)[-1],
        run=RENDER,
        train_seed=-1,
        step=-1,
        images_seen=-1,
        weights="none",
        sampler="none",
        num_inference_steps=-1,
        guidance_scale=-1.0,
    )


def memorised_file(run: RunDir, config: Config) -> Path:
    return run.samples / MEMORISER / f"{_memorised(memoriser_plan(config))}.npz"


def _memorised(plan: Plan) -> str:
    return plan.what if plan.step < 0 else f"{plan.what}-step{plan.step}"
