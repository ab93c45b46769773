"""Samplers against closed forms for Gaussian data."""

import math
import re

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective, target
from diffusion.samplers import SAMPLERS, make_sampler, solver_timesteps, step_noise
from diffusion.sampling import sample

OBJECTIVES = {
    "linear": ObjectiveConfig(),
    "cosine": ObjectiveConfig(schedule="squaredcos_cap_v2"),
    "variational": ObjectiveConfig("variational"),
}
CASES = [
    *((o, p) for o in ("linear", "cosine") for p in ("epsilon", "sample", "v_prediction")),
    ("variational", "epsilon"),
]
STOCHASTIC = {"ddpm", "sde-dpmsolver++"}
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
@pytest.mark.parametrize("steps", [5, 20])
def test_samples_are_the_linear_recursion_point_by_point(name, objective, steps):
    x, t, off = noise(100).double().flatten(1), 999, 0.0
    for a, b, variance in affine_maps(name, objective, steps):
        added = step_noise(0, torch.arange(100), (3,))(t)
        x, s = x @ a.T + b + math.sqrt(variance) * added, t - 1000 // steps
        off = torch.linalg.matrix_norm(a, 2).item() * off + rounding(objective, t, s)
        t = s
    x_0 = draw(name, objective, steps, n=100).double().flatten(1)
    assert torch.allclose(x_0, x, rtol=0, atol=off)


def rounding(objective, t, s):
    """Of a step in float32, from t to s: 3 roundings of three numbers below 5, x_t's, and 3 of
    x_0 = (x_t − σ ε) / √ᾱ_t, of which x_s has less than √ᾱ_s (1 at the end)."""
    alphas_cumprod = alphas_cumprod_of(objective)
    ratio = (alphas_cumprod[s].item() if s >= 0 else 1.0) / alphas_cumprod[t].item()
    return 3 * 2.0**-24 * 5 * math.sqrt(3) * (1 + math.sqrt(ratio))


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("num_timesteps", [100, 1000])
def test_no_ancestral_step_adds_more_noise_than_there_is(schedule, num_timesteps):
    """For every number of steps: 1 − ᾱ_s − σ² ≥ 0, and σ² is diffusers' wherever that holds."""
    objective = build_objective(ObjectiveConfig(schedule=schedule, num_timesteps=num_timesteps))
    config = objective.scheduler().config
    plain = DDIMScheduler.from_config(config)
    for steps in (n for n in range(1, num_timesteps + 1) if num_timesteps % n == 0):
        scheduler = make_sampler("ddpm", config, steps, print).scheduler
        for t in scheduler.timesteps:
            s = t - num_timesteps // steps
            there = 1 - (scheduler.alphas_cumprod[s] if s >= 0 else 1)
            ours, theirs = (one._get_variance(t, s) for one in (scheduler, plain))
            assert there - (ours**0.5) ** 2 >= 0
            assert ours == theirs or (there - (theirs**0.5) ** 2 < 0 and ours > 0.999999 * theirs)


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


def exact_moments(name, objective, steps, prediction="epsilon"):
    """Mean and covariance of what a sampler makes of x_T ~ N(0, I), read off without any chance:
    the optimal denoiser is affine, so x_0 = b + A x_T + Σ_k B_k (noise of step k)."""
    timesteps = make_sampler(name, schedule_of(objective, prediction), steps, print).timesteps
    count = 1 + 3 + 3 * len(timesteps) * (name in STOCHASTIC)

    def added(t):
        at = torch.zeros(count, 3, 1, 1)
        first = 4 + 3 * timesteps.tolist().index(t)
        at[first : first + 3, :, 0, 0] = torch.eye(3)
        return at

    x_T = torch.zeros(count, 3, 1, 1)
    x_T[1:4, :, 0, 0] = torch.eye(3)
    scheduler = make_sampler(name, schedule_of(objective, prediction), steps, added)
    x_0 = sample(optimal_denoiser(objective, prediction), scheduler, x_T).double().flatten(1)
    return x_0[0], (x_0[1:] - x_0[0]).T @ (x_0[1:] - x_0[0])


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
@pytest.mark.parametrize(("objective", "prediction"), CASES)
def test_exact_moments_are_those_of_the_linear_recursion(name, objective, prediction):
    for found, expected in zip(
        exact_moments(name, objective, 20, prediction), moments(name, objective, 20), strict=True
    ):
        assert torch.allclose(found, expected, atol=3e-4)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(("objective", "prediction"), CASES)
def test_every_sampler_converges_to_the_data(name, objective, prediction):
    """Those of second order sooner than DDIM, or, where they add noise, than ancestral steps."""
    means, covariances = zip(
        *(exact_moments(name, objective, steps, prediction) for steps in (10, 20, 200)),
        strict=True,
    )
    errors = [distance(covariance, objective) for covariance in covariances]
    assert all(torch.allclose(mean, MU, atol=1e-3) for mean in means)
    assert errors[2] < errors[1] / 3 < errors[0] / 3
    if name not in ("ddim", "ddpm", "euler"):
        first_order = "ddpm" if name in STOCHASTIC else "ddim"
        slower = [distance(moments(first_order, objective, n)[1], objective) for n in (20, 200)]
        assert errors[1] < slower[0] and errors[2] < slower[1] * 0.7 and errors[2] < 0.06


