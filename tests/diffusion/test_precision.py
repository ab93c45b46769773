"""The choice of arithmetic, and what it does to the numbers."""

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from diffusion import precision as module
from diffusion.fast_layers import speed_up
from diffusion.precision import casting, choose_precision
from tests.harness.rounding import assert_same_sums

CPU = torch.device("cpu")


class Clock:
    """In place of `time`: seconds pass only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    "bf16, chosen", [(2.0, "bf16"), (9.0, "bf16"), (9.5, "float32"), (20.0, "float32")]
)
def test_bf16_is_chosen_only_if_it_is_clearly_faster(clock, bf16, chosen):
    def step(precision):
        clock.now += {"float32": 10.0, "bf16": bf16}[precision]

    precision, facts = choose_precision(step, turns=4)
    assert precision == chosen
    expected = {"float32_ms": 10e3, "bf16_ms": 1e3 * bf16, "speedup": 10 / bf16}
    assert facts == pytest.approx(expected)


def test_the_two_are_measured_in_turns_and_the_first_turn_does_not_count(clock):
    calls, seconds = [], iter([100, 1, 4, 2, 4, 2])

    def step(precision):
        clock.now += next(seconds)
        calls.append(precision)

    _, facts = choose_precision(step, turns=3)
    assert calls == ["float32", "bf16"] * 3
    assert facts == pytest.approx({"float32_ms": 4e3, "bf16_ms": 2e3, "speedup": 2})


def convolved(layer: nn.Module, precision) -> torch.Tensor:
    with casting(CPU, precision):
        return layer(torch.linspace(-1, 1, 2 * 8 * 6 * 6).view(2, 8, 6, 6), None)


def test_bf16_rounds_what_is_convolved_and_gives_float32():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = ResnetBlock2D(in_channels=8, temb_channels=None, groups=4)
    speed_up(layer)
    exact, rounded = convolved(layer, "float32"), convolved(layer, "bf16")
    assert exact.dtype == rounded.dtype == torch.float32
    gap = (exact - rounded).norm() / exact.norm()
    assert 1e-5 < gap < 1e-2
    assert torch.equal(convolved(layer, "float32"), exact)  # the context is left behind


def test_gradients_of_bf16_are_float32():
    layer = nn.Conv2d(8, 8, 3)
    speed_up(layer)
    with casting(CPU, "bf16"):
        y = layer(torch.ones(2, 8, 6, 6))
    y.sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32


def test_the_context_of_a_layer_that_fails_is_left_behind():
    with pytest.raises(RuntimeError), casting(CPU, "bf16"):
        raise RuntimeError
    layer = nn.Conv2d(8, 8, 3)
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    expected = layer(x)
    speed_up(layer)
    assert_same_sums(layer(x), expected, terms=8 * 3 * 3 + 1)
