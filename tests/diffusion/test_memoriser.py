"""The memoriser against brute force and its limits; sampling from it gives training images."""

import pytest
import torch

from diffusion import memoriser
from diffusion.memoriser import Memoriser, joined, posterior, posterior_mean
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective
from diffusion.samplers import make_sampler, step_noise
from diffusion.sampling import sample

ALPHAS_CUMPROD = build_objective(ObjectiveConfig()).scheduler().alphas_cumprod
SHAPE = (3, 4, 4)
TRAINING = torch.tensor([[0, 0], [0, 1], [1, 0]])  # [1, 1] is held out


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def training_images(n=30, seed=0):
    return torch.randint(0, 256, (n, *SHAPE), generator=generator(seed), dtype=torch.uint8)


def values(n=30):
    """The three training combinations in turn."""
    return TRAINING[torch.arange(n) % 3]


def levels(images):
    return images.float() / 127.5 - 1


def noisy(images, t, seed=1):
    eps = torch.randn(images.shape, generator=generator(seed))
    a = ALPHAS_CUMPROD[t]
    return a.sqrt() * levels(images) + (1 - a).sqrt() * eps


def denoiser(images, prediction="sample"):
    return Memoriser(images, values(len(images)), ALPHAS_CUMPROD, prediction)


def brute_force(images, x_t, t):
    """Distances as sums of squares of differences, in float64."""
    a, x, x_t = ALPHAS_CUMPROD[t].double(), images.double() / 127.5 - 1, x_t.double()
    distances = (x_t[:, None] - a.sqrt() * x).square().flatten(2).sum(-1)
    weights = torch.softmax(-distances / (2 * (1 - a)), 1)
    return (weights @ x.flatten(1)).view_as(x_t)


def near_duplicates(n=30):
    """One image and copies of it that differ by a level in a few pixels: hard to tell apart."""
    image = training_images(1).clamp(1, 254).expand(n, -1, -1, -1)
    return image + torch.randint(0, 2, image.shape, generator=generator(2), dtype=torch.uint8)


@pytest.mark.parametrize("t", [0, 1, 10, 100, 500, 999])
@pytest.mark.parametrize("make_images", [training_images, near_duplicates])
def test_the_posterior_mean_is_brute_force(make_images, t, monkeypatch):
    monkeypatch.setattr(memoriser, "CHUNK", 7)  # 30 images: the last chunk is smaller
    images = make_images()
    x_t = noisy(images, t)
    a = ALPHAS_CUMPROD[t].double().expand(30, 1, 1, 1)
    mean = posterior_mean(images, x_t, a.sqrt(), (1 - a).sqrt())
    assert torch.allclose(mean, brute_force(images, x_t, t), atol=1e-9)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_every_row_has_its_own_timestep_combination_and_prediction(prediction):
    images = training_images()
    x_t, t = noisy(images[:6], 300), torch.tensor([0, 200, 400, 600, 800, 999])
    asked = TRAINING[[0, 1, 2, 2, 1, 0]]
    output = denoiser(images, prediction).denoise(x_t, t, asked)
    assert output.dtype == torch.float32
    for i in range(6):
        shown = images[(values() == asked[i]).all(1)]
        a = ALPHAS_CUMPROD[t[i]].double()
        x_0 = brute_force(shown, x_t[i : i + 1], t[i])[0]
        eps = (x_t[i] - a.sqrt() * x_0) / (1 - a).sqrt()
        v = a.sqrt() * eps - (1 - a).sqrt() * x_0
        expected = {"epsilon": eps, "sample": x_0, "v_prediction": v}[prediction]
        assert torch.allclose(output[i].double(), expected, rtol=1e-5, atol=1e-5)


def test_candidates_are_the_images_of_the_nearest_combinations():
    own = denoiser(training_images()).candidates(torch.tensor([0, 1]))
    assert own.tolist() == list(range(1, 30, 3))
    held_out = denoiser(training_images()).candidates(torch.tensor([1, 1]))
    assert held_out.tolist() == [i for i in range(30) if i % 3 > 0]  # [0, 1] and [1, 0]


def test_strong_noise_gives_the_mean_and_weak_noise_the_nearest_image():
    images = training_images()
    x_t = noisy(images, 0)
    asked = values()
    nearest = denoiser(images).denoise(x_t, torch.tensor(0), asked)
    assert torch.allclose(nearest, levels(images), atol=1e-5)
    blind = Memoriser(images, values(), torch.tensor([1e-9]), "sample")
    mean = blind.denoise(x_t, torch.tensor(0), asked)
    for i in range(3):
        assert torch.allclose(mean[i], levels(images[i::3]).mean(0), atol=1e-3)


