"""Guidance and tiles as identities."""

import math

import pytest
import torch

from diffusion.conditioning import TextConditioner
from diffusion.model import Denoiser, build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective
from diffusion.pipeline import to_pixels
from diffusion.prompts import build_tokenizer, tokenize
from diffusion.samplers import SAMPLERS, make_sampler, step_noise
from diffusion.sampling import TILE, guided, in_tiles, sample
from diffusion.text_encoders import build_text_encoder
from ground.endings import Mistake
from tests.harness.rounding import assert_same_sums, terms_in

TOKENIZER = build_tokenizer(("blue", "circle", "red"), 3)
SCHEDULE = dict(build_objective(ObjectiveConfig()).scheduler().config)


def noise(n, seed=1):
    return torch.randn(n, 3, 1, 1, generator=torch.Generator().manual_seed(seed))


class Numbers(Denoiser):
    """Puts out x_t plus its condition, rows of numbers with NaN for null, plus t / 1000."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def encode(self, inputs):
        return inputs.nan_to_num(-1.0).mean(1)

    def predict(self, x_t, t, condition):
        assert len(x_t) == len(t) == len(condition)
        return x_t + (condition + t / 1000)[:, None, None, None]


@pytest.mark.parametrize(("scale", "pull"), [(0.0, -1.0), (1.0, 0.5), (2.0, 2.0), (-1.0, -2.5)])
def test_guidance_extrapolates_from_the_null_condition(scale, pull):
    """Null is −1 and the condition .5, so it is −1 + 1.5 scale."""
    inputs, null = torch.tensor([[0.0, 1.0]] * 4), torch.full((1, 2), math.nan)
    denoise = guided(Numbers(), inputs, null, scale)
    x_t = noise(4)
    expected = x_t + pull + 0.5
    size = (1 + 2 * abs(scale)) * expected.abs().max()  # two predictions, one of them twice
    assert_same_sums(denoise(x_t, torch.tensor(500)), expected, terms=6, magnitude=size)


@pytest.fixture(scope="module")
def denoiser():
    """Random weights in the last layer too, which diffusers leaves ordinary."""
    config = ModelConfig(size="tiny")

    def conditioner(width: int) -> TextConditioner:
        return TextConditioner(build_text_encoder(config.widths, "captions", TOKENIZER))

    return build_model(config, ObjectiveConfig(), conditioner, (3, 16, 16), seed=0).eval()


def predictions(denoiser, scale):
    x_t = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    ids = tokenize(TOKENIZER, ["blue circle", "red", "circle"])
    with torch.no_grad():
        return guided(denoiser, ids, tokenize(TOKENIZER, [""]), scale)(x_t, torch.tensor(500))


def test_guidance_at_0_1_and_2(denoiser):
    """0 is the null caption, 1 the caption, 2 as far again beyond it."""
    null, captioned, twice = (predictions(denoiser, scale) for scale in (0.0, 1.0, 2.0))
    assert not torch.allclose(null, captioned, atol=1e-3)
    terms, size = terms_in(denoiser, positions=6 * 16 * 16), 3 * captioned.abs().max()
    assert_same_sums(twice, 2 * captioned - null, terms, size)
    nearly = predictions(denoiser, 1.0 + 1e-9)  # takes the path of two batches
    assert_same_sums(nearly, captioned, terms, size)


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_image_does_not_depend_on_its_company(denoiser, name):
    """Bit for bit: alone, in a crowd of 70, and last of a full tile."""
    ids = tokenize(TOKENIZER, ["blue circle"] * 70)
    x_T = torch.randn(70, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    index = torch.arange(70)

    @torch.no_grad()
    def draw(x, ids, index):
        added = step_noise(0, index, (3, 16, 16))
        scheduler = make_sampler(name, SCHEDULE, 4, added)
        return sample(guided(denoiser, ids, ids[:1], 1.0), scheduler, x)

    crowd = in_tiles(draw, x_T, ids, index)
    assert crowd.shape == (70, 3, 16, 16)
    for i in (0, TILE - 1, TILE, 69):
        alone = in_tiles(draw, x_T[i : i + 1], ids[:1], index[i : i + 1])
        assert torch.equal(alone[0], crowd[i])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_becomes_an_image(wrong):
    x_0 = torch.zeros(3, 3, 2, 2)
    assert to_pixels(x_0, "m").unique().tolist() == [128]
    x_0[1, 2, 0, 1] = wrong
    with pytest.raises(Mistake, match="^m drew numbers that are not finite in 1 of 3 images; use "):
        to_pixels(x_0, "m")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("wrong", [torch.inf, -torch.inf, torch.nan])
def test_what_a_network_says_beyond_all_numbers_spoils_the_image(sampler, wrong):
    """Samplers that clip x_0 would make a pixel of infinity."""
    scheduler = make_sampler(sampler, SCHEDULE, 5, step_noise(0, torch.arange(3), (1, 2, 2)))

    def denoise(x_t, t):
        output = torch.zeros_like(x_t)
        output[1, 0, 0, 0] = wrong
        return output

    x_0 = sample(denoise, scheduler, torch.ones(3, 1, 2, 2))
    assert torch.isfinite(x_0[[0, 2]]).all() and x_0[1].isnan().all()
