"""Pretrained CLIP and T5, small ones with random weights, by their directories."""

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from diffusion.conditioning import TextConditioner
from diffusion.prompts import TextPrompts
from diffusion.text_encoders import fit_length, hidden_size, load_text_encoder
from ground.endings import Mistake
from tests.harness.rounding import assert_same_sums, terms_in

WORDS = ("a", "blue", "circle", "large", "red", "small", "square")
CAPTIONS = ["a small blue circle", "red square", "", "a large red square"]


def save_tokenizer(path, special: dict[str, int], ends: str, **names: str) -> None:
    """Word-level; `special` gives ids their names, `ends` is the template of a text."""
    ids = special | {word: len(special) + i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=names["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pairs = [(name, i) for name, i in special.items() if name in ends]
    tokenizer.post_processor = processors.TemplateProcessing(single=ends, special_tokens=pairs)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(path)


def save_clip(path, **options) -> None:
    """Like openai's: it pads with end tokens, which its config knows nothing of."""
    torch.manual_seed(0)
    small = dict(
        vocab_size=16, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=77, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    CLIPTextModel(CLIPTextConfig(**(small | options))).save_pretrained(path)
    special = {"<start>": 0, "<end>": 1}
    save_tokenizer(
        path, special, "<start> $A <end>",
        bos_token="<start>", eos_token="<end>", pad_token="<end>", unk_token="<end>",
    )  # fmt: skip


def save_t5(path, model=T5EncoderModel) -> None:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=16, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    model(config).save_pretrained(path)
    special = {"<pad>": 0, "</s>": 1, "<unk>": 2}
    names = dict(eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    save_tokenizer(path, special, "$A </s>", **names)


SAVE = {"clip": save_clip, "t5": save_t5}
ENDS = {"clip": 2, "t5": 1}  # tokens beside the words


@pytest.fixture(params=SAVE)
def kind(request) -> str:
    return request.param


def load(kind: str, path):
    SAVE[kind](path)
    encoder, tokenizer = load_text_encoder(str(path))
    fit_length(tokenizer, encoder, CAPTIONS)
    return encoder, TextPrompts(tokenizer)


def test_rows_are_as_long_as_the_longest_caption_and_a_little_more(kind, tmp_path):
    encoder, prompts = load(kind, tmp_path)
    assert prompts.inputs(CAPTIONS).shape == (4, 4 + ENDS[kind] + 4)
    assert hidden_size(encoder.config) == 16
    with pytest.raises(Mistake, match="unknown word 'bleu' .did you mean 'blue'"):
        prompts.inputs(["bleu"])


def test_an_encoder_with_too_few_positions_is_refused(tmp_path):
    save_clip(tmp_path, max_position_embeddings=5)
    encoder, tokenizer = load_text_encoder(str(tmp_path))
    with pytest.raises(Mistake, match="name: reads 5 tokens, but captions have up to 6$"):
        fit_length(tokenizer, encoder, CAPTIONS)
    fit_length(tokenizer, encoder, ["a red circle"])
    assert tokenizer.model_max_length == 5


def test_clip_pools_at_the_end_token(tmp_path):
    """Where transformers pools too, once it knows the end token."""
    encoder, prompts = load("clip", tmp_path)
    ids = prompts.inputs(CAPTIONS)
    condition = TextConditioner(encoder.eval())(ids)
    ends = [5, 3, 1, 5]
    assert torch.equal(condition.h, condition.tokens[range(4), ends])
    assert condition.mask.sum(dim=1).tolist() == [end + 1 for end in ends]
    save_clip(tmp_path, eos_token_id=1)
    plain = CLIPTextModel.from_pretrained(tmp_path).eval()
    terms = terms_in(plain, positions=ids.numel())
    assert_same_sums(condition.h, plain(input_ids=ids).pooler_output, terms)


def test_t5_averages_its_tokens_without_the_padding(tmp_path):
    encoder, prompts = load("t5", tmp_path)
    module, ids = TextConditioner(encoder.eval()), prompts.inputs(CAPTIONS)
    condition = module(ids)
    for i, length in enumerate([5, 3, 1, 5]):
        alone = encoder(input_ids=ids[i : i + 1, :length]).last_hidden_state[0]
        terms = terms_in(encoder, positions=ids.numel())
        assert_same_sums(condition.h[i], alone.mean(dim=0), terms, alone.abs().max())
        assert_same_sums(condition.tokens[i, :length], alone, terms)


def test_the_encoder_of_a_whole_model_is_taken(tmp_path):
    save_t5(tmp_path, T5ForConditionalGeneration)
    encoder, _ = load_text_encoder(str(tmp_path))
    whole = T5ForConditionalGeneration.from_pretrained(tmp_path)
    assert type(encoder) is T5EncoderModel
    assert torch.equal(encoder.shared.weight, whole.shared.weight)


def test_a_frozen_one_learns_nothing(kind, tmp_path):
    encoder, prompts = load(kind, tmp_path)
    module = TextConditioner(encoder, frozen=True)
    condition = module(prompts.inputs(CAPTIONS))
    assert not condition.h.requires_grad
    assert not any(weight.requires_grad for weight in module.parameters())
    assert all(name.startswith("text_encoder.") for name in module.state_dict())


def test_one_that_is_not_frozen_learns(kind, tmp_path):
    encoder, prompts = load(kind, tmp_path)
    module = TextConditioner(encoder, frozen=False).train()
    condition = module(prompts.inputs(CAPTIONS))
    (condition.h.square().sum() + condition.tokens.square().sum()).backward()
    gradients = {name: weight.grad for name, weight in module.named_parameters()}
    assert all(g is not None and g.isfinite().all() for g in gradients.values())
    assert sum(bool(g.any()) for g in gradients.values()) > len(gradients) / 2


def test_what_is_stored_pools_and_tokenizes_as_before(kind, tmp_path):
    """A snapshot holds encoder and tokenizer; nothing else says how they are used."""
    encoder, prompts = load(kind, tmp_path / "from")
    encoder.save_pretrained(tmp_path / "text_encoder", variant="ema")
    prompts.tokenizer.save_pretrained(tmp_path / "tokenizer")
    stored = type(encoder).from_pretrained(tmp_path / "text_encoder", variant="ema")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path / "tokenizer")
    ids = TextPrompts(tokenizer).inputs(CAPTIONS)
    assert torch.equal(ids, prompts.inputs(CAPTIONS))
    assert torch.equal(
        TextConditioner(stored.eval())(ids).h, TextConditioner(encoder.eval())(ids).h
    )


# mistakes

ALLOWED = (
    "; allowed a directory, or a name on the hub .*, of a CLIP or T5 model with its tokenizer$"  # noqa: E501
)


def refused(path, what: str) -> None:
    with pytest.raises(Mistake, match=f"^model.text_encoder.name: {what}.*{ALLOWED}") as error:
        load_text_encoder(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["/nowhere/clip", "nowhere", ""])
def test_a_name_that_leads_nowhere_is_refused(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused(name, f"cannot load '{name}' ")


def test_other_models_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refused(tmp_path, ".* is a model of type 'bert'")
    (tmp_path / "config.json").write_text("{}")
    refused(tmp_path, ".* is a model of type None")


def test_parts_that_are_missing_are_named(kind, tmp_path):
    SAVE[kind](tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).unlink()
    refused(tmp_path, "(cannot load )?the tokenizer of ")
    (tmp_path / "model.safetensors").unlink()
    refused(tmp_path, "cannot load .*model.safetensors")


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    save_clip(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    refused(tmp_path, ".* lacks the weight ")


def test_a_tokenizer_that_does_not_belong_is_refused(tmp_path):
    save_clip(tmp_path, vocab_size=5)
    refused(tmp_path, ".* knows 5 tokens, but its tokenizer has 9")
    names = dict(eos_token="</s>", pad_token="<pad>", unk_token="<pad>")
    save_tokenizer(tmp_path, {"<pad>": 0, "</s>": 1}, "$A", **names)
    refused(tmp_path, "the tokenizer of .* puts no end token")
