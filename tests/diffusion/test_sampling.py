"""Samplers against closed forms for Gaussian data; guidance and tiles as identities."""

import math

import pytest
import torch

from diffusion.conditioning import TextConditioner
from diffusion.model import Denoiser, build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective, target
from diffusion.prompts import build_tokenizer, tokenize
from diffusion.sampling import SAMPLERS, TILE, guided, in_tiles, make_sampler, sample, step_noise
from diffusion.text_encoders import build_text_encoder

TOKENIZER = build_tokenizer(("blue", "circle", "red"), 3)
OBJECTIVES = {
    "linear": ObjectiveConfig(),
    "cosine": ObjectiveConfig(schedule="squaredcos_cap_v2"),
    "variational": ObjectiveConfig("variational"),
}
N = 20_000
MU = torch.tensor([0.2, -0.1, 0.05], dtype=torch.float64)
SIGMA = torch.tensor([[4, 2, 0], [2, 3, -1], [0, -1, 2]], dtype=torch.float64) / 150  # covariance


def schedule_of(objective, prediction="epsilon"):
    config = dict(build_objective(OBJECTIVES[objective]).scheduler().config)
    return {**config, "prediction_type": prediction}


def alphas_cumprod_of(objective):
    return build_objective(OBJECTIVES[objective]).scheduler().alphas_cumprod.double()


def gain(a):
    """G of E[x_0 | x_t] = μ + G (x_t − √ᾱ μ), x_0 ~ N(μ, Σ)."""
    return a.sqrt() * SIGMA @ torch.linalg.inv(a * SIGMA + (1 - a) * torch.eye(3))


def optimal_denoiser(objective, prediction="epsilon"):
    alphas_cumprod = alphas_cumprod_of(objective)

    def denoise(x_t, t):
        a, x = alphas_cumprod[t], x_t.double().flatten(1)
        x_0 = MU + (x - a.sqrt() * MU) @ gain(a).T
        eps = (x - a.sqrt() * x_0) / (1 - a).sqrt()
        alpha, sigma = (c.sqrt().view(1, 1, 1, 1) for c in (a, 1 - a))
        wanted = target(prediction, x_0.view(x_t.shape), eps.view(x_t.shape), alpha, sigma)
        return wanted.float()

    return denoise


def noise(n=N, seed=1):
    return torch.randn(n, 3, 1, 1, generator=torch.Generator().manual_seed(seed))


def draw(name, objective, steps, prediction="epsilon", n=N):
    added = step_noise(0, torch.arange(n), (3, 1, 1))
    scheduler = make_sampler(name, schedule_of(objective, prediction), steps, added)
    return sample(optimal_denoiser(objective, prediction), scheduler, noise(n))


def affine_maps(name, objective, steps):
    """x_s = A x_t + b + (noise of variance v), per step: DDIM (Song et al. 2021, eq. 12) and the
    posterior of Ho et al. 2020, eq. 7, with the optimal denoiser put in."""
    alphas_cumprod, eye = alphas_cumprod_of(objective), torch.eye(3, dtype=torch.float64)
    stride = 1000 // steps
    for t in range(999, -1, -stride):
        a = alphas_cumprod[t]
        s = alphas_cumprod[t - stride] if t >= stride else torch.tensor(1.0, dtype=torch.float64)
        g = gain(a)
        if name == "ddim":
            of_x_0 = s.sqrt() - ((1 - s) / (1 - a) * a).sqrt()
            of_x_t, variance = ((1 - s) / (1 - a)).sqrt(), 0.0
        else:
            beta = 1 - a / s
            of_x_0 = s.sqrt() * beta / (1 - a)
            of_x_t, variance = (1 - beta).sqrt() * (1 - s) / (1 - a), (1 - s) / (1 - a) * beta
        yield of_x_0 * g + of_x_t * eye, of_x_0 * (MU - a.sqrt() * g @ MU), variance


def moments(name, objective, steps):
    """Mean and covariance of what the sampler ends with."""
    mean, covariance = torch.zeros(3).double(), torch.eye(3).double()
    for a, b, variance in affine_maps(name, objective, steps):
        mean, covariance = a @ mean + b, a @ covariance @ a.T + variance * torch.eye(3)
    return mean, covariance


def check_moments(x, mean, covariance, errors=5.0):
    """Of samples, within standard errors: √(Σ_ii / n), √((Σ_ii Σ_jj + Σ_ij²) / n)."""
    x = x.double().flatten(1)
    variance = covariance.diagonal()
    assert ((x.mean(0) - mean).abs() < errors * (variance / N).sqrt()).all()
    error = ((variance[:, None] * variance + covariance**2) / N).sqrt()
    assert ((torch.cov(x.T) - covariance).abs() < errors * error).all()


def limit(objective):
    """Covariance of E[x_0 | x_t] at the first timestep, which is where samplers end."""
    a = alphas_cumprod_of(objective)[0]
    return gain(a) @ (a * SIGMA + (1 - a) * torch.eye(3)) @ gain(a).T