@pytest.mark.parametrize("t", [0, 50, 999])
def test_one_image_is_known_at_every_timestep(t):
    image = training_images(1)
    x_t = torch.randn(5, *SHAPE, generator=generator(3))
    output = denoiser(image).denoise(x_t, torch.tensor(t), TRAINING[[0] * 5])
    assert torch.allclose(output, levels(image).expand(5, -1, -1, -1), atol=1e-6)


def test_its_loss_is_below_that_of_other_denoisers():
    """On its training images: it is the minimum of the loss."""
    objective = build_objective(ObjectiveConfig())
    images = training_images()
    rows = torch.randint(0, 30, (4000,), generator=generator(4))
    x_0, asked = levels(images[rows]), values()[rows]
    eps = torch.randn(x_0.shape, generator=generator(5))
    t = torch.randint(0, 1000, (4000,), generator=generator(6))
    best = denoiser(images, "epsilon")
    other = denoiser(training_images(seed=9), "epsilon")
    loss = objective.loss(lambda x_t, t: best.denoise(x_t, t, asked), x_0, eps, t).mean()
    for worse in (
        lambda x_t, t: 0.95 * best.denoise(x_t, t, asked),
        lambda x_t, t: 1.05 * best.denoise(x_t, t, asked),
        lambda x_t, t: other.denoise(x_t, t, asked),
    ):
        assert objective.loss(worse, x_0, eps, t).mean() > loss


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_samples_are_training_images_of_the_nearest_combinations(name):
    images = training_images()
    config = {**build_objective(ObjectiveConfig()).scheduler().config, "prediction_type": "sample"}
    asked = torch.tensor([[0, 1], [1, 1]]).repeat(20, 1)
    scheduler = make_sampler(name, config, 50, step_noise(0, torch.arange(40), SHAPE))
    x_T = torch.randn(40, *SHAPE, generator=generator(7))
    best = denoiser(images)
    x_0 = sample(lambda x_t, t: best.denoise(x_t, t, asked), scheduler, x_T)
    distances = (x_0[:, None] - levels(images)).abs().flatten(2).amax(-1)
    nearest = distances.argmin(1)
    assert distances.amin(1).max() < 1e-4
    assert (nearest[::2] % 3 == 1).all() and (nearest[1::2] % 3 > 0).all()
    assert len(nearest.unique()) > 10  # not one image for all


@pytest.mark.parametrize("t", [100, 500, 999])
def test_the_posterior_of_two_halves_is_that_of_the_whole(t):
    images, a = training_images(), ALPHAS_CUMPROD[t].double().expand(6, 1, 1, 1)
    x_t = noisy(images[:6], t)
    whole, first, second = (
        posterior(part, x_t, a.sqrt(), (1 - a).sqrt())
        for part in (images, images[:11], images[11:])
    )
    both = joined(first, second)
    for one, other in zip(whole, both, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_the_effective_number_of_images_is_that_of_their_weights(monkeypatch):
    monkeypatch.setattr(memoriser, "CHUNK", 7)
    images, a = training_images(), ALPHAS_CUMPROD[900].double().expand(4, 1, 1, 1)
    x_t = noisy(images[:4], 900)
    x = images.double() / 127.5 - 1
    distances = (x_t.double()[:, None] - a[:1].sqrt() * x).square().flatten(2).sum(-1)
    weights = torch.softmax(-distances / (2 * (1 - a[0, 0, 0, 0])), 1)
    found = posterior(images, x_t, a.sqrt(), (1 - a).sqrt()).effective
    assert torch.allclose(found, 1 / weights.square().sum(1))
    alone = posterior(images[:1], x_t, a.sqrt(), (1 - a).sqrt())
    assert alone.effective.tolist() == [1.0] * 4


def test_the_posterior_of_gaussian_renders_has_its_closed_form():
    """x_0 ~ N(mu, s²) in every number: E[x_0 | x_t] = mu + α s² (x_t − α mu) / (α² s² + σ²)."""
    mu, s, a = 0.2, 0.25, torch.tensor(0.3, dtype=torch.float64).expand(50, 1, 1, 1)
    draws = mu + s * torch.randn(40_000, 3, 1, 1, generator=generator(5))
    images = ((draws + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    x_0 = mu + s * torch.randn(50, 3, 1, 1, generator=generator(6), dtype=torch.float64)
    eps = torch.randn(50, 3, 1, 1, generator=generator(7), dtype=torch.float64)
    x_t = a.sqrt() * x_0 + (1 - a).sqrt() * eps
    found = posterior(images, x_t, a.sqrt(), (1 - a).sqrt())
    gain = a.sqrt() * s**2 / (a * s**2 + 1 - a)
    wanted = mu + gain * (x_t - a.sqrt() * mu)
    assert (found.mean - wanted).square().mean().sqrt() < 0.005
    assert (found.effective > 1000).all()
