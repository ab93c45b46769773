"""Text encoders: a small CLIP of our own from scratch, and pretrained ones of CLIP and T5."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    T5EncoderModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from diffusion.model_config import TEXT_HEADS, Size
from ground.endings import Mistake, first_line

WORD_STD = 0.25  # of new word embeddings: with CLIP's .02 the bag of words starts out too faint
POOLING = {"captions": "words", "captions_contextual": "end"}  # bag of words; CLIP's end token
# model_type of a stored config → its class, and where h is taken: the end token; the mean of all
PRETRAINED: dict[str, tuple[Any, str]] = {
    "clip": (CLIPTextModel, "end"),
    "clip_text_model": (CLIPTextModel, "end"),
    "t5": (T5EncoderModel, "mean"),
}
SPARE_TOKENS = 4  # that a prompt may have beyond the longest caption
KEY = "model.text_encoder.name"
MASKED = "sdpa_always_masked"  # what transformers calls `_whole_mask` with its own attention
NO_SHORTCUT = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
ALLOWED = (
    "allowed a directory, or a name on the hub (HF_HUB_OFFLINE=0 fetches it), of a CLIP or T5 "
    "model with its tokenizer"
)


def build_text_encoder(
    size: Size, conditioning: str, tokenizer: PreTrainedTokenizerFast
) -> CLIPTextModel:
    """A CLIP text transformer of a few layers over the closed list of words.

    conditioning: a key of POOLING. Weights come from the global generator: fork it.
    """
    encoder = CLIPTextModel(
        CLIPTextConfig(
            pooling=POOLING[conditioning],
            vocab_size=len(tokenizer),
            hidden_size=size.text_width,
            intermediate_size=2 * size.text_width,
            num_hidden_layers=size.text_layers,
            num_attention_heads=TEXT_HEADS,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    nn.init.normal_(encoder.get_input_embeddings().weight, std=WORD_STD)
    return encoder


def load_text_encoder(name: str) -> tuple[Any, Any]:
    """A pretrained text encoder, float32 on the CPU, and its tokenizer.

    name: a directory that holds both, or a name on the hub. The encoder's config gets `pooling`
    and the tokenizer's special ids, as those that checkpoints carry are often wrong (CLIP's
    pad_token_id, and an eos_token_id of 2).

    Raises Mistake if there is none, of CLIP or T5, whole and with a tokenizer of its own.
    """
    try:
        stored, _ = PreTrainedConfig.get_config_dict(name)
    except OSError as error:
        raise Mistake(f"{KEY}: cannot load {name!r} ({first_line(error)}); {ALLOWED}") from None
    kind = stored.get("model_type")
    if kind not in PRETRAINED:
        raise Mistake(f"{KEY}: {name!r} is a model of type {kind!r}; {ALLOWED}")
    model, pooling = PRETRAINED[kind]
    encoder, tokenizer = _load_weights(model, name), _load_tokenizer(name)
    if len(tokenizer) > encoder.config.vocab_size:
        raise Mistake(
            f"{KEY}: {name!r} knows {encoder.config.vocab_size} tokens, but its tokenizer has "
            f"{len(tokenizer)}; {ALLOWED}"
        )
    encoder.config.pooling = pooling
    encoder.config.eos_token_id = tokenizer.eos_token_id
    encoder.config.pad_token_id = tokenizer.pad_token_id
    return encoder, tokenizer


def _load_weights(model: Any, name: str) -> Any:
    try:
        encoder, report = model.from_pretrained(name, dtype=torch.float32, output_loading_info=True)
    except OSError as error:
        raise Mistake(f"{KEY}: cannot load {name!r} ({first_line(error)}); {ALLOWED}") from None
    for missing in sorted(report["missing_keys"])[:1]:  # would be random numbers
        raise Mistake(f"{KEY}: {name!r} lacks the weight {missing}; {ALLOWED}")
    return encoder


def _load_tokenizer(name: str) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise Mistake(
            f"{KEY}: cannot load the tokenizer of {name!r} ({first_line(error)}); {ALLOWED}"
        ) from None
    if len(tokenizer) < len(tokenizer.get_added_vocab()) + 2:  # as transformers makes of no files
        raise Mistake(f"{KEY}: the tokenizer of {name!r} is empty; {ALLOWED}")
    if tokenizer.eos_token_id is None or tokenizer("").input_ids[-1:] != [tokenizer.eos_token_id]:
        raise Mistake(f"{KEY}: the tokenizer of {name!r} puts no end token; {ALLOWED}")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def fit_length(tokenizer: Any, encoder: Any, captions: Sequence[str]) -> None:
    """Set the tokenizer's full length to that of the longest caption, and a little more.

    Padding to CLIP's 77 tokens would cost more than the captions of a world. Mistake if the
    encoder has fewer positions than a caption has tokens.
    """
    longest = max(len(ids) for ids in tokenizer(list(captions)).input_ids)
    most = encoder.config.to_dict().get("max_position_embeddings", longest + SPARE_TOKENS)
    if longest > most:
        raise Mistake(f"{KEY}: reads {most} tokens, but captions have up to {longest}")
    tokenizer.model_max_length = min(most, longest + SPARE_TOKENS)


def always_mask(encoder: Any) -> None:
    """Let an encoder compute its attention with a mask, even where no token is padding.

    transformers leaves such a mask out. To know, it reads all masks back from the device, once a
    call, for which a GPU would be waited for.
    """
    if encoder.config._attn_implementation == "sdpa":
        encoder.set_attn_implementation(MASKED)


def _whole_mask(*args: Any, **kwargs: Any) -> torch.Tensor:
    return sdpa_mask(*args, **{**kwargs, **NO_SHORTCUT})


AttentionInterface.register(MASKED, sdpa_attention_forward)
AttentionMaskInterface.register(MASKED, _whole_mask)


def hidden_size(config: PreTrainedConfig) -> int:
    """Width of the tokens of an encoder, and of h."""
    return config.hidden_size  # of T5 an alias of d_model
