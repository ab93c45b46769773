"""Objectives against closed forms: Gaussian data, whose optimal denoiser is linear, and data of a
few grey levels, whose entropy is known."""

import math

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import (
    antithetic,
    build_objective,
    prior_loss,
    reconstruction_loss,
    target,
)
from tests.harness.rounding import assert_same_sums

PREDICTIONS = ("epsilon", "sample", "v_prediction")
SCHEDULES = ("linear", "squaredcos_cap_v2")
N = 20_000
MU = torch.tensor([0.2, -0.3, 0.1])
SIGMA = torch.tensor([[0.3, 0.1, 0.0], [0.1, 0.2, -0.05], [0.0, -0.05, 0.1]])  # covariance


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n=N, seed=0):
    return torch.randn(n, 3, 1, 1, generator=generator(seed))


def gaussian_images(n=N, seed=1):
    x = MU + noise(n, seed).flatten(1) @ torch.linalg.cholesky(SIGMA).T
    return x.view(n, 3, 1, 1)


def posterior(x_t, alpha, sigma):
    """E[x_0 | x_t], E[ε | x_t] for x_0 ~ N(MU, SIGMA), x_t = α x_0 + σ ε."""
    gain = alpha * SIGMA @ torch.linalg.inv(alpha**2 * SIGMA + sigma**2 * torch.eye(3))
    x = x_t.flatten(1)
    x_0 = MU + (x - alpha * MU) @ gain.T
    return x_0.view_as(x_t), ((x - alpha * x_0) / sigma).view_as(x_t)


def constants(objective, t):
    a = objective.scheduler().alphas_cumprod[t]
    return a.sqrt(), (1 - a).sqrt()


def optimal(objective, t, shift=0.0):
    """The best output of a network at timestep t; `shift` is added to it."""
    alpha, sigma = constants(objective, t)

    def predict(x_t, timesteps):
        x_0, eps = posterior(x_t, alpha, sigma)
        shape = (1, 1, 1, 1)
        wanted = target(objective.config.prediction, x_0, eps, alpha.view(shape), sigma.view(shape))
        return wanted + shift

    return predict


def expected_loss(objective, t):
    """Mean over dimensions of the posterior's variance: with M = α²Σ + σ²I, that of x_0 is
    σ² Σ M⁻¹; given x_t, ε is −(α / σ) x_0 and v is −x_0 / σ, up to constants."""
    alpha, sigma = constants(objective, t)
    variance = torch.trace(SIGMA @ torch.linalg.inv(alpha**2 * SIGMA + sigma**2 * torch.eye(3)))
    factor = {"epsilon": alpha**2, "sample": sigma**2, "v_prediction": torch.tensor(1.0)}
    return (factor[objective.config.prediction] * variance / 3).item()


def ddpm_loss(objective, t, shift=0.0, seed=0):
    x_0, eps = gaussian_images(seed=seed + 1), noise(seed=seed)
    return objective.loss(optimal(objective, t, shift), x_0, eps, torch.full((N,), t))


def within(values, expected, errors=5.0):
    """The mean of independent values is `expected`, up to some standard errors."""
    error = values.std().item() / math.sqrt(len(values))
    return abs(values.mean().item() - expected) < errors * error


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("t", [0, 300, 700, 990])
def test_the_optimal_denoiser_has_its_closed_form_loss(prediction, schedule, t):
    objective = build_objective(ObjectiveConfig(prediction=prediction, schedule=schedule))
    loss = ddpm_loss(objective, t)
    assert loss.shape == (N,)
    assert within(loss, expected_loss(objective, t))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("t", [50, 500, 950])
def test_the_optimal_denoiser_is_a_minimum(prediction, t):
    """A shift of s costs s², however it is directed: the linear term vanishes in expectation."""
    objective = build_objective(ObjectiveConfig(prediction=prediction))
    best = ddpm_loss(objective, t)
    for shift in (0.2, -0.2):
        raised = ddpm_loss(objective, t, shift) - best
        assert within(raised, shift**2) and raised.mean() > 0


