"""Words → rows: of token ids and of numbers, and which words are refused."""

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from diffusion.prompts import (
    CoordinatePrompts,
    NumberPrompts,
    Prompts,
    TextPrompts,
    build_tokenizer,
)
from ground.endings import Mistake

TEXT = TextPrompts(build_tokenizer(("a", "blue", "circle", "red", "small", "square"), 4))
NUMBERS = NumberPrompts(
    default=[0.0, 0.5, -1.0],
    words={"a": {}, "red": {"0": 1.0, "1": 0.0}, "blue": {"0": 0.0, "1": 1.0}, "small": {"2": 0.3}},
)
PLANE = CoordinatePrompts([(0.0, 32.0), (-1.0, 1.0)], [False, True])


def test_text_has_one_id_per_word_and_a_fixed_length():
    rows = TEXT.inputs(["a small blue circle", "red", ""])
    names = [TEXT.tokenizer.convert_ids_to_tokens(row) for row in rows.tolist()]
    assert names[0] == ["<bos>", "a", "small", "blue", "circle", "<eos>"]
    assert names[1] == ["<bos>", "red", "<eos>"] + ["<pad>"] * 3
    assert names[2] == ["<bos>", "<eos>"] + ["<pad>"] * 4
    assert TEXT.tokenizer.eos_token_id != 2  # where CLIP pools at the largest id instead


def test_words_set_their_entries_in_any_order():
    rows = NUMBERS.inputs(["a small red", "red small", "small", "a", "red red"])
    small_red = [1.0, 0.0, pytest.approx(0.3)]
    assert rows.tolist() == [
        small_red,
        small_red,
        [0.0, 0.5, pytest.approx(0.3)],
        [0.0, 0.5, -1.0],
        [1.0, 0.0, -1.0],
    ]
    assert rows.dtype == torch.float32


def test_the_empty_prompt_is_the_null_row():
    null, default = NUMBERS.inputs(["", "a"])
    assert null.isnan().all() and not default.isnan().any()


@pytest.mark.parametrize("prompts", [TEXT, NUMBERS])
def test_both_are_prompts_and_refuse_unknown_words(prompts):
    assert isinstance(prompts, Prompts)
    with pytest.raises(Mistake, match="^prompt 'a bleu': unknown word 'bleu' .did you mean 'blue'"):
        prompts.inputs(["a red", "a bleu"])
    with pytest.raises(Mistake, match="^prompt 'qqq': unknown word 'qqq'$"):
        prompts.inputs(["qqq"])


@pytest.mark.parametrize("word", ["<eos>", "<unk>", "<pad>"])
def test_special_tokens_are_no_words(word):
    with pytest.raises(Mistake, match=f"unknown word '{word}'"):
        TEXT.inputs([f"a {word}"])


def test_a_word_that_leaves_no_token_is_unknown():
    """Subword tokenizers without an unknown token drop what they cannot spell."""
    spelling = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE(vocab={"r": 0, "e": 1, "d": 2, "_": 3}, merges=[])),
        pad_token="_",
        model_max_length=4,
    )
    assert TextPrompts(spelling).inputs(["red", "de"]).tolist() == [[0, 1, 2, 3], [2, 1, 3, 3]]
    with pytest.raises(Mistake, match="unknown word '12'"):
        TextPrompts(spelling).inputs(["12"])


def test_more_words_than_the_encoder_reads_are_refused():
    with pytest.raises(Mistake, match="^prompt 'a a small red circle': has 7 tokens, .*allowed 6$"):
        TEXT.inputs(["a a small red circle"])


def test_words_that_contradict_each_other_are_refused():
    with pytest.raises(Mistake, match="^prompt 'red blue': 'red' and 'blue' contradict each other"):
        NUMBERS.inputs(["red blue"])


def test_coordinates_are_read_as_they_are():
    rows = PLANE.inputs(["12.5 .25", " 0  -1", "3.2e1 1", "12.5 .25"])
    assert rows.tolist() == [[12.5, 0.25], [0.0, -1.0], [32.0, 1.0], [12.5, 0.25]]
    assert rows.dtype == torch.float32 and isinstance(PLANE, Prompts)


def test_a_dash_is_a_number_outside_the_span_and_the_empty_prompt_is_nan():
    dash, null = PLANE.inputs(["- 0.5", ""])
    assert dash[0] < 0 and dash[1] == 0.5
    assert null.isnan().all()


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("12.5", "^prompt '12.5': has 1 coordinates, allowed 2$"),
        ("1 0 1", "^prompt '1 0 1': has 3 coordinates, allowed 2$"),
        ("32.1 0", "^prompt '32.1 0': got '32.1', allowed 0 to 32, or - for none$"),
        ("-0.1 0", "got '-0.1', allowed 0 to 32"),
        ("nan 0", "got 'nan', allowed 0 to 32"),
        ("1,5 0", "got '1,5', allowed 0 to 32"),
        ("1 inf", "got 'inf', allowed -1 to 1$"),
        ("1 -", "^prompt '1 -': got '-', allowed -1 to 1$"),  # a circle has no outside
    ],
)
def test_what_is_no_coordinate_is_refused(prompt, message):
    with pytest.raises(Mistake, match=message):
        PLANE.inputs(["1 0", prompt])


@pytest.mark.parametrize("prompts", [TEXT, NUMBERS])
def test_both_read_what_people_type(prompts):
    plain, typed, odd = prompts.inputs(["a small red", "A SMALL, Red.", "a picture of a small red"])
    assert typed.tolist() == odd.tolist() == plain.tolist()
    with pytest.raises(Mistake, match="unknown word '[.]'"):
        prompts.inputs(["."])  # not the null


def test_subword_tokenizers_are_told_what_was_typed():
    spelling = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE(vocab={"r": 0, "R": 1, "_": 2}, merges=[])),
        pad_token="_",
        model_max_length=2,
    )
    assert TextPrompts(spelling).inputs(["R", "r"]).tolist() == [[1, 2], [0, 2]]
