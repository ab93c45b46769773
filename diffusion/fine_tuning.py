"""Fine-tuning: start from the weights of another run's snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from data_gen.endings import Mistake
from diffusion.model import Denoiser
from diffusion.pipeline import ConceptPipeline

WORDS = "embeddings.token_embedding.weight"
POSITIONS = "embeddings.position_embedding.weight"


@dataclass(frozen=True)
class Source:
    """One snapshot directory, and which of its weights: averaged ("ema") or "raw"."""

    directory: Path
    weights: str


@torch.no_grad()
def copy_weights(model: Denoiser, tokenizer: PreTrainedTokenizerFast, source: Source) -> None:
    """Overwrite a new model's weights. Words are matched by name: new ones keep their new
    embeddings, and so do positions beyond the source's. Mistake names a tensor of another shape.
    """
    old = ConceptPipeline.load(source.directory, source.weights)
    encoder = model.conditioner.text_encoder
    pooling, here = old.text_encoder.config.pooling, encoder.config.pooling
    if pooling != here:
        raise Mistake(
            f"train.init_from: the snapshot pools {pooling!r}, this model {here!r}; use its "
            f"model.conditioning"
        )
    words = _by_name(encoder.state_dict(), old.text_encoder.state_dict(), tokenizer, old.tokenizer)
    _copy(model.unet, old.unet.state_dict(), "unet")
    _copy(encoder, words, "text_encoder")


def _by_name(
    new: Mapping[str, Tensor],
    old: Mapping[str, Tensor],
    tokenizer: PreTrainedTokenizerFast,
    old_tokenizer: PreTrainedTokenizerFast,
) -> dict[str, Tensor]:
    """The old weights, with embeddings for the words and positions of the new model."""
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
