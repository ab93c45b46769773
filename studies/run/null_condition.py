"""Null condition, and whether a run's model has learned it.

Guidance, AND and NOT lead away from it. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusion.composition import needs_null, parse_composition
from ground.endings import Mistake
from ground.files import read_json
from studies.experiment.config import Config, interventions_of
from studies.experiment.identity import identity
from studies.run.directory import RunDir
from studies.worlds.intervention_config import Guidance
from studies.worlds.interventions import KEY


def check_null(config: Config, run: RunDir) -> None:
    """Raise Mistake if the evaluation needs a null condition that training never shows."""
    if null_is_learned(config, run):
        return
    scale = config.evaluate.guidance_scale
    if scale != 1:
        raise Mistake(f"evaluate.guidance_scale: got {scale:g}, allowed 1 {_why(config)}")
    for name, template in config.evaluate.prompts.items():
        if needs_null(parse_composition(template), 1.0):
            raise Mistake(
                f"evaluate.prompts.{name}: got {template!r}, allowed one term of weight 1, without "
                f"AND and NOT, {_why(config)}"
            )
    for i, one in enumerate(interventions_of(config)):
        if isinstance(one, Guidance) and one.scale != 1:
            raise Mistake(f"{KEY}[{i}].scale: got {one.scale:g}, allowed 1 {_why(config)}")


def check_prompt(config: Config, run: RunDir, prompt: str, guidance_scale: float) -> None:
    """Raise Mistake if this prompt needs a null condition that training never showed."""
    needed = needs_null(parse_composition(prompt), guidance_scale)
    if needed and not null_is_learned(config, run):
        raise Mistake(
            f"prompt {prompt!r} with guidance_scale {guidance_scale:g}: allowed are guidance_scale "
            f"1 and one term of weight 1, without AND and NOT, {_why(config)}"
        )


def _why(config: Config) -> str:
    return (
        f"with train.cond_dropout: {config.train.cond_dropout:g}: this model never learns the null "
        f"condition that these lead away from; train one with train.cond_dropout above 0"
    )


def null_is_learned(config: Config, run: RunDir) -> bool:
    """Return whether conditions are dropped in this training, or were in one that it starts from.

    A run whose source is not there to be asked counts too: training refuses that itself.
    """
    if config.train.cond_dropout > 0:
        return True
    if run.lineage.is_file():
        return _learned_before(read_json(run.lineage))
    init = config.train.init_from
    if init.run is None:
        return False
    source = RunDir(Path(init.run))
    if not source.config_file.is_file():
        return True
    ancestors = read_json(source.lineage) if source.lineage.is_file() else None
    parent = {"step": init.step, "config": identity(source.read_config()), "lineage": ancestors}
    return _learned_before(parent)


def _learned_before(lineage: Mapping[str, Any] | None) -> bool:
    """Return whether conditions were dropped in a run whose snapshot another starts from, on the
    way to its step, or in one before it."""
    if lineage is None:
        return False
    dropped = lineage["step"] > 0 and lineage["config"]["train"]["cond_dropout"] > 0
    return bool(dropped or _learned_before(lineage["lineage"]))
