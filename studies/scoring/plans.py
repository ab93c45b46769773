"""What is generated and scored at each snapshot, from which noise, and where it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen.world import WorldConfig
from diffusion.snapshots import step_directory
from ground import streams
from studies.experiment.config import (
    MOST_IMAGES,
    RESERVED_NAMES,
    Config,
    check_config,
    scored_steps,
    scored_weights,
)
from studies.run.directory import RunDir
from studies.run.provenance import snapshot_at
from studies.scoring.oracle_readings import ORACLE
from studies.worlds.kinds import exam_of
from studies.worlds.prompt_sets import PLAIN, Questions

RENDER, MEMORISER = RESERVED_NAMES


@dataclass(frozen=True)
class Plan:
    """What is generated at one snapshot; file names say all of it but the step."""

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
    intervention: str = PLAIN  # the set of prompts that is asked

    @property
    def what(self) -> str:
        prompts = "" if self.intervention == PLAIN else f"{self.intervention}-"
        return (
            f"{prompts}{self.weights}-{self.sampler}{self.num_inference_steps}-g{self.guidance_scale:g}"
            f"-seed{self.eval_seed}-n{self.images_per_combination}"
        )

    def snapshot(self, run: RunDir) -> Path | None:
        """The snapshot that it is drawn from; None if it needs none."""
        return snapshot_at(run.snapshots, self.step)

    def samples_file(self, run: RunDir) -> Path:
        return step_directory(run.samples, self.step) / f"{self.what}.npz"

    def scores_file(self, run: RunDir, instrument: str) -> Path:
        return run.scores / part_name(self, instrument)


def part_name(plan: Plan, instrument: str) -> str:
    """Of a plan's scores; it says all that is the same in their keys, but for the run's own."""
    if plan.run == RENDER:
        return f"{RENDER}-seed{plan.eval_seed}-n{plan.images_per_combination}-{instrument}.parquet"
    if plan.run == MEMORISER:
        return f"{MEMORISER}-{_memorised(plan)}-{instrument}.parquet"
    return f"step_{plan.step:08d}-{plan.what}-{instrument}.parquet"


def make_plans(config: Config) -> list[Plan]:
    """One plan per scored step, kind of weights and set of prompts; the last step gets more
    images."""
    evaluate, steps = config.evaluate, scored_steps(config)
    return [
        Plan(
            run=config.name,
            train_seed=config.seed,
            step=step,
            images_seen=step * config.train.batch_size,
            weights=weights,
            sampler=evaluate.sampler,
            num_inference_steps=evaluate.num_inference_steps,
            guidance_scale=evaluate.guidance_scale,
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
        for intervention in (PLAIN, *evaluate.prompts)
    ]


def shown_plans(config: Config, intervention: str = PLAIN) -> list[Plan]:
    """The plans of the weights that tables and figures show, one per scored step."""
    shown = config.evaluate.weights, intervention
    return [plan for plan in make_plans(config) if (plan.weights, plan.intervention) == shown]


def questions_of(config: Config) -> Questions:
    """What is asked at every planned snapshot."""
    return exam_of(check_config(config), config.evaluate).questions


def num_combinations(config: Config) -> int:
    """How many captions, or sections of bumps, are asked at every planned snapshot."""
    return len(questions_of(config)[PLAIN])


def count_images(config: Config, plans: Sequence[Plan]) -> int:
    asked = questions_of(config)
    return sum(plan.images_per_combination * len(asked[plan.intervention]) for plan in plans)


def memoriser_plan(config: Config) -> Plan:
    """What the memoriser draws: the last plan, without what only a model has.

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
    """True renders, as many as the last plan draws, without what only a model has."""
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


def has_oracle(config: Config) -> bool:
    """Whether the oracle reads the images: if it is asked to, and there is a renderer to fit."""
    return config.evaluate.oracle and isinstance(config.world, WorldConfig)


def instruments(config: Config, probe: str) -> tuple[str, ...]:
    """Names of what reads the images: the run's probe and, if there is one, the oracle."""
    return (probe, *((ORACLE,) if has_oracle(config) else ()))


def parts_of(run: RunDir, config: Config, instrument: str) -> list[Path]:
    """All scores files of an evaluation that one instrument fills."""
    plans = [render_plan(config), memoriser_plan(config), *make_plans(config)]
    return [plan.scores_file(run, instrument) for plan in plans]


def planned_parts(run: RunDir, config: Config, probe: str) -> list[Path]:
    """All scores files of an evaluation; it is finished when all are scored."""
    names = instruments(config, probe)
    return [part for instrument in names for part in parts_of(run, config, instrument)]


def paired_noise(
    seed: int,
    images: range,
    count: int,
    shape: tuple[int, int, int],
    starts: Sequence[int] | None = None,
) -> Float[Tensor, "n c h w"]:
    """x_T of some of a plan's images, which are `count` of every prompt in turn.

    Image k of a combination starts from the same noise at every snapshot and under every set of
    prompts, whatever the count is.

    starts: of every prompt the number of the combination whose noise it has, increasing; None: the
        prompts are those of all combinations.
    """
    width, (combination, k) = torch.Size(shape).numel(), _places(images, count, starts)
    noise = [
        streams.normal(seed, "evaluate.noise", int(c), k[combination == c], width)
        for c in combination.unique()
    ]
    return torch.cat(noise).view(-1, *shape)


def image_index(
    images: range, count: int, starts: Sequence[int] | None = None
) -> Int[Tensor, " n"]:
    """int64: a number of each image, the same whatever the count is. starts: see `paired_noise`."""
    combination, k = _places(images, count, starts)
    return combination * MOST_IMAGES + k


def _places(
    images: range, count: int, starts: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """int64: of each image its combination's number and its own among that combination's."""
    number = torch.arange(images.start, images.stop)
    prompt, k = number // count, number % count
    return prompt if starts is None else torch.tensor(starts)[prompt], k