def distance(covariance, objective):
    """Relative, from what finer steps converge to."""
    return ((covariance - limit(objective)).norm() / limit(objective).norm()).item()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_samples_have_the_moments_of_the_linear_recursion(name, objective):
    mean, covariance = moments(name, objective, 10)
    check_moments(draw(name, objective, 10), mean, covariance)
    assert distance(covariance, objective) > 0.1  # ten steps are not the data yet


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_samples_are_the_linear_recursion_point_by_point(name, objective):
    x, t = noise(100).double().flatten(1), 999
    for a, b, variance in affine_maps(name, objective, 20):
        added = step_noise(0, torch.arange(100), (3,))(t)
        x, t = x @ a.T + b + math.sqrt(variance) * added, t - 50
    x_0 = draw(name, objective, 20, n=100).double().flatten(1)
    assert torch.allclose(x_0, x, atol=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_the_linear_recursion_converges_to_the_data(name, objective):
    """At first order, where the strides are fine enough to tell."""
    means, errors = [], []
    for steps in (10, 100, 500, 1000):
        mean, covariance = moments(name, objective, steps)
        means.append((mean - MU).norm().item())
        errors.append(distance(covariance, objective))
    assert max(means) < 0.02
    assert errors[3] < errors[2] < errors[1] / 3 < errors[0] / 9 and errors[3] < 0.06


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_solver_of_second_order_converges_to_the_data_sooner(objective):
    fine = [draw("dpmsolver++", objective, steps).double().flatten(1) for steps in (10, 20, 200)]
    errors = [distance(torch.cov(x_0.T), objective) for x_0 in fine]
    assert errors[2] < 0.03 and errors[1] < errors[0]
    assert errors[1] < distance(moments("ddim", objective, 20)[1], objective)
    assert all(torch.allclose(x_0.mean(0), MU, atol=0.02) for x_0 in fine)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("objective", ["linear", "cosine"])
def test_prediction_types_sample_the_same_images(name, objective):
    epsilon, *others = (
        draw(name, objective, 10, prediction, n=50)
        for prediction in ("epsilon", "sample", "v_prediction")
    )
    for other in others:
        assert torch.allclose(epsilon, other, atol=2e-3)


def test_ancestral_steps_are_the_posterior_around_a_clipped_image():
    """An x_0 of 3 counts as 1; at the last step, where the posterior has no variance, it is x_0."""
    schedule, x_t, added = schedule_of("linear", "sample"), noise(4), noise(4, seed=2)
    scheduler = make_sampler("ddpm", schedule, 10, lambda t: added)
    a, s = alphas_cumprod_of("linear")[[499, 399]]
    beta = 1 - a / s
    mean = s.sqrt() * beta / (1 - a) + (1 - beta).sqrt() * (1 - s) / (1 - a) * x_t
    expected = mean + ((1 - s) / (1 - a) * beta).sqrt() * added
    asked = torch.full_like(x_t, 3.0)
    stepped = scheduler.step(asked, torch.tensor(499), x_t).prev_sample
    assert torch.allclose(stepped.double(), expected.double(), atol=1e-5)
    assert torch.equal(scheduler.step(asked, torch.tensor(99), x_t).prev_sample, asked / 3)


def test_ancestral_sampling_needs_its_noise():
    with pytest.raises(ValueError, match="ddpm adds noise at every step"):
        make_sampler("ddpm", schedule_of("linear"), 10)


def test_step_noise_is_a_function_of_seed_timestep_and_index():
    index = torch.tensor([7, 3, (5 << 16) + 3])
    drawn = step_noise(0, index, (3, 2, 2))(999)
    assert drawn.shape == (3, 3, 2, 2)
    assert torch.equal(step_noise(0, index[1:2], (3, 2, 2))(999)[0], drawn[1])
    others = step_noise(0, index, (3, 2, 2))(998), step_noise(1, index, (3, 2, 2))(999)
    for i in range(3):
        seen = [drawn[i], *(other[i] for other in others), drawn[(i + 1) % 3]]
        assert all(not torch.allclose(seen[0], other, atol=0.1) for other in seen[1:])


def test_unknown_samplers_and_step_counts_are_refused():
    schedule = schedule_of("linear")
    with pytest.raises(ValueError, match="sampler: got 'euler', allowed ddim, dpmsolver"):
        make_sampler("euler", schedule, 20)
    with pytest.raises(ValueError, match="num_inference_steps: got 0, allowed 1 to 1000"):
        make_sampler("ddim", schedule, 0)
    for name in ("ddim", "ddpm"):
        with pytest.raises(ValueError, match=f"got 61, allowed for {name}: divisors of 1000"):
            make_sampler(name, schedule, 61)


@pytest.mark.parametrize("steps", [1, 10, 20, 125, 1000])
def test_ddim_strides_evenly_from_the_last_timestep(steps):
    timesteps = make_sampler("ddim", schedule_of("linear"), steps).timesteps
    assert timesteps.tolist() == list(range(999, -1, -(1000 // steps)))


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
    assert torch.allclose(denoise(x_t, torch.tensor(500)), x_t + pull + 0.5, atol=1e-6)


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
    assert torch.allclose(twice, 2 * captioned - null, atol=1e-5)
    nearly = predictions(denoiser, 1.0 + 1e-9)  # takes the path of two batches
    assert torch.allclose(nearly, captioned, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_image_does_not_depend_on_its_company(denoiser, name):
    """Bit for bit: alone, in a crowd of 70, and last of a full tile."""
    ids = tokenize(TOKENIZER, ["blue circle"] * 70)
    x_T = torch.randn(70, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    index = torch.arange(70)

    @torch.no_grad()
    def draw(x, ids, index):
        added = step_noise(0, index, (3, 16, 16))
        scheduler = make_sampler(name, schedule_of("linear"), 4, added)
        return sample(guided(denoiser, ids, ids[:1], 1.0), scheduler, x)

    crowd = in_tiles(draw, x_T, ids, index)
    assert crowd.shape == (70, 3, 16, 16)
    for i in (0, TILE - 1, TILE, 69):
        alone = in_tiles(draw, x_T[i : i + 1], ids[:1], index[i : i + 1])
        assert torch.equal(alone[0], crowd[i])