def test_predictions_are_one_function():
    """x_0 and ε recovered from x_t and v are those that made them."""
    x_0, eps = gaussian_images(5), noise(5)
    alpha = torch.linspace(0.1, 0.9, 5).sqrt().view(-1, 1, 1, 1)
    sigma = (1 - alpha**2).sqrt()
    x_t = alpha * x_0 + sigma * eps
    v = target("v_prediction", x_0, eps, alpha, sigma)
    size = 2 * (x_0.abs() + eps.abs())  # of x_t and v, each of two products, and of their sums
    assert_same_sums(alpha * x_t - sigma * v, x_0, terms=8, magnitude=size)
    assert_same_sums(sigma * x_t + alpha * v, eps, terms=8, magnitude=size)
    assert torch.equal(target("epsilon", x_0, eps, alpha, sigma), eps)
    assert torch.equal(target("sample", x_0, eps, alpha, sigma), x_0)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddpm_is_the_forward_process_of_diffusers_bit_for_bit(schedule):
    objective = build_objective(ObjectiveConfig(schedule=schedule))
    x_0, eps = gaussian_images(1000), noise(1000)
    t, seen = torch.arange(1000), []

    def predict(x_t, t):
        seen.append(x_t)
        return x_t

    loss = objective.loss(predict, x_0, eps, t)
    assert torch.equal(seen[0], objective.scheduler().add_noise(x_0, eps, t))
    assert_same_sums(loss.mean(), F.mse_loss(seen[0], eps), terms=eps.numel())


def test_ddpm_has_nothing_to_learn_or_save():
    objective = build_objective(ObjectiveConfig())
    assert not list(objective.parameters()) and not objective.state_dict()
    assert objective.to("meta").alpha.device.type == "meta"


def test_timesteps_fall_into_quartiles():
    ddpm = build_objective(ObjectiveConfig(num_timesteps=500))
    t = torch.tensor([0, 124, 125, 249, 250, 374, 375, 499])
    assert ddpm.timestep_quartile(t).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    variational = build_objective(ObjectiveConfig(kind="variational"))
    t = torch.tensor([0.0, 0.2499, 0.25, 0.5, 0.75, 1 - 2**-24])
    assert variational.timestep_quartile(t).tolist() == [0, 0, 1, 2, 3, 3]


# The variational objective, on images of one dimension N(0, S²)

S = 0.4


def variational(gamma_min=-5.0, gamma_max=10.0, num_timesteps=1000):
    return build_objective(
        ObjectiveConfig(
            "variational", gamma_min=gamma_min, gamma_max=gamma_max, num_timesteps=num_timesteps
        )
    )


def at(objective, index):
    """α and σ at what the network is told is the time, as γ is now, without gradient."""
    t = (index + 1) / objective.config.num_timesteps
    gamma = objective.gamma(t).detach()[:, None, None, None]
    return torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()


def best_noise(objective):
    """E[ε | z_t] for the objective's γ."""

    def predict(z_t, index):
        alpha, sigma = at(objective, index)
        return sigma * z_t / (alpha**2 * S**2 + sigma**2)

    return predict


def scalars(n, seed):
    return torch.randn(n, 1, 1, 1, generator=generator(seed))


def even_times(n, seed=5):
    return antithetic(torch.rand((), generator=generator(seed)), torch.arange(n), n)


def diffusion_loss(objective, n=N, t=None, seed=0):
    x_0, eps = S * scalars(n, seed), scalars(n, seed + 1)
    t = even_times(n) if t is None else t
    return objective.diffusion_loss(best_noise(objective), x_0, eps, t)


@pytest.mark.parametrize(("low", "high"), [(-5.0, 10.0), (-3.0, 4.0), (-8.0, 2.0)])
def test_the_diffusion_loss_is_an_integral_over_gamma(low, high):
    """½ ∫ S² / (S² + e^γ) dγ, since S² / (S² + e^γ) is the error of the best prediction of ε."""
    loss = diffusion_loss(variational(low, high))
    expected = (math.log1p(S**2 * math.exp(-low)) - math.log1p(S**2 * math.exp(-high))) / 2
    assert loss.shape == (N,) and within(loss, expected)


