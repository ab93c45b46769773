"""The conditional linear denoiser against gradient descent, and where its answers are known."""

import math

import pytest
import torch
from torch import Tensor

from ground.endings import Mistake
from theory.linear_denoiser import Curve, LinearDenoiser, Moments, gather_moments

PIXELS, NUMBERS = 6, 3


def random_moments(seed: int = 3) -> Moments:
    """Of data whose images depend on their conditions."""
    rng = torch.Generator().manual_seed(seed)
    conditions = torch.randn(200, NUMBERS, generator=rng, dtype=torch.float64) + 0.5
    noise, mix = (torch.randn(*shape, generator=rng) for shape in ((200, PIXELS), (3, PIXELS)))
    images = conditions @ mix.double() + 0.5 * noise.double() + 0.3
    return gather_moments(zip(images.split(64), conditions.split(64), strict=True))


def descend(moments: Moments, alpha_bar: float, lr: float, steps: int) -> Tensor:
    """W after some steps of gradient descent on E‖W z − x_0‖², by autograd."""
    size, pixels = len(moments.second), moments.num_pixels
    alpha = torch.diag(torch.tensor([alpha_bar**0.5] * pixels + [1.0] * (size - pixels)).double())
    sigma = torch.diag(torch.tensor([1 - alpha_bar] * pixels + [0.0] * (size - pixels)).double())
    M, C = alpha @ moments.second @ alpha + sigma, moments.second[:pixels] @ alpha
    W = torch.zeros(pixels, size, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        loss = ((W @ M) * W).sum() - 2 * (C * W).sum()
        (slope,) = torch.autograd.grad(loss, W)
        W = (W - lr * slope).detach().requires_grad_()
    return W.detach()


def two_concepts(a: float, b: float) -> Moments:
    """Two independent concepts of mean 0, each a pixel of its own that is its number."""
    second = torch.zeros(5, 5, dtype=torch.float64)
    for i, variance in enumerate((a, b)):
        second[[i, i, i + 2, i + 2], [i, i + 2, i, i + 2]] = variance
    second[4, 4] = 1
    return Moments(second, 2)


def one_hot(place: int, size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)[[place]]


@pytest.mark.parametrize("alpha_bar", [0.1, 0.5, 0.9])
def test_it_is_gradient_descent_within_a_hundredth(alpha_bar):
    """Every entry of the columns of W that read the condition, from the beginning to the end."""
    moments, lr = random_moments(), 5e-4
    denoiser = LinearDenoiser(moments, alpha_bar)
    for steps in (4, 100, 2000):
        W, t = descend(moments, alpha_bar, lr, steps), torch.tensor([2 * lr * steps]).double()
        columns = W[:, PIXELS:-1]
        exact = torch.tensor(
            [
                [
                    denoiser.obedience(one_hot(row, PIXELS), one_hot(column, NUMBERS)).at(t).item()
                    for column in range(NUMBERS)
                ]
                for row in range(PIXELS)
            ]
        ).double()
        assert (exact - columns).norm() < 0.01 * columns.norm()


def test_it_ends_at_the_least_squares():
    moments = random_moments()
    denoiser = LinearDenoiser(moments, 0.5)
    scale = torch.tensor([0.5**0.5] * PIXELS + [1.0] * (NUMBERS + 1)).double()
    M = scale[:, None] * moments.second * scale
    M[range(PIXELS), range(PIXELS)] += 0.5
    best = torch.linalg.solve(M, (moments.second[:PIXELS] * scale).mT).mT
    u, change = torch.randn(4, PIXELS).double(), torch.randn(4, NUMBERS).double()
    expected = (u * (change @ best[:, PIXELS:-1].mT)).sum() / u.square().sum()
    assert denoiser.obedience(u, change).limit == pytest.approx(expected.item())


@pytest.mark.parametrize("alpha_bar", [0.1, 0.5, 0.9])
def test_a_concept_alone_is_two_numbers_that_say_the_same(alpha_bar):
    """Image and number are one s of variance v: M = [[ᾱv + 1 − ᾱ, √ᾱv], [√ᾱv, v]]. The condition
    has no noise, so that in the end it says all."""
    v, alpha = 0.7, alpha_bar**0.5
    curve = LinearDenoiser(two_concepts(v, v), alpha_bar).obedience(one_hot(0, 2), one_hot(0, 2))
    M = torch.tensor([[alpha_bar * v + 1 - alpha_bar, alpha * v], [alpha * v, v]]).double()
    C = torch.tensor([[alpha * v, v]]).double()
    for t in (0.1, 1.0, 10.0):
        moved = torch.eye(2).double() - torch.matrix_exp(-M * t)
        expected = (C @ torch.linalg.inv(M) @ moved)[0, 1]
        assert curve.at(torch.tensor([t]).double()).item() == pytest.approx(expected.item())
    assert curve.limit == pytest.approx(1.0)


@pytest.mark.parametrize("alpha_bar", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("a, b", [(1.0, 0.5), (0.5, 1.0)])
def test_the_concept_of_larger_variance_is_learned_first(a, b, alpha_bar):
    denoiser = LinearDenoiser(two_concepts(a, b), alpha_bar)
    first, second = (
        denoiser.obedience(one_hot(i, 2), one_hot(i, 2)).learning_time() for i in range(2)
    )
    assert (first < second) == (a > b)


def test_equal_concepts_are_learned_together():
    denoiser = LinearDenoiser(two_concepts(0.8, 0.8), 0.4)
    times = [denoiser.obedience(one_hot(i, 2), one_hot(i, 2)).learning_time() for i in range(2)]
    assert times[0] == pytest.approx(times[1], rel=1e-9)


def test_a_word_that_tells_nothing_is_never_obeyed():
    """Concept 2's number is always 0: data have no such mode, and its rounding is none."""
    curve = LinearDenoiser(two_concepts(1.0, 0.0), 0.4).obedience(one_hot(1, 2), one_hot(1, 2))
    assert curve.limit == 0 and math.isnan(curve.learning_time())


def test_the_last_crossing_counts():
    """A curve that shoots above its limit 1 falls below ½ before it comes back for good."""
    gains, rates = [3.0, -2.8, 0.8], [100.0, 1.0, 0.01]
    curve = Curve(torch.tensor(gains).double(), torch.tensor(rates).double())
    t = torch.linspace(0, 100, 1_000_001, dtype=torch.float64)
    learned = curve.at(t) >= 0.5
    crossings = (learned[1:] != learned[:-1]).nonzero()[:, 0]
    assert len(crossings) == 3
    assert curve.learning_time() == pytest.approx(t[crossings[-1] + 1].item(), abs=2e-4)


def test_one_mode_is_half_learned_at_its_half_life():
    curve = Curve(torch.tensor([2.0]).double(), torch.tensor([4.0]).double())
    assert curve.learning_time() == pytest.approx(math.log(2) / 4, rel=1e-9)
    assert curve.learning_time(0.9) == pytest.approx(math.log(10) / 4, rel=1e-9)


def test_a_curve_that_ends_below_zero_is_never_learned():
    curve = Curve(torch.tensor([1.0, -2.0]).double(), torch.tensor([4.0, 1.0]).double())
    assert math.isnan(curve.learning_time())


def test_moments_do_not_depend_on_the_parts():
    images, conditions = torch.rand(50, 4), torch.rand(50, 2)
    whole = gather_moments([(images, conditions)])
    parts = gather_moments(zip(images.split(7), conditions.split(7), strict=True))
    torch.testing.assert_close(whole.second, parts.second)
    torch.testing.assert_close(whole.mean, images.double().mean(0))


@pytest.mark.parametrize("alpha_bar", [0.0, 1.0, -0.1, float("nan")])
def test_levels_outside_are_refused(alpha_bar):
    with pytest.raises(Mistake, match="alpha_bar: got .*, allowed above 0, below 1"):
        LinearDenoiser(two_concepts(1.0, 0.5), alpha_bar)


def test_no_images_are_refused():
    with pytest.raises(Mistake, match="moments: got no images"):
        gather_moments([])
