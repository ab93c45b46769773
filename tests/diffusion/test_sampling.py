"""Samplers against the closed form for Gaussian data; guidance and tiles as identities."""

import pytest
import torch

from diffusion.conditioning import build_tokenizer, tokenize
from diffusion.model import build_denoiser
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_scheduler, diffuse, epsilon_loss
from diffusion.sampling import SAMPLERS, TILE, guided, in_tiles, make_sampler, sample

TOKENIZER = build_tokenizer(("blue", "circle", "red"), 3)
SCHEDULES = ("linear", "squaredcos_cap_v2")
MEAN, STD = 0.2, 0.15


def optimal_denoiser(alphas_cumprod):
    """E[ε | x_t] for x_0 ~ N(MEAN, STD²): √(1−ᾱ)(x_t − √ᾱ·MEAN) / (ᾱ·STD² + 1 − ᾱ)."""

    def denoise(x_t, t):
        a = alphas_cumprod[t]
        return (1 - a).sqrt() * (x_t - a.sqrt() * MEAN) / (a * STD**2 + 1 - a)

    return denoise


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_forward_process_has_its_mean_and_variance(schedule):
    scheduler = build_scheduler(ObjectiveConfig(schedule=schedule))
    x_0 = torch.full((50_000, 1, 1, 1), 0.5).expand(-1, 3, 1, 1)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    x_t = diffuse(scheduler, x_0, eps, torch.full((50_000,), 400))
    a = scheduler.alphas_cumprod[400]
    assert x_t.mean().item() == pytest.approx(0.5 * a.sqrt().item(), abs=0.01)
    assert x_t.var().item() == pytest.approx(1 - a.item(), abs=0.01)
    assert epsilon_loss(eps, eps * 0).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_converge_to_a_gaussian(schedule, name):
    """Mean and standard deviation of the output approach the data's as the steps grow finer."""
    trained = build_scheduler(ObjectiveConfig(schedule=schedule))
    x_T = torch.randn(20_000, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    errors = []
    for steps in (10, 50, 500):
        scheduler = make_sampler(name, trained.config, steps)
        x_0 = sample(optimal_denoiser(trained.alphas_cumprod), scheduler, x_T)
        assert x_0.mean().item() == pytest.approx(MEAN, abs=0.02)
        errors.append(abs(x_0.std().item() - STD))
    assert errors[2] < 0.005 and errors[2] < errors[1] < errors[0]


def test_unknown_samplers_and_step_counts_are_refused():
    with pytest.raises(ValueError, match="sampler: got 'euler', allowed ddim, dpmsolver"):
        make_sampler("euler", build_scheduler(ObjectiveConfig()).config, 20)
    with pytest.raises(ValueError, match="num_inference_steps: got 0, allowed 1 to 1000"):
        make_sampler("ddim", build_scheduler(ObjectiveConfig()).config, 0)
    with pytest.raises(ValueError, match="got 61, allowed for ddim: divisors of 1000"):
        make_sampler("ddim", build_scheduler(ObjectiveConfig()).config, 61)


@pytest.mark.parametrize("steps", [1, 10, 20, 125, 1000])
def test_ddim_strides_evenly_from_the_last_timestep(steps):
    timesteps = make_sampler("ddim", build_scheduler(ObjectiveConfig()).config, steps).timesteps
    assert timesteps.tolist() == list(range(999, -1, -(1000 // steps)))


@pytest.fixture(scope="module")
def denoiser():
    """Random weights in the last layer too, which diffusers leaves ordinary."""
    return build_denoiser(ModelConfig(size="tiny"), TOKENIZER, 16, seed=0).eval()


def predictions(denoiser, scale):
    x_t = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    ids = tokenize(TOKENIZER, ["blue circle", "red", "circle"])
    with torch.no_grad():
        return guided(denoiser, ids, tokenize(TOKENIZER, [""]), scale)(x_t, torch.tensor(500))


def test_guidance_at_0_1_and_2(denoiser):
    """0 is the null caption, 1 the caption, 2 as far again beyond it."""
    null, captioned, twice = (predictions(denoiser, scale) for scale in (0.0, 1.0, 2.0))
    assert not torch.allclose(null, captioned, atol=1e-3)
    assert torch.allclose(twice, 2 * captioned - null, atol=1e-5)
    nearly = predictions(denoiser, 1.0 + 1e-9)  # takes the path of two batches
    assert torch.allclose(nearly, captioned, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_image_does_not_depend_on_its_company(denoiser, name):
    """Bit for bit: alone, in a crowd of 70, and last of a full tile."""
    ids = tokenize(TOKENIZER, ["blue circle"] * 70)
    x_T = torch.randn(70, 3, 16, 16, generator=torch.Generator().manual_seed(3))

    @torch.no_grad()
    def draw(x, ids):
        scheduler = make_sampler(name, build_scheduler(ObjectiveConfig()).config, 4)
        return sample(guided(denoiser, ids, ids[:1], 1.0), scheduler, x)

    crowd = in_tiles(draw, x_T, ids)
    assert crowd.shape == (70, 3, 16, 16)
    for i in (0, TILE - 1, TILE, 69):
        assert torch.equal(in_tiles(draw, x_T[i : i + 1], ids[:1])[0], crowd[i])
