"""Config of one experiment, one YAML file: its parts put together, read and checked. Imports no
torch."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import yaml

from classifiers.probe_config import ProbeConfig
from data_gen.captions import CaptionConfig
from diffusion.model_config import ModelConfig, check_model
from diffusion.objective_config import ObjectiveConfig
from diffusion.sampler_names import SamplerName, check_sampler
from diffusion.train_config import TrainConfig, parse_schedule
from ground.endings import Mistake, check_all, refuse
from ground.reading import check_finite, check_name, read_as, read_yaml
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.intervention_config import Intervention, Patch
from studies.worlds.interventions import KEY, check_interventions
from studies.worlds.kind import KindOfWorld
from studies.worlds.registry import KINDS, AnySettings, world_of

MOST_GUIDANCE = 1000
SCORED = "0, 64, 128, 375, 625, linear:8"  # steps that are scored, if training keeps them all
SMALL_PROBE = {"steps": 300, "width": 16}  # what a small world takes: certified on the demo's
SMALL_PX, FEW_COMBINATIONS, FEW_VALUES = 16, 24, 4  # a world as small as the demo's
MOST_IMAGES = 1 << 20  # per combination: their numbers leave room for no more
MOST_COMBINATIONS = (1 << 32) // MOST_IMAGES  # every image has a number of 32 bits
Keep = Literal["all", "scored", "last", "none"]
RESERVED_NAMES = ("render", "memoriser")  # what the `run` column of scores calls its baselines


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of an evaluation: which snapshots are sampled, how, and with how many images.

    Attributes:
        seed: of the noise that generated images start from.
        sampler, num_inference_steps, guidance_scale: how noise becomes images.
        images_per_combination: at each snapshot, of bumps per section, each of a centre of its
            own.
        final_images_per_combination: the same at the last snapshot.
        snapshots: schedule of the steps that are scored; each must be a snapshot of training.
            None: `0, 64, 128, 375, 625, linear:8` if all of these are, else all of training's.
        weights: averaged (ema) or raw: those that tables, figures and drawings show.
        both_weights: score the other weights too, beside them.
        oracle: read every image with the oracle too, beside the probe.
        keep: snapshots that stay once all that is planned is scored: all of them; those that are
            scored and the last; the last alone; or none, nor the states of training, so that no
            weights are left.
        prompts: what else is asked beside the captions, as name → template over the concepts:
            "a {color} {shape} AND a {size} {shape}" composes, "a {color} {shape}" asks for less.
            Every combination fills it in; equal prompts are drawn once. None of bumps.
        copies: measure how near every image is to the training images, too.
        denoiser: what is measured of the denoiser itself, without its samples.
        interventions: what else is done to the model to elicit what a prompt may not get, each a
            mapping with its `kind`, drawn from the noise of the captions. None of bumps.
    """

    seed: int = 0
    sampler: SamplerName = "ddim"
    num_inference_steps: int = 20
    guidance_scale: float = 1.0
    images_per_combination: int = 16
    final_images_per_combination: int = 64
    snapshots: str | None = None
    weights: Literal["ema", "raw"] = "ema"
    both_weights: bool = False
    oracle: bool = True
    keep: Keep = "all"
    prompts: dict[str, str] = field(default_factory=dict)
    copies: bool = False
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    interventions: tuple[Intervention, ...] = ()

    def __post_init__(self) -> None:
        ranges = {
            "images_per_combination": (1, MOST_IMAGES),
            "final_images_per_combination": (1, MOST_IMAGES),
            "guidance_scale": (0, MOST_GUIDANCE),
        }
        refuse(
            f"evaluate.{key}: got {getattr(self, key)}, allowed {low} to {high}"
            for key, (low, high) in ranges.items()
            if not low <= getattr(self, key) <= high
        )