def test_the_diffusion_loss_depends_on_the_ends_of_gamma_alone():
    """Its derivatives are minus and plus the integrand at the ends, whatever lies between; the
    network is held fixed, and being the best one it does not add to them."""
    objective, samples = variational(-4.0, 3.0), []
    for seed in range(40):
        loss = diffusion_loss(objective, 20_000, even_times(20_000, seed), 2 * seed).mean()
        samples.append(torch.stack(torch.autograd.grad(loss, list(objective.parameters()))))
    by_gamma_0, by_slope = torch.stack(samples).unbind(1)
    integrand = [S**2 / (S**2 + math.exp(gamma)) / 2 for gamma in (-4.0, 3.0)]
    assert within(by_slope, integrand[1])  # γ_1 = γ_0 + slope
    assert within(by_gamma_0, integrand[1] - integrand[0])
    assert by_slope.std() < 0.01 and by_gamma_0.std() < 0.01  # so that the bounds mean something


def test_noise_grows_with_time_whatever_the_sign_of_the_slope():
    objective, mirrored = variational(), variational()
    mirrored.slope.data *= -1
    t = torch.tensor([0.0, 0.5, 1.0])
    assert objective.gamma(t).tolist() == mirrored.gamma(t).tolist() == [-5.0, 2.5, 10.0]
    assert torch.equal(diffusion_loss(objective), diffusion_loss(mirrored))


def test_prior_and_reconstruction_are_taken_at_the_ends_of_gamma():
    objective = variational(-6.0, 2.0)
    level = torch.tensor([0, 17, 255])
    x_0 = (level / 127.5 - 1).view(1, 3, 1, 1)
    terms = objective.terms(lambda z, i: z, x_0, noise(1), torch.tensor([0.5]))
    table = reconstruction_loss(torch.tensor(-6.0)) / math.log(2)
    assert terms[1].item() == pytest.approx(prior_loss(torch.tensor(2.0), x_0).item() / math.log(2))
    assert terms[2].item() == pytest.approx(table[level].mean().item())
    loss = objective.loss(lambda z, i: z, x_0, noise(1), torch.tensor([0.5]))
    assert loss.item() == pytest.approx(sum(term.item() for term in terms))


@pytest.mark.parametrize("slope", [10.0, -10.0])
def test_gradients_of_gamma_agree_with_finite_differences(slope):
    """In float64, all three terms, and a network that is not the best one."""
    x_0 = (torch.randint(0, 256, (8, 3, 2, 2), generator=generator()) / 127.5 - 1).double()
    eps = torch.randn(8, 3, 2, 2, generator=generator(1)).double()
    objective = variational().double()

    def loss(*parameters):
        for mine, value in zip(objective.parameters(), parameters, strict=True):
            mine.data.fill_(value)
        return objective.loss(crude, x_0, eps, even_times(8).double()).mean()

    def crude(z_t, index):
        return torch.tanh(z_t + index.view(-1, 1, 1, 1) / 500)

    gradient = torch.autograd.grad(loss(-6.0, slope), list(objective.parameters()))
    by_gamma_0 = (loss(-6 + 1e-5, slope) - loss(-6 - 1e-5, slope)).item() / 2e-5
    by_slope = (loss(-6.0, slope + 1e-5) - loss(-6.0, slope - 1e-5)).item() / 2e-5
    assert gradient[0].item() == pytest.approx(by_gamma_0, rel=1e-6)
    assert gradient[1].item() == pytest.approx(by_slope, rel=1e-6)


def test_the_loss_of_grey_levels_is_their_entropy():
    """Four equally likely levels of one pixel are 2 bits. With the best denoiser the bound is
    tight once z_0 tells the levels and z_1 tells nothing."""
    objective, n = variational(-14.0, 12.0), 400_000
    levels = torch.tensor([0.0, 100.0, 140.0, 255.0]) / 127.5 - 1
    x_0 = levels[torch.randint(0, 4, (n,), generator=generator())].view(-1, 1, 1, 1)

    def predict(z_t, index):
        alpha, sigma = at(objective, index)
        weight = torch.softmax(-((z_t - alpha * levels) ** 2) / (2 * sigma**2), -1)
        return (z_t - alpha * (weight * levels).sum(-1, keepdim=True)) / sigma

    with torch.no_grad():
        loss = objective.loss(predict, x_0, scalars(n, 3), even_times(n))
        worse = objective.loss(lambda z, i: predict(z, i) * 0.9, x_0, scalars(n, 3), even_times(n))
    assert within(loss, 2.0) and loss.std() / math.sqrt(n) < 0.02
    assert worse.mean() > loss.mean() + 0.05


