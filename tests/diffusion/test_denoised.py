"""What networks mean by x_0, at any level, for every prediction."""

import pytest
import torch
from torch import nn

from diffusion.conditioning import Condition
from diffusion.denoised import denoised, level_at, noisy
from diffusion.model import Denoiser
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective, image_in, target
from ground.endings import Mistake

SHAPE = (3, 4, 4)


def normal(n, seed=0):
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


class Knowing(Denoiser):
    """A network that knows the images it sees, and puts out what it is to predict."""

    def __init__(self, x_0, schedule):
        nn.Module.__init__(self)
        self.unet, self.x_0, self.schedule = nn.Identity(), x_0, schedule
        self.unet.device = torch.device("cpu")
        self.calls = 0

    def encode(self, inputs):
        return Condition(inputs.float())

    def predict(self, x_t, t, condition):
        self.calls += len(x_t)
        x_0 = self.x_0[condition.h[:, 0].long()]
        a = self.schedule.alphas_cumprod[t][:, None, None, None]
        eps = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
        return target(self.schedule.config.prediction_type, x_0, eps, a.sqrt(), (1 - a).sqrt())


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_a_network_means_the_image_that_it_knows(prediction, schedule):
    scheduler = build_objective(ObjectiveConfig(prediction=prediction, schedule=schedule))
    scheduler = scheduler.scheduler()
    levels = [level_at(scheduler.alphas_cumprod, a) for a in (0.02, 0.5, 0.95)]
    x_0, eps = normal(5), normal(5, 1)
    x_t = torch.cat([noisy(x_0, eps, level) for level in levels])
    timestep = torch.tensor([level.timestep for level in levels]).repeat_interleave(5)
    inputs = torch.arange(5).repeat(3)[:, None]
    network = Knowing(x_0, scheduler)
    found = denoised(network, scheduler, x_t, timestep, inputs)
    assert torch.allclose(found, x_0.repeat(3, 1, 1, 1), atol=1e-4)
    assert network.calls == 64  # one tile


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_the_image_in_an_output_is_the_target_solved_for_it(prediction):
    x_0, eps = normal(4), normal(4, 1)
    alpha = torch.tensor([0.1, 0.5, 0.9, 0.99])[:, None, None, None]
    sigma = (1 - alpha**2).sqrt()
    output = target(prediction, x_0, eps, alpha, sigma)
    found = image_in(prediction, output, alpha * x_0 + sigma * eps, alpha, sigma)
    assert torch.allclose(found, x_0, atol=1e-5)


@pytest.mark.parametrize("kind", ["ddpm", "variational"])
def test_a_level_is_the_nearest_timestep(kind):
    there = build_objective(ObjectiveConfig(kind=kind)).scheduler().alphas_cumprod
    for alpha_bar in (0.01, 0.2, 0.5, 0.9):
        level = level_at(there, alpha_bar)
        assert level.alpha_bar == pytest.approx(alpha_bar, rel=0.02)
        assert there[level.timestep].item() == level.alpha_bar
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1)
        beside = there[[level.timestep - 1, level.timestep + 1]].double()
        distance = (torch.logit(beside) - torch.logit(torch.tensor(alpha_bar).double())).abs()
        own = torch.logit(there[level.timestep].double()) - torch.logit(
            torch.tensor(alpha_bar).double()
        )
        assert (own.abs() <= distance).all()


def test_a_level_beyond_the_schedule_is_refused():
    there = build_objective(ObjectiveConfig(num_timesteps=50)).scheduler().alphas_cumprod
    with pytest.raises(Mistake, match=r"evaluate.denoiser.levels: got 0.1, allowed 0\.6.* to 0.99"):
        level_at(there, 0.1)
