"""The choice of arithmetic, and what it does to the numbers."""

import time

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from diffusion.fast_layers import speed_up
from diffusion.precision import casting, choose_precision

CPU = torch.device("cpu")


def asleep(seconds: dict[str, float]):
    return lambda precision: time.sleep(seconds[precision])


@pytest.mark.parametrize(
    "bf16, chosen", [(0.002, "bf16"), (0.0095, "float32"), (0.01, "float32"), (0.02, "float32")]
)
def test_bf16_is_chosen_only_if_it_is_clearly_faster(bf16, chosen):
    precision, facts = choose_precision(asleep({"float32": 0.01, "bf16": bf16}), turns=4)
    assert precision == chosen
    assert facts["float32_ms"] == pytest.approx(10, rel=0.2)
    assert facts["speedup"] == pytest.approx(0.01 / bf16, rel=0.25)


def test_the_two_are_measured_in_turns_and_the_first_turn_does_not_count():
    calls = []

    def step(precision):
        time.sleep(0.2 if len(calls) < 2 else 0.002)
        calls.append(precision)

    _, facts = choose_precision(step, turns=3)
    assert calls == ["float32", "bf16"] * 3
    assert facts["float32_ms"] < 100


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
    assert torch.allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
