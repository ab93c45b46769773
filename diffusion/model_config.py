"""Sizes of the model and how it is conditioned. Imports no torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Size:
    """Widths of one U-Net and its text encoder. `attention_levels`: which resolutions attend."""

    channels: tuple[int, ...]
    layers_per_block: int
    attention_levels: tuple[int, ...]
    attention_heads: int
    text_width: int
    text_layers: int


SIZES = {
    "tiny": Size((16, 32, 32), 1, (2,), 2, 32, 1),
    "nano": Size((32, 48, 48), 1, (2,), 2, 64, 2),
}


@dataclass(frozen=True)
class ModelConfig:
    """`size`: a row of SIZES. `conditioning`: where the pooled caption comes from.

    Both give the U-Net every contextual token by cross-attention. `captions` pools by adding the
    embeddings of the words, blind to their order and context; `captions_contextual` pools at the
    end token, where the text encoder may have bound the words to each other.
    """

    size: Literal["tiny", "nano"] = "nano"
    conditioning: Literal["captions", "captions_contextual"] = "captions"
