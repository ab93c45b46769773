"""Dropout whose masks belong to images, not to processes or micro-batches.

What a layer drops of an image is a function of (seed, layer, step, place of the image in the whole
batch), from ground/streams.py. So a run with dropout is the same run however its batch is divided.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.models.clip.modeling_clip import CLIPAttention
from transformers.models.t5.modeling_t5 import T5Attention

from ground import streams
from ground.streams import Step

LEVELS = 1 << 16  # a rate is rounded down to a multiple of 1 / LEVELS
ATTENTION = "dropout_by_image"  # what transformers calls `_attention`
Images = tuple[int, Step, Int[Tensor, " n"]]  # seed, step and places in the batch

_images: Images | None = None  # a global, as layers are called by libraries, which pass on nothing


def drop_by_image(model: nn.Module) -> None:
    """Exchange, in place, all that drops in `model`; without dropout it stays as it is.

    Exchanged layers drop in training mode alone, and then only within `images_at`.
    """
    for name, module in model.named_modules():
        if type(module) is nn.Dropout and module.p > 0:
            module.__class__ = ImageDropout
        if _drops_attention(module) or isinstance(module, ImageDropout):
            module.purpose = f"train.dropout {name}"
        if isinstance(module, PreTrainedModel) and any(map(_drops_attention, module.modules())):
            module.set_attn_implementation(ATTENTION)


def _drops_attention(module: nn.Module) -> bool:
    """Attention of a text encoder that drops some of its weights: by a function, not a layer."""
    return isinstance(module, CLIPAttention | T5Attention) and module.dropout > 0


@contextmanager
def images_at(seed: int, step: Step, place: Int[Tensor, " n"]) -> Iterator[None]:
    """Show exchanged layers, within, the images at these places of the batch of a step.

    place: int64, on the device of the model.
    """
    global _images
    before, _images = _images, (seed, step, place)
    try:
        yield
    finally:
        _images = before


class ImageDropout(nn.Dropout):
    """Dropout as `nn.Dropout`, with masks that belong to images."""

    purpose: str

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        return drop(x, self.p, self.purpose) if self.training else x


def drop(x: Float[Tensor, "n ..."], rate: float, purpose: str) -> Float[Tensor, "n ..."]:
    """Return x with a share `rate` of its numbers 0, the others enlarged so that the mean stays.

    rate: in [0, 1), rounded down to a multiple of 2⁻¹⁶.
    """
    dropped = math.floor(rate * LEVELS) / LEVELS
    return torch.where(_kept(x, dropped, purpose), x / (1 - dropped), 0)


@torch.compiler.disable  # steps are no constants to compile into a graph
def _kept(x: Float[Tensor, "n ..."], dropped: float, purpose: str) -> Bool[Tensor, "n ..."]:
    assert _images is not None, "who calls a model with dropout says for which images"
    seed, step, place = _images
    u = streams.coarse_uniform(seed, purpose, step, place, x[0].numel())
    return (u >= dropped).view(x.shape)


def _attention(
    module: Any,
    query: Float[Tensor, "n heads q d"],
    key: Float[Tensor, "n heads k d"],
    value: Float[Tensor, "n heads k d"],
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "n q heads d"], Tensor]:
    """transformers' plain attention, with `drop` where it calls torch's dropout."""
    scores = query @ key.transpose(-1, -2) * scaling
    for added in (position_bias, attention_mask):
        scores = scores if added is None else scores + added
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = drop(weights, dropout, module.purpose) if dropout > 0 else weights
    return (weights @ value).transpose(1, 2).contiguous(), weights


def _mask(*args: Any, **kwargs: Any) -> Tensor:
    """As a sum, made whole: to leave it out, transformers would read it (`always_mask`)."""
    return eager_mask(*args, **{**kwargs, "allow_is_bidirectional_skip": False})


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, _mask)
