"""What the two ways of pooling a caption can and cannot tell apart."""

import pytest
import torch

from diffusion.conditioning import CaptionConditioner, build_text_encoder, build_tokenizer, tokenize
from diffusion.model_config import ModelConfig

WORDS = ("a", "blue", "circle", "red", "small", "square")
TOKENIZER = build_tokenizer(WORDS, 4)


def conditioner(conditioning: str) -> CaptionConditioner:
    torch.manual_seed(0)
    config = ModelConfig(size="tiny", conditioning=conditioning)
    return CaptionConditioner(build_text_encoder(config, TOKENIZER)).eval()


def encode(conditioning: str, *captions: str):
    return conditioner(conditioning)(tokenize(TOKENIZER, captions))


def test_one_id_per_word_and_a_fixed_length():
    ids = tokenize(TOKENIZER, ["a small blue circle", "red", ""])
    assert ids.shape == (3, 6)
    assert TOKENIZER.convert_ids_to_tokens(ids[1]) == ["<bos>", "red", "<eos>"] + ["<pad>"] * 3
    assert TOKENIZER.eos_token_id != 2  # where CLIP pools at the largest id instead


def test_the_bag_of_words_adds_and_ignores_order():
    blue, circle, both, turned, null = encode(
        "captions", "blue", "circle", "blue circle", "circle blue", ""
    ).pooled
    assert torch.allclose(both, blue + circle, atol=1e-6)
    assert torch.equal(both, turned)
    assert torch.equal(null, torch.zeros_like(null))


def test_contextual_pooling_reads_the_end_token():
    """It changes with the order of the words, and equals the last hidden state there."""
    condition = encode("captions_contextual", "blue circle", "circle blue")
    assert not torch.allclose(condition.pooled[0], condition.pooled[1], atol=1e-4)
    assert torch.equal(condition.pooled, condition.tokens[:, 3])  # <bos> w w <eos>


@pytest.mark.parametrize("conditioning", ["captions", "captions_contextual"])
def test_a_short_caption_does_not_see_its_padding(conditioning):
    """Text encoders are causal: tokens up to <eos> are the same without any padding."""
    module = conditioner(conditioning)
    ids = tokenize(TOKENIZER, ["red square"])
    padded, bare = module(ids), module(ids[:, :4])
    assert torch.allclose(padded.tokens[:, :4], bare.tokens, atol=1e-6)
    assert torch.allclose(padded.pooled, bare.pooled, atol=1e-6)
    assert padded.mask.tolist() == [[True] * 4 + [False] * 2]
