"""Fine-tuning: start from the weights of another run's snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_gen.endings import Mistake
from diffusion.conditioning import TextConditioner
from diffusion.model import Conditioner, Denoiser
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import Prompts, TextPrompts

WORDS = "embeddings.token_embedding.weight"
POSITIONS = "embeddings.position_embedding.weight"


@dataclass(frozen=True)
class Source:
    """One snapshot directory, and which of its weights: averaged ("ema") or "raw"."""

    directory: Path
    weights: str


@torch.no_grad()
def copy_weights(model: Denoiser, prompts: Prompts, source: Source) -> None:
    """Overwrite a new model's weights; those of a learned noise schedule stay new.

    Words are matched by name: new ones keep their new embeddings, and so do positions beyond the
    source's. Mistake names a tensor of another shape, or another conditioning.
    """
    pipeline = ConceptPipeline.load(source.directory, source.weights)
    old = pipeline.denoiser()
    there, here = kind_of(old.conditioner), kind_of(model.conditioner)
    if there != here:
        raise Mistake(
            f"train.init_from: the snapshot is conditioned by {there}, this model by {here}; use "
            f"its model.conditioning"
        )
    weights, part = old.conditioner.state_dict(), "conditioner"
    if isinstance(old.conditioner, TextConditioner) and isinstance(prompts, TextPrompts):
        part = "text_encoder"
        new = model.conditioner.state_dict()
        weights = _by_name(new, weights, prompts.tokenizer, pipeline.tokenizer)
    _copy(model.unet, old.unet.state_dict(), "unet")
    _copy(model.conditioner, weights, part)


def kind_of(conditioner: Conditioner) -> str:
    """What its inputs are and how they become h, in words."""
    if isinstance(conditioner, TextConditioner):
        encoder = conditioner.text_encoder
        return f"captions through {type(encoder).__name__}, pooled by {encoder.config.pooling}"
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