@pytest.mark.parametrize(("objective", "prediction"), [c for c in CASES if c[0] != "cosine"])
def test_euler_is_ddim_that_clips_nothing(objective, prediction):
    """Song et al. 2021, eq. 13: DDIM is Euler's method for x_t / α_t over σ_t / α_t."""
    ddim, euler = (draw(name, objective, 20, prediction, n=50) for name in ("ddim", "euler"))
    assert torch.allclose(ddim, euler, atol=2e-4)


def heun(x_hat, ratios):
    """Karras et al. 2022, algorithm 1 without noise: x̂ = x_t / α_t, dx̂/ds = (x̂ − E[x_0|x̂]) / s,
    s = σ_t / α_t, E[x_0|x̂] = μ + Σ (Σ + s²)⁻¹ (x̂ − μ); the last step is Euler's."""

    def slope(x, s):
        return (x - MU) @ torch.linalg.inv(SIGMA + s**2 * torch.eye(3)).T * s

    for s, s_next in zip(ratios, [*ratios[1:], 0.0], strict=True):
        x_next = x_hat + (s_next - s) * slope(x_hat, s)
        if s_next > 0:
            x_next = x_hat + (s_next - s) * (slope(x_hat, s) + slope(x_next, s_next)) / 2
        x_hat = x_next
    return x_hat


@pytest.mark.parametrize(("objective", "prediction"), CASES)
def test_heun_is_its_formula_point_by_point(objective, prediction):
    alphas_cumprod = alphas_cumprod_of(objective)
    a = alphas_cumprod[solver_timesteps(alphas_cumprod.float(), 20)]
    x_T = noise(100).double().flatten(1) / a[0].sqrt()
    expected = heun(x_T, ((1 - a) / a).sqrt().tolist())
    found = draw("heun", objective, 20, prediction, n=100).double().flatten(1)
    assert torch.allclose(found, expected, atol=5e-4)


def test_heun_asks_twice_per_step_but_the_last():
    timesteps = make_sampler("heun", schedule_of("linear"), 5).timesteps
    assert timesteps.tolist() == [999, 799, 799, 599, 599, 399, 399, 199, 199]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("steps", [1, 4, 10, 20, 50, 1000])
def test_solvers_take_the_timesteps_of_diffusers(objective, steps):
    """As it spaces them for DPM-Solver++, with the noisiest of a cosine schedule left out."""
    theirs = DPMSolverMultistepScheduler.from_config(
        schedule_of(objective), timestep_spacing="trailing", lambda_min_clipped=-5.1
    )
    theirs.set_timesteps(steps)
    for name in ("dpmsolver++", "sde-dpmsolver++", "unipc", "euler"):
        ours = make_sampler(name, schedule_of(objective), steps, print)
        assert torch.equal(ours.timesteps, theirs.timesteps)
    assert torch.equal(
        make_sampler("dpmsolver++", schedule_of(objective), steps).sigmas, theirs.sigmas
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_solvers_take_any_number_of_steps(objective):
    alphas_cumprod = alphas_cumprod_of(objective).float()
    left_out = 4 if objective == "cosine" else 0
    for steps in (*range(1, 130), 498, 999, 1000):
        timesteps = solver_timesteps(alphas_cumprod, steps)
        assert (timesteps.diff() < 0).all() and timesteps[-1] >= 0
        assert steps - left_out <= len(timesteps) <= steps
    assert len(solver_timesteps(alphas_cumprod, 61)) == 61  # of which diffusers makes 62


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


@pytest.mark.parametrize("name", ["ddpm", "sde-dpmsolver++"])
def test_stochastic_sampling_needs_its_noise(name):
    with pytest.raises(ValueError, match=re.escape(f"{name} adds noise at every step")):
        make_sampler(name, schedule_of("linear"), 10)


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
    with pytest.raises(ValueError, match="sampler: got 'pndm', allowed ddim, dpmsolver"):
        make_sampler("pndm", schedule, 20)
    with pytest.raises(ValueError, match="num_inference_steps: got 0, allowed 1 to 1000"):
        make_sampler("ddim", schedule, 0)
    for name in ("ddim", "ddpm"):
        with pytest.raises(ValueError, match=f"got 61, allowed for {name}: divisors of 1000"):
            make_sampler(name, schedule, 61)


@pytest.mark.parametrize("steps", [1, 10, 20, 125, 1000])
def test_ddim_strides_evenly_from_the_last_timestep(steps):
    timesteps = make_sampler("ddim", schedule_of("linear"), steps).timesteps
    assert timesteps.tolist() == list(range(999, -1, -(1000 // steps)))
