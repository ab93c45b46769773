"""Bounds of rounding: kept by any order of addition, broken by small mistakes."""

import pytest
import torch
from torch import nn

from tests.harness.rounding import GradientTerms, assert_same_sums, gamma, terms_in


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def products(terms: int) -> torch.Tensor:
    """float32 (200, terms), of either sign."""
    return drawn(200, terms, seed=1) * drawn(200, terms, seed=2)


def one_by_one(x: torch.Tensor) -> torch.Tensor:
    """The sum of each row in float32, from left to right: the order of most errors."""
    total = torch.zeros(len(x))
    for column in x.T:
        total = total + column
    return total


@pytest.mark.parametrize("terms", [2, 30, 1000])
def test_sums_in_any_order_are_within_the_bound(terms):
    x = products(terms)
    exact, magnitude = x.double().sum(1), x.double().abs().sum(1)
    orders = (x, x.flip(1), x[:, x[0].argsort()])
    for found in (*map(one_by_one, orders), x.sum(1)):
        assert_same_sums(found, exact, terms, magnitude)
    assert (one_by_one(x) != exact).any()


@pytest.mark.parametrize("terms", [2, 30, 1000])
def test_a_percent_or_a_missing_term_is_found(terms):
    x = products(terms)
    exact, magnitude = x.double().sum(1), x.double().abs().sum(1)
    for wrong in (1.01 * x.sum(1), x[:, 1:].sum(1)):
        with pytest.raises(AssertionError, match="off by"):
            assert_same_sums(wrong, exact, terms, magnitude)


def test_the_bound_grows_with_terms_and_with_the_unit_of_the_type():
    half_ulp = 2.0**-24
    assert gamma(100, torch.float32) == pytest.approx(6 * 10 * half_ulp, rel=1e-5)
    assert gamma(100, torch.bfloat16) > 1e4 * gamma(100, torch.float32)
    assert gamma(100, torch.float64) < 1e-8 * gamma(100, torch.float32)


def test_the_terms_of_gradients_are_counted_as_they_are_summed():
    layer, x, g = nn.Linear(3, 2), drawn(5, 3), drawn(5, 2, seed=1)
    terms = GradientTerms(layer)
    layer(x).backward(g)
    expected = (g.double().abs()[:, :, None] * x.double().abs()[:, None]).sum(0)
    assert torch.allclose(terms.of(layer.weight), expected)
    assert torch.allclose(terms.of(layer.bias), g.double().abs().sum(0))
    assert terms_in(layer, positions=5) == 3 + 2 * 5


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 2, 3, padding=1, bias=False), nn.GroupNorm(2, 4), nn.LayerNorm(6)]
)
def test_of_gradients_of_one_sign_the_terms_are_the_gradient(layer):
    x = drawn(3, 4, 5, 6).abs() if isinstance(layer, nn.Conv2d) else drawn(3, 4, 5, 6)
    output = layer.double()(x.double())
    terms = GradientTerms(layer)
    layer(x.double()).backward(output.detach().sign())
    for parameter in layer.parameters():
        if isinstance(layer, nn.Conv2d) or parameter is layer.weight:
            signed = parameter.grad.abs()
            assert (signed <= terms.of(parameter) * (1 + 1e-12)).all()
    if not isinstance(layer, nn.Conv2d):  # weight 1, bias 0: |x̂| · sign(x̂)² alone
        assert torch.allclose(layer.weight.grad, terms.of(layer.weight))
