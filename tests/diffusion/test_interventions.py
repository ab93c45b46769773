"""Conditioners that tell a network otherwise, as identities; and a prompt switched on the way."""

import math

import pytest
import torch

from diffusion.conditioning import Condition, NumberConditioner, TextConditioner
from diffusion.interventions import OtherRows, Shifted, over_prompted, with_scaled_words
from diffusion.model import build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import NumberPrompts, TextPrompts, build_tokenizer
from diffusion.samplers import SAMPLERS
from diffusion.sampling import switched
from diffusion.text_encoders import build_text_encoder

WORDS = {"red": {"0": 0.6, "1": 0.4}, "blue": {"0": 0.4, "1": 0.6}, "big": {"2": 0.5}}
PROMPTS = NumberPrompts([0.0, 0.0, 0.0], WORDS)
TOKENIZER = build_tokenizer(("a", "big", "blue", "red"), 3)

QUICK = ("ddpm", "sde-dpmsolver++")  # of the samplers: with noise, and of two steps


@pytest.fixture
def numbers() -> NumberConditioner:
    torch.manual_seed(0)
    return NumberConditioner("vector", 4, PROMPTS.default, WORDS)


@pytest.fixture(scope="module")
def words() -> TextConditioner:
    torch.manual_seed(0)
    widths = ModelConfig(size="tiny").widths
    return TextConditioner(build_text_encoder(widths, "captions", TOKENIZER)).eval()


@torch.no_grad()
def test_over_prompts_go_beyond_the_class_mean_and_keep_what_else_is_said(numbers):
    rows = PROMPTS.inputs(["blue big", "red", ""])
    beyond = over_prompted(PROMPTS, rows[:2], ["red", "blue"], 2.0, ())
    assert torch.allclose(beyond, torch.tensor([[0.3, 0.7, 0.5], [0.7, 0.3, 0.0]]))
    assert torch.equal(over_prompted(PROMPTS, rows[:2], ["red", "blue"], 1.0, ()), rows[:2])
    given = over_prompted(PROMPTS, rows[:1], ["red", "blue"], None, (0.05, 0.95))
    assert torch.allclose(given, torch.tensor([[0.05, 0.95, 0.5]]))
    told = OtherRows(numbers, rows[:1], given)
    assert torch.equal(told(rows[:1]).h, numbers(given).h)
    assert torch.equal(told(rows[1:]).h, numbers(rows[1:]).h)  # another prompt, and the null


@torch.no_grad()
def test_shifts_move_h_of_their_prompts_alone(numbers):
    rows = PROMPTS.inputs(["blue big", "red", ""])
    shifts = torch.arange(8.0).view(2, 4)
    told = Shifted(numbers, rows[:2], shifts)(rows)
    plain = numbers(rows)
    assert torch.equal(told.h[:2], plain.h[:2] + shifts) and torch.equal(told.h[2], plain.h[2])


@torch.no_grad()
def test_shifts_leave_the_tokens_of_captions(words):
    rows = TextPrompts(TOKENIZER).inputs(["blue big", "red"])
    told, plain = Shifted(words, rows[:1], torch.ones(1, words.width))(rows), words(rows)
    assert torch.equal(told.tokens, plain.tokens) and torch.equal(told.h[1], plain.h[1])
    assert torch.equal(told.h[0], plain.h[0] + 1)


@torch.no_grad()
def test_scaled_words_count_as_often_in_the_bag(words):
    prompts = TextPrompts(TOKENIZER)
    ids = prompts.inputs(["blue"])[0, 1:2]
    told = with_scaled_words(words, ids, 3.0)
    (both, big, null), (scaled, same, still) = (
        one(prompts.inputs(["blue big", "big", ""])).h for one in (words, told)
    )
    assert torch.allclose(scaled - both, 2 * (both - big), atol=1e-6)
    assert torch.equal(same, big) and torch.equal(still, null)


def test_a_switch_asks_the_first_for_as_many_calls():
    said = switched(lambda x, t: "first", lambda x, t: "then", 2)
    assert [said(None, t) for t in range(4)] == ["first", "first", "then", "then"]


@pytest.fixture(scope="module")
def pipeline(words) -> ConceptPipeline:
    config = ModelConfig(size="tiny")
    model = build_model(config, ObjectiveConfig(), lambda width: words, (3, 16, 16), seed=0)
    return ConceptPipeline.of(model, TextPrompts(TOKENIZER))


@pytest.mark.parametrize(
    "sampler",
    [
        sampler if sampler in QUICK else pytest.param(sampler, marks=pytest.mark.slow)
        for sampler in SAMPLERS
    ],
)
def test_a_switch_at_either_end_is_the_plain_prompt(pipeline, sampler):
    options = dict(sampler=sampler, num_inference_steps=4, guidance_scale=50.0)
    asked, before = ["blue big", "red"], ["red big", "blue"]
    plain, other = pipeline(asked, **options), pipeline(before, **options)

    def at(share):
        return pipeline(asked, before=before, switch_at=share, **options)

    assert torch.equal(at(0.0), plain) and torch.equal(at(1.0), other)
    middle = at(0.5)
    assert not torch.equal(middle, plain) and not torch.equal(middle, other)
    assert torch.equal(at(0.05), plain)  # of 4 steps none


def test_a_pipeline_told_by_another_leaves_its_own(pipeline, words):
    rows = pipeline.prompts.inputs(["blue big"])
    plain = pipeline(["blue big"] * 2, num_inference_steps=2)
    told = pipeline.told_by(Shifted(words, rows, torch.full((1, words.width), 3.0)))
    assert not torch.equal(told(["blue big"] * 2, num_inference_steps=2), plain)
    assert torch.equal(
        told(["red"], num_inference_steps=2), pipeline(["red"], num_inference_steps=2)
    )
    assert torch.equal(pipeline(["blue big"] * 2, num_inference_steps=2), plain)
    nothing = pipeline.told_by(Shifted(words, rows, torch.zeros(1, words.width)))
    assert torch.equal(nothing(["blue big"] * 2, num_inference_steps=2), plain)


def test_a_row_of_nan_is_no_row_of_a_shift(numbers):
    null = torch.full((1, 3), math.nan)
    told: Condition = Shifted(numbers, null, torch.ones(1, 4))(null)
    assert torch.equal(told.h, numbers(null).h)
