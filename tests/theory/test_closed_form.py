"""Theorem 4.1 against an adaptive integrator, gradient descent and the theorem's own sum."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ground.endings import Mistake
from theory.clocks import convert
from theory.closed_form import (
    descent_lag_bound,
    mode_rates,
    one_layer,
)
from theory.task import SimTask, augmented_moment, second_moment

MU = torch.tensor([1.0, 2.0], dtype=torch.float64)
TASK = SimTask(mu=(1.0, 2.0), sigma=(0.05, 0.05), sigma_is="variance", origin_cluster=True)
A, AUGMENTED = second_moment(TASK), augmented_moment(TASK)  # Fig. 2a's data in the released code
ONE = torch.tensor([1])
T = torch.linspace(0, 6, 13, dtype=torch.float64)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("M", [A, AUGMENTED], ids=["without bias", "with bias"])
def test_it_is_the_integrated_flow(M):
    W_0 = normal(5, len(M))
    target = torch.eye(5, len(M), dtype=torch.float64)

    def velocity(_, w):
        return (-(torch.from_numpy(w).view(W_0.shape) - target) @ M).numpy().ravel()

    kwargs = {"t_eval": T.numpy(), "method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
    flow = solve_ivp(velocity, (0, 6), W_0.numpy().ravel(), **kwargs)
    np.testing.assert_allclose(one_layer(W_0, M, T).flatten(1), flow.y.T, atol=1e-9)


def test_the_output_is_the_sum_of_the_theorem():
    W_0, a = normal(4, 2, 2), A.diagonal()
    for k in range(2):
        settled = (1 - torch.exp(-a[k] * T)) * MU[k]
        fading = torch.einsum("ti,ni,i->nt", torch.exp(-T[:, None] * a), W_0[:, k], MU)
        output = (one_layer(W_0, A, T) @ MU)[..., k]
        torch.testing.assert_close(output, settled + fading)


def test_a_batch_of_moments_is_one_at_a_time():
    moments = torch.stack([AUGMENTED, 2 * AUGMENTED])
    W_0 = normal(2, 4, 3)
    apart = [one_layer(w, M, T) for w, M in zip(W_0, moments, strict=True)]
    torch.testing.assert_close(one_layer(W_0, moments, T), torch.stack(apart))


def test_rotations_and_permutations_pass_through():
    Q = torch.linalg.qr(normal(3, 3)).Q
    W_0 = normal(3, 3)
    M = AUGMENTED
    for turn in (Q, torch.eye(3, dtype=torch.float64)[[2, 0, 1]]):
        turned = one_layer(turn @ W_0 @ turn.T, turn @ M @ turn.T, T)
        torch.testing.assert_close(turned, turn @ one_layer(W_0, M, T) @ turn.T)


def test_the_clocks_with_biases():
    a = MU**2 / 3 + 0.05
    torch.testing.assert_close(mode_rates(A)[0], a)
    expected = torch.tensor([0.154, 0.700, 1.913], dtype=torch.float64)
    torch.testing.assert_close(mode_rates(AUGMENTED)[0], expected, atol=5e-4, rtol=0)


def test_descent_nears_the_flow_with_first_order():
    W_0, end = normal(3, 3), torch.tensor([2.0], dtype=torch.float64)
    sizes, steps = [], 2 ** np.arange(6, 12)
    for n in steps:
        W = W_0
        for _ in range(n):
            W = W - 2.0 / n * (W - torch.eye(3)) @ AUGMENTED
        sizes.append((W - one_layer(W_0, AUGMENTED, end)[0]).abs().max().item())
    assert -np.polyfit(np.log(steps), np.log(sizes), 1)[0] == pytest.approx(1, abs=0.03)


@given(st.floats(1e-6, 0.999), st.integers(0, 10_000))
@settings(max_examples=300, deadline=None)
def test_descent_runs_ahead_by_no_more_than_the_bound(x, n):
    ahead = math.exp(-n * x) - math.exp(n * math.log1p(-x))
    bound = descent_lag_bound(torch.tensor([x], dtype=torch.float64), torch.tensor([n])).item()
    rounding = 4e-16 * (1 + n * x) * math.exp(-n * x)
    assert -rounding <= ahead <= bound + rounding


def test_the_bound_is_tight_for_small_steps():
    x, n = torch.tensor([1e-3], dtype=torch.float64), torch.tensor([1000])
    ahead = torch.exp(-n * x) - (1 - x) ** n
    assert 0.99 < (ahead / descent_lag_bound(x, n)).item() < 1


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: mode_rates(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), "not symmetric"),
        (lambda: mode_rates(torch.tensor([[1.0, 2.0], [2.0, 1.0]])), "eigenvalue of -1, allowed"),
        (lambda: descent_lag_bound(torch.tensor([1.0]), ONE), "got 1, the bound"),
        (lambda: convert(1.0, "steps", "flow"), "steps need a learning rate"),
    ],
)
def test_wrong_input_is_refused(wrong, message):
    with pytest.raises(Mistake, match=message):
        wrong()


def test_clocks_convert():
    setting = {"learning_rate": 0.1, "d": 64}
    assert convert(320.0, "steps", "flow", **setting) == pytest.approx(1)
    assert convert(1.0, "flow", "printed") == 2
    assert convert(160.0, "steps", "printed", **setting) == pytest.approx(1)
    assert convert(1.0, "printed", "steps", **setting) == pytest.approx(160)
