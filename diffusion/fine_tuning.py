"""Fine-tuning: start from the weights of another run's snapshot."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from diffusion.conditioning import NumberConditioner, TextConditioner
from diffusion.model import DiffusionModel
from diffusion.objectives import Variational, learned_gamma
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import Prompts, TextPrompts
from diffusion.snapshots import step_of
from ground.endings import Mistake

WORDS = "embeddings.token_embedding.weight"
POSITIONS = "embeddings.position_embedding.weight"
NUMBERS = ("default", "counts", "spans", "periodic")  # what makes places of a row mean the same


@dataclass(frozen=True)
class Source:
    """One snapshot directory, and which of its weights: averaged ("ema") or "raw"."""

    directory: Path
    weights: str

    @property
    def step(self) -> int:
        return step_of(self.directory)


@torch.no_grad()
def copy_weights(model: DiffusionModel, prompts: Prompts, source: Source) -> bool | None:
    """Overwrite a new model's weights, and its noise schedule if that is learned.

    Words are matched by name: new ones keep their new embeddings, and so do positions beyond the
    source's. Returns whether the null condition is learned already; None: the source does not
    say, or is of step 0. Mistake names a tensor of another shape, another conditioning, or
    another objective.
    """
    pipeline = ConceptPipeline.load(source.directory, source.weights)
    _check_objective(_objective(pipeline.scheduler), _objective(model.objective.scheduler()))
    old = pipeline.denoiser()
    there, here = kind_of(old.conditioner), kind_of(model.conditioner)
    if there != here:
        raise Mistake(
            f"train.init_from: the snapshot is conditioned by {there}, this model by {here}; use "
            f"its model.conditioning"
        )
    if isinstance(old.conditioner, NumberConditioner):
        _check_numbers(old.conditioner.config, model.conditioner.config)
    weights, part = old.conditioner.state_dict(), "conditioner"
    if isinstance(old.conditioner, TextConditioner) and isinstance(prompts, TextPrompts):
        part = "text_encoder"
        new = model.conditioner.state_dict()
        weights = _by_name(new, weights, prompts.tokenizer, pipeline.tokenizer)
    _copy(model.unet, old.unet.state_dict(), "unet")
    _copy(model.conditioner, weights, part)
    if isinstance(model.objective, Variational):
        gamma_0, slope = learned_gamma(pipeline.scheduler)
        model.objective.gamma_0.fill_(gamma_0)
        model.objective.slope.fill_(slope)
    return pipeline.config.null_learned if source.step > 0 else None


def _objective(scheduler: DDPMScheduler) -> dict[str, Any]:
    """Settings of the objective, by their keys, as far as a scheduler tells them."""
    config = scheduler.config
    learned = config.trained_betas is not None
    return {
        "kind": "variational" if learned else "ddpm",
        "prediction": config.prediction_type,
        "num_timesteps": config.num_train_timesteps,
        "schedule": None if learned else config.beta_schedule,
    }


def _check_objective(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """What a network puts out, and at which times, is part of what its weights mean."""
    for key in there:
        if there[key] != here[key]:
            raise Mistake(
                f"train.init_from: the snapshot's objective.{key} is {there[key]}, this model's "
                f"{here[key]}; use its objective"
            )


def _check_numbers(there: Any, here: Any) -> None:
    """Weights are copied by place, so every place of a row must mean what it did."""
    shared = there.words.keys() & here.words.keys()
    other = [
        f"the word {word!r}" for word in sorted(shared) if there.words[word] != here.words[word]
    ]
    other += [key for key in NUMBERS if json.dumps(there[key]) != json.dumps(here[key])]
    if other:
        raise Mistake(
            f"train.init_from: {other[0]} stands for other numbers in the snapshot than in this "
            f"model; use its model.conditioning and world.concepts"
        )


def kind_of(conditioner: nn.Module) -> str:
    """Name what a conditioner's inputs are and how they become h."""
    if isinstance(conditioner, TextConditioner):
        encoder = conditioner.text_encoder
        return f"captions through {type(encoder).__name__}, pooled by {encoder.config.pooling}"
    assert isinstance(conditioner, NumberConditioner)
    return str(conditioner.config.kind)


def _by_name(
    new: Mapping[str, Tensor],
    old: Mapping[str, Tensor],
    tokenizer: PreTrainedTokenizerBase,
    old_tokenizer: PreTrainedTokenizerBase,
) -> dict[str, Tensor]:
    """The old weights, with embeddings for the words and positions of the new model."""
    if not any(name.endswith(WORDS) for name in old):
        return dict(old)  # not CLIP's: a pretrained encoder, whose words are its own
    words, old_words = _named(WORDS, new).clone(), _named(WORDS, old)
    positions, old_positions = _named(POSITIONS, new).clone(), _named(POSITIONS, old)
    if words.shape[1] != old_words.shape[1]:
        return dict(old)  # of another width: the mistake is named where shapes are compared
    known = old_tokenizer.get_vocab()
    for word, i in tokenizer.get_vocab().items():
        if word in known:
            words[i] = old_words[known[word]]
    shared = min(len(positions), len(old_positions))
    positions[:shared] = old_positions[:shared]
    return {**old, _name(WORDS, old): words, _name(POSITIONS, old): positions}


def _name(end: str, state: Mapping[str, Tensor]) -> str:
    return next(name for name in state if name.endswith(end))


def _named(end: str, state: Mapping[str, Tensor]) -> Tensor:
    return state[_name(end, state)]


def _copy(module: nn.Module, weights: Mapping[str, Tensor], part: str) -> None:
    own = module.state_dict()
    for name in sorted({*own, *weights}):
        here, there = (tuple(s[name].shape) if name in s else None for s in (own, weights))
        if here != there:
            raise Mistake(
                f"train.init_from: {part}/{name} is {there} in the snapshot and {here} in this "
                f"model; use its model section"
            )
    module.load_state_dict(weights)