@pytest.mark.parametrize("gamma_0", [-15.0, -12.0, -11.0, -9.7, -8.0, -5.0, 0.0, 10.0])
def test_the_reconstruction_loss_is_the_expected_cross_entropy(gamma_0):
    """Against 3600 nodes and all 256 levels, at the border and within."""
    s = math.exp(gamma_0 / 2) * 127.5
    eps = torch.linspace(-9, 9, 3601, dtype=torch.float64)
    weight = torch.softmax(-(eps**2) / 2, 0)
    table = reconstruction_loss(torch.tensor(gamma_0))
    for level in (0, 1, 30, 128, 255):
        distance = level + s * eps[:, None] - torch.arange(256.0)
        log_p = torch.log_softmax(-(distance**2) / (2 * s**2), 1)[:, level]
        assert table[level].item() == pytest.approx(-(weight @ log_p).item(), abs=1e-6)


def test_strong_noise_costs_eight_bits_and_none_costs_nothing():
    assert reconstruction_loss(torch.tensor(15.0)).mean().item() == pytest.approx(math.log(256))
    assert reconstruction_loss(torch.tensor(-15.0)).max().item() < 1e-5


def test_the_prior_loss_is_a_divergence_of_gaussians():
    x_0, gamma = gaussian_images(6), torch.tensor(0.7)
    q = torch.distributions.Normal(torch.sigmoid(-gamma).sqrt() * x_0, torch.sigmoid(gamma).sqrt())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    assert torch.allclose(prior_loss(gamma, x_0), expected.flatten(1).mean(1), atol=1e-6)


def test_antithetic_times_are_uniform_even_and_alike_in_parts():
    u = torch.tensor(0.97)
    t = antithetic(u, torch.arange(8), 8)
    assert t.dtype == torch.float32 and t.min() >= 0 and t.max() < 1
    assert torch.allclose(t.sort().values.diff(), torch.full((7,), 1 / 8))
    assert torch.equal(antithetic(u, torch.arange(4, 8), 8), t[4:])


def test_antithetic_times_lower_the_variance_of_the_loss():
    objective = variational()
    even, single = [], []
    for seed in range(200):
        even.append(diffusion_loss(objective, 64, even_times(64, seed), 2 * seed).mean())
        t = torch.rand(64, generator=generator(1000 + seed))
        single.append(diffusion_loss(objective, 64, t, 2 * seed).mean())
    assert torch.stack(even).var() < 0.9 * torch.stack(single).var()


@pytest.mark.parametrize("num_timesteps", [20, 1000])
@pytest.mark.parametrize("kind", [DDIMScheduler, DPMSolverMultistepScheduler])
def test_samplers_get_the_learned_schedule(kind, num_timesteps, tmp_path):
    """Through the config that a snapshot holds; the network is told the same times."""
    objective, told = variational(-7.0, 9.0, num_timesteps), []
    objective.gamma_0.data += 0.5
    objective.scheduler().save_pretrained(tmp_path)
    sampler = kind.from_pretrained(tmp_path)
    t = torch.arange(1, num_timesteps + 1) / num_timesteps
    expected = torch.sigmoid(-objective.gamma(t)).detach()
    assert torch.allclose(sampler.alphas_cumprod, expected, rtol=2e-5, atol=1e-6)
    assert sampler.betas.max() < 1 and sampler.alphas_cumprod[-1] > 0

    def predict(z_t, index):
        told.append(index)
        return z_t

    x = torch.zeros(num_timesteps, 1, 1, 1)
    objective.loss(predict, x, x, t)
    assert torch.allclose(told[0], torch.arange(float(num_timesteps)), atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_timesteps": 0}, "objective.num_timesteps: got 0, allowed 1 to 1000000"),
        (
            {"kind": "variational", "prediction": "sample"},
            "objective.prediction: got 'sample', allowed for variational: epsilon",
        ),
        ({"gamma_min": -16.0}, "objective.gamma_min: got -16, allowed from -15 to below 15"),
        ({"gamma_max": -5.0}, "objective.gamma_max: got -5, allowed above gamma_min, -5, to 15"),
        ({"gamma_max": 20.0}, "objective.gamma_max: got 20, allowed above gamma_min, -5, to 15"),
    ],
)
def test_what_cannot_be_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        ObjectiveConfig(**changed)
