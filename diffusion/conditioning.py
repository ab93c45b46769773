"""Captions → conditions: a word-level tokenizer and a small CLIP text encoder, from scratch."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from diffusion.model_config import SIZES, ModelConfig

BOS, EOS, PAD, UNKNOWN = "<bos>", "<eos>", "<pad>", "<unk>"
SPECIAL = (PAD, BOS, UNKNOWN, EOS)  # an end token of id 2 would make CLIP pool at the largest id
NULL_CAPTION = ""
WORD_STD = 0.25  # of new word embeddings: with CLIP's .02 the bag of words starts out too faint


@dataclass(frozen=True)
class Condition:
    """What the U-Net sees of n captions of l tokens.

    Attributes:
        tokens: float32 (n, l, d), contextual embeddings for cross-attention.
        mask: bool (n, l), False at padding.
        pooled: float32 (n, d), added, through an MLP, to the time embedding.
    """

    tokens: Float[Tensor, "n l d"]
    mask: Bool[Tensor, "n l"]
    pooled: Float[Tensor, "n d"]


def build_tokenizer(vocabulary: Sequence[str], max_words: int) -> PreTrainedTokenizerFast:
    """One id per word; captions become <bos> words <eos>, padded to max_words + 2."""
    ids = {word: i for i, word in enumerate((*SPECIAL, *vocabulary))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=[(BOS, ids[BOS]), (EOS, ids[EOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=max_words + 2,
    )


def tokenize(tokenizer: PreTrainedTokenizerFast, captions: Sequence[str]) -> Int[Tensor, "n l"]:
    """int64 ids, all rows of the tokenizer's full length."""
    encoded = tokenizer(list(captions), padding="max_length", return_tensors="pt")
    return encoded.input_ids


class CaptionConditioner(nn.Module):
    """Token ids → Condition; the encoder's config says how it pools, see POOLING."""

    def __init__(self, text_encoder: CLIPTextModel):
        super().__init__()
        self.text_encoder = text_encoder

    def forward(self, input_ids: Int[Tensor, "n l"]) -> Condition:
        config = self.text_encoder.config
        mask = input_ids != config.pad_token_id
        encoded = self.text_encoder(input_ids=input_ids, attention_mask=mask)
        pooled = self.bag(input_ids) if config.pooling == "words" else encoded.pooler_output
        return Condition(encoded.last_hidden_state, mask, pooled)

    def bag(self, input_ids: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """Sum of the embeddings of the words: additive in them, so new sets of words compose."""
        embeddings = self.text_encoder.get_input_embeddings()(input_ids)
        return (embeddings * (input_ids >= len(SPECIAL))[..., None]).sum(dim=1)


POOLING = {"captions": "words", "captions_contextual": "end"}  # bag of words; CLIP's end token


def build_text_encoder(config: ModelConfig, tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    """A CLIP text transformer of a few layers over the closed list of words."""
    size = SIZES[config.size]
    encoder = CLIPTextModel(
        CLIPTextConfig(
            pooling=POOLING[config.conditioning],
            vocab_size=len(tokenizer),
            hidden_size=size.text_width,
            intermediate_size=2 * size.text_width,
            num_hidden_layers=size.text_layers,
            num_attention_heads=2,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    nn.init.normal_(encoder.get_input_embeddings().weight, std=WORD_STD)
    return encoder