@dataclass(frozen=True)
class Config:
    """One experiment, checked when it is made. Raises Mistake, naming the key.

    Attributes:
        name: of the run directory, runs/<name>.
        world: of shapes, of real images, or of Gaussian bumps and stripes.
        question: what the experiment asks; printed in its report.
        seed: of training alone; world, probe and evaluation have seeds of their own.
    """

    name: str
    world: AnySettings
    question: str = ""
    seed: int = 0
    captions: CaptionConfig = field(default_factory=CaptionConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def terms(self) -> KindOfWorld:
        """Return the checked world, as far as its config tells."""
        return world_of(self.world, self.captions)


def read_config(path: Path) -> Config:
    """Read one YAML file; the probe of a small world is small, as far as the file leaves it open.
    Raises Mistake of all that is wrong in it, each naming its key."""
    data = read_yaml(path)
    try:
        config: Config = read_as(Config, data, "")
    except Mistake as mistake:
        check_all(partial(refuse, mistake.lines), partial(_check_world, data))
        raise
    given = data.get("probe", {})
    left = {key: value for key, value in SMALL_PROBE.items() if key not in given}
    if not _is_small(config):
        return config
    return dataclasses.replace(config, probe=dataclasses.replace(config.probe, **left))


def _check_world(data: Mapping[str, Any]) -> None:
    """Raise Mistake for what is wrong with the world of a file whose other sections may be wrong
    too."""
    if "world" not in data:
        return
    settings = read_as(AnySettings, data["world"], "world")
    _check_size(settings)
    world_of(settings, read_as(CaptionConfig, data.get("captions", {}), "captions"))


def _is_small(config: Config) -> bool:
    kind = KINDS[config.world.kind]
    if not (kind.has_renderer and kind.has_words):
        return False
    return config.world.image_size_px <= SMALL_PX and are_few(config.terms.terms.space.values)


def are_few(values: Sequence[Sequence[str]]) -> bool:
    """Return whether concepts of these values make no more of a world than the demo has."""
    most = max(map(len, values))
    return math.prod(map(len, values)) <= FEW_COMBINATIONS and most <= FEW_VALUES


def replace_world(config: Config, **changes: Any) -> Config:
    """Return a config with other fields of its world. Raises Mistake, naming the key."""
    return dataclasses.replace(config, world=dataclasses.replace(config.world, **changes))


def _check(config: Config) -> None:
    """Raise Mistake, naming the key, for what no experiment can be. Needs no training, no files."""
    check_finite(to_dict(config))
    _check_size(config.world)
    check_all(
        partial(check_name, config.name, RESERVED_NAMES),
        partial(_check_seeds, config),
        partial(check_model, config.model, config.world.image_size_px),
        partial(_check_conditioning, config),
        partial(_check_levels, config),
        partial(_check_sampler, config),
        partial(_check_scored, config),
        lambda: config.terms,
    )
    check_all(
        lambda: config.terms.check_prompts(config.evaluate.prompts),
        partial(_check_interventions, config),
    )


def _check_size(settings: AnySettings) -> None:
    combinations = KINDS[settings.kind].num_combinations(settings)
    if combinations > MOST_COMBINATIONS:
        raise Mistake(
            f"world.concepts: make {combinations} combinations, allowed up to {MOST_COMBINATIONS}"
        )


def _check_seeds(config: Config) -> None:
    seeds = {
        "seed": config.seed,
        "world.seed": config.world.seed,
        "probe.seed": config.probe.seed,
        "evaluate.seed": config.evaluate.seed,
    }
    refuse(
        f"{key}: got {seed}, allowed 0 to 2**63 - 1"
        for key, seed in seeds.items()
        if not 0 <= seed < 1 << 63
    )


def _check_conditioning(config: Config) -> None:
    kind, world = config.model.conditioning, KINDS[config.world.kind]
    if kind not in world.conditionings:
        allowed = ", ".join(world.conditionings)
        raise Mistake(f"model.conditioning: got {kind!r}, allowed {allowed}: {world.why}")
    if config.model.rendering and world.has_words:
        got = config.model.rendering
        raise Mistake(f"model.rendering: got {got}, allowed 0: it renders the centres of bumps")


def _check_levels(config: Config) -> None:
    kind = KINDS[config.world.kind]
    if not config.evaluate.denoiser.levels:
        return
    if not kind.has_renderer:
        raise Mistake(
            "evaluate.denoiser.levels: allowed none of real images: no renderer draws fresh scenes "
            "of a combination, so its ideal denoiser is not known"
        )
    if kind.num_combinations(config.world) < 2 and kind.has_words:
        raise Mistake(
            "evaluate.denoiser.levels: allowed none where no concept has a second value: there is "
            "no other word to tell"
        )


def _check_sampler(config: Config) -> None:
    steps, timesteps = config.evaluate.num_inference_steps, config.objective.num_timesteps
    check_sampler("evaluate.", config.evaluate.sampler, steps, timesteps)


def _check_scored(config: Config) -> None:
    missing = sorted(set(scored_steps(config)) - set(snapshot_steps(config)))
    if missing:
        raise Mistake(
            f"evaluate.snapshots: step {missing[0]} is no snapshot of training; leave this key "
            f"out, or add the step to train.snapshots, which gives "
            f"{', '.join(map(str, snapshot_steps(config)))}"
        )


def _check_interventions(config: Config) -> None:
    asked = interventions_of(config)
    if asked and not config.terms.has_words:
        raise Mistake(f"{KEY}: worlds of bumps have no words to ask by; leave them out")
    if asked:
        check_interventions(asked, config.terms.terms, config.model, snapshot_steps(config))


def snapshot_steps(config: Config) -> tuple[int, ...]:
    return parse_schedule(config.train.snapshots, config.train.max_steps, "train.snapshots")


def scored_steps(config: Config) -> tuple[int, ...]:
    """Return the steps that are scored, as `evaluate.snapshots` says. Raises Mistake."""
    given, kept = config.evaluate.snapshots, snapshot_steps(config)
    steps = parse_schedule(
        SCORED if given is None else given, config.train.max_steps, "evaluate.snapshots"
    )
    return steps if given is not None or {*steps} <= {*kept} else kept


def interventions_of(config: Config) -> tuple[Intervention, ...]:
    """Return the interventions of an evaluation; of a patch with the last conditioner, its step is
    filled in."""
    last = snapshot_steps(config)[-1]
    return tuple(
        dataclasses.replace(one, step=last) if isinstance(one, Patch) and one.step is None else one
        for one in config.evaluate.interventions
    )


def scored_weights(evaluate: EvaluateConfig) -> tuple[str, ...]:
    """Return the kinds of weights that are scored, the shown ones first."""
    others = tuple(kind for kind in ("ema", "raw") if kind != evaluate.weights)
    return (evaluate.weights, *(others if evaluate.both_weights else ()))


def to_dict(config: Any) -> dict[str, Any]:
    """Return plain data: what config.yaml holds; `read_as` turns it back."""
    return _plain(dataclasses.asdict(config))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def to_yaml(config: Config) -> str:
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)


def flatten(config: Config) -> dict[str, str]:
    """Return {'train.batch_size': '64', …}, as trackers take it."""
    return {key: str(value) for key, value in leaves(to_dict(config)).items()}


def leaves(value: Any, key: str = "") -> dict[str, Any]:
    """Return {dotted field: value} of all fields of a mapping that hold no mapping."""
    if not isinstance(value, Mapping):
        return {key: value}
    prefix = f"{key}." if key else ""
    return {k: v for name, entry in value.items() for k, v in leaves(entry, prefix + name).items()}
