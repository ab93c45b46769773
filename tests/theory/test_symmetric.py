"""The flow through U: the paper's equation, its invariants, and batches against the reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.endings import Mistake
from tests.harness.rounding import assert_same_sums, gamma
from theory.integrator import integrate
from theory.symmetric import (
    SymmetricFlow,
    factor,
    gaussian_factors,
    loss_at,
    narrowed,
    reference,
    uniform_factors,
)

X = torch.tensor([1, 1.5, 0], dtype=torch.float64)  # Fig. 5
A = torch.diag(X**2 / 2 + 0.05**2)
SEEDS = torch.arange(6)
U_0 = uniform_factors(SEEDS, 3, 3, 5.0)
ROTATION = torch.linalg.qr(gaussian_factors(torch.tensor([9]), 3, 3, 1.0)[0]).Q
FLOWS = [
    SymmetricFlow(A),
    SymmetricFlow(A, power=2),
    SymmetricFlow(A, clock="flow"),
    SymmetricFlow(ROTATION @ A @ ROTATION.T),
]


@pytest.mark.parametrize("power", [1, 2])
def test_it_is_the_printed_equation(power):
    """dW/dt = WA + AW − ½(AW² + W²A + 2WAW)."""
    W, M = U_0 @ U_0.mT, torch.linalg.matrix_power(A, power)
    dU = SymmetricFlow(A, power).velocity(U_0)
    printed = W @ M + M @ W - (M @ W @ W + W @ W @ M) / 2 - W @ M @ W
    torch.testing.assert_close(dU @ U_0.mT + U_0 @ dU.mT, printed)


def test_gradient_flow_is_twice_as_fast():
    flow = SymmetricFlow(FLOWS[3].A, clock="flow")
    U = U_0.clone().requires_grad_()
    flow.training_loss(U @ U.mT).sum().backward()
    torch.testing.assert_close(-U.grad, flow.velocity(U_0))
    torch.testing.assert_close(flow.velocity(U_0), 2 * FLOWS[3].velocity(U_0))


@pytest.mark.parametrize("flow", FLOWS, ids=["A", "A²", "flow", "rotated"])
def test_batches_follow_the_reference_within_their_error(flow):
    path = integrate(flow, U_0[:2], step=0.1, num_steps=100, every=20)
    exact = torch.stack([reference(flow, U, path.t) for U in U_0[:2]])
    error = torch.linalg.matrix_norm(path.W - exact).amax(1)
    assert error.max() < 1e-4 and (error < 1.3 * path.error).all()
    assert (error > 0.7 * path.error).all()


def test_small_steps_reach_the_reference():
    path = integrate(FLOWS[0], U_0[:1], step=0.02, num_steps=500, every=100)
    exact = reference(FLOWS[0], U_0[0], path.t)
    assert (path.W[0] - exact).abs().max() < 1e-8


@pytest.mark.parametrize("method, order", [("euler", 1), ("rk4", 4)])
def test_the_error_falls_with_the_order_of_the_method(method, order):
    steps = np.array([40, 80, 160, 320])
    found = [integrate(FLOWS[0], U_0, step=8 / n, num_steps=int(n), method=method) for n in steps]
    exact = reference(FLOWS[0], U_0[0], torch.tensor([0, 8.0]))[-1]
    errors = [(path.W[0, -1] - exact).abs().max().item() for path in found]
    assert -np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(
        order, abs=0.15 * order
    )


def test_euler_is_gradient_descent_on_the_training_loss():
    U, flow = U_0[:1].clone(), SymmetricFlow(A, clock="flow")
    for _ in range(5):
        U.requires_grad_()
        (gradient,) = torch.autograd.grad(flow.training_loss(U @ U.mT).sum(), U)
        U = (U - 0.01 * gradient).detach()
    path = integrate(flow, U_0[:1], step=0.01, num_steps=5, method="euler")
    torch.testing.assert_close(path.W[:, -1], U @ U.mT)


def test_blocks_do_not_show(monkeypatch):
    whole = integrate(FLOWS[1], U_0, step=0.1, num_steps=20, every=5)
    monkeypatch.setattr("theory.integrator.BLOCK", 27 * 2)
    parts = integrate(FLOWS[1], U_0, step=0.1, num_steps=20, every=5)
    assert torch.equal(whole.W, parts.W) and torch.equal(whole.error, parts.error)


def test_each_run_may_have_its_own_moment():
    moments = torch.stack([A, 2 * A, FLOWS[3].A])
    together = integrate(SymmetricFlow(moments), U_0[:3], step=0.1, num_steps=30)
    for i, own in enumerate(moments):
        path = integrate(SymmetricFlow(own), U_0[i : i + 1], step=0.1, num_steps=30)
        torch.testing.assert_close(together.W[i], path.W[0])
    loss = SymmetricFlow(moments).training_loss(together.W)
    torch.testing.assert_close(loss[1], SymmetricFlow(2 * A).training_loss(together.W[1]))


def test_rotations_and_permutations_pass_through():
    path = integrate(FLOWS[0], U_0, step=0.1, num_steps=50)
    for turn in (ROTATION, torch.eye(3, dtype=torch.float64)[[2, 0, 1]]):
        turned = integrate(SymmetricFlow(turn @ A @ turn.T), turn @ U_0, step=0.1, num_steps=50)
        torch.testing.assert_close(turned.W, turn @ path.W @ turn.T)


def test_a_wide_factor_moves_like_a_square_one():
    wide = gaussian_factors(SEEDS, 3, 50, 0.1)
    assert narrowed(wide).shape == (6, 3, 3)
    flow, U = FLOWS[0], wide
    for _ in range(20):
        U = U + 0.05 * flow.velocity(U)
    path = integrate(flow, wide, step=0.05, num_steps=20, method="euler")
    torch.testing.assert_close(path.W[:, -1], U @ U.mT)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([1, 2]))
@settings(max_examples=15, deadline=None)
def test_what_the_flow_never_does(seed, width, power):
    """W stays symmetric and PSD, its eigenvalues rise to 1, its training loss never rises."""
    U = uniform_factors(torch.tensor([seed]), 3, width, 2.0)
    flow = SymmetricFlow(A, power)
    path = integrate(flow, U, step=0.2, num_steps=40)
    values = torch.linalg.eigvalsh(path.W[0])
    rounding = 1e-9 + 3 * path.error.item()
    # Q (U Uᵀ) Qᵀ: sums of width, 3 and 3 terms; entries of U Uᵀ are ≤ tr W, of Q's rows Σ|q| ≤ √3
    terms, size = width + 3 + 3, 3 * values.sum(-1).max().item()
    assert_same_sums(path.W, path.W.mT, terms, size)
    assert values.min() > -2 * gamma(terms, torch.float64) * 3 * size  # 3: entries to eigenvalues
    below = values[:-1] < 1 - 1e-6
    assert (values.diff(dim=0)[below] > -rounding).all()
    assert (flow.training_loss(path.W).diff() <= rounding).all()


def test_seeds_are_their_own():
    assert torch.equal(uniform_factors(torch.tensor([4]), 3, 3, 5.0)[0], U_0[4])
    assert U_0.min() >= 0 and U_0.max() < 0.2 and U_0.dtype == torch.float64
    z = gaussian_factors(torch.arange(2000), 2, 3, 0.115)
    assert z.std().item() == pytest.approx(0.115, rel=0.03)


def test_a_factor_gives_back_its_matrix():
    W = U_0 @ U_0.mT
    torch.testing.assert_close(factor(W) @ factor(W).mT, W)
    singular = torch.ones(3, 3, dtype=torch.float64)
    torch.testing.assert_close(factor(singular) @ factor(singular).mT, singular)


def test_the_loss_at_a_point():
    W = torch.diag(torch.tensor([0.5, 1.0, 0.0], dtype=torch.float64))
    assert loss_at(W, X).item() == pytest.approx(0.5 * 0.25)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: factor(torch.tensor([[0.1, 0.3], [0.3, 0.1]])), r"eigenvalue of -0.2, U Uᵀ has"),
        (lambda: factor(torch.tensor([[1.0, 0.3], [0.0, 1.0]])), "not symmetric"),
        (lambda: integrate(FLOWS[0], U_0, step=1.3, num_steps=1), r"rk4 is stable in \(0, 1.235\)"),
        (lambda: integrate(FLOWS[2], U_0, step=0.5, num_steps=1, method="euler"), r"\(0, 0.4435\)"),
        (lambda: integrate(FLOWS[0], 20 * U_0, step=0.1, num_steps=1), "stable in"),
        (lambda: integrate(FLOWS[0], U_0, step=0.1, num_steps=5, every=2), "divisors of the 5"),
        (lambda: integrate(FLOWS[0], U_0, step=0.1, num_steps=5, method="rk2"), "euler, rk4"),
    ],
)
def test_wrong_input_is_refused(wrong, message):
    with pytest.raises(Mistake, match=message):
        wrong()


@pytest.mark.parametrize("method, limit", [("euler", 2.0), ("rk4", 2.785)])
def test_the_limit_is_where_the_method_diverges(method, limit):
    flow, U = (
        SymmetricFlow(torch.eye(1, dtype=torch.float64)),
        torch.full((1, 1, 1), 0.999).double(),
    )
    path = integrate(flow, U, step=0.98 * limit / 2, num_steps=500, every=500, method=method)
    assert abs(path.W[0, -1, 0, 0] - 1) < 1e-6
    with pytest.raises(Mistake, match="stable"):
        integrate(flow, U, step=1.001 * limit / 2, num_steps=1, method=method)
