"""Eq. 4.3 entry by entry, and stages where they are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.deep_linear import balanced_mode, mode_start, mode_time
from theory.growth import (
    comparability,
    growth,
    initial_growth,
    initial_growth_bound,
    noise,
    predicted_stage_times,
    stage_times,
    suppression,
    time_alone,
)
from theory.integrator import integrate
from theory.symmetric import SymmetricFlow, gaussian_factors

A_P = torch.tensor([0.5, 1.2, 0.1, 2.0], dtype=torch.float64)
U = gaussian_factors(torch.arange(5), 4, 4, 0.4)
W = U @ U.mT


def test_growth_less_suppression_and_noise_is_the_flow():
    found = growth(W, A_P) - suppression(W, A_P) - noise(W, A_P)
    dU = SymmetricFlow(torch.diag(A_P)).velocity(U)
    torch.testing.assert_close(found, dU @ U.mT + U @ dU.mT)


def test_every_entry_as_the_paper_writes_it():
    w, a, d = W[0], A_P, range(4)
    for i in d:
        for j in d:
            S = w[i, i] * (3 * a[i] + a[j]) + (w[j, j] * (3 * a[j] + a[i]) if i != j else 0)
            others = [k for k in d if k not in (i, j)]
            N = sum(w[k, i] * w[k, j] * (a[i] + a[j] + 2 * a[k]) for k in others)
            torch.testing.assert_close(growth(w, a)[i, j], w[i, j] * (a[i] + a[j]))
            torch.testing.assert_close(suppression(w, a)[i, j], w[i, j] * S / 2)
            torch.testing.assert_close(noise(w, a)[i, j], N / 2)


def diagonal(*w: float) -> torch.Tensor:
    return torch.diag(torch.tensor(w, dtype=torch.float64).sqrt())[None]


def test_a_diagonal_alone_is_a_logistic():
    flow, w_0 = SymmetricFlow(torch.diag(A_P)), torch.tensor([0.1, 0.3, 0.6, 0.01]).double()
    path = integrate(flow, torch.diag(w_0.sqrt())[None], step=0.02, num_steps=200)
    diagonal = path.W[0].diagonal(dim1=1, dim2=2).T
    modes = balanced_mode(w_0, A_P, A_P, path.t)  # the symmetric network's are Saxe et al.'s
    torch.testing.assert_close(diagonal, modes, atol=1e-7, rtol=0)
    wait = time_alone(w_0, A_P[0])
    torch.testing.assert_close(wait, torch.log(1 / w_0 - 1) / (2 * A_P[0]))


def test_small_entries_grow_exponentially():
    small = 1e-4 * U
    path = integrate(SymmetricFlow(torch.diag(A_P)), small, step=0.02, num_steps=100)
    expected = initial_growth(small @ small.mT, A_P, path.t)
    torch.testing.assert_close(path.W, expected, rtol=1e-4, atol=1e-20)


@settings(max_examples=40, deadline=None)
@given(
    a=st.lists(st.floats(0.05, 3), min_size=2, max_size=4),
    seed=st.integers(0, 99),
    std=st.floats(0.02, 1),
)
@pytest.mark.slow
def test_the_first_stage_stays_within_its_bound(a, seed, std):
    a = torch.tensor(a, dtype=torch.float64)
    U_0 = gaussian_factors(torch.tensor([seed]), len(a), len(a), std)
    path = integrate(SymmetricFlow(torch.diag(a)), U_0, step=0.01, num_steps=150, every=10)
    apart = (path.W - initial_growth(path.W[:, 0], a, path.t)).abs()
    bound = initial_growth_bound(path.W[:, 0], a, path.t)
    assert (apart <= bound + path.error.max() + 1e-12).all()


def test_that_bound_is_of_second_order_in_the_entries():
    t = torch.tensor([0.5], dtype=torch.float64)
    one, tenth = (initial_growth_bound(s * W, A_P, t) for s in (1.0, 0.1))
    torch.testing.assert_close(tenth, one / 100)
    assert (initial_growth_bound(W, A_P, 0 * t) == 0).all()


def test_entries_are_comparable_within_a_factor():
    W_0 = torch.tensor([[[0.1, -0.02], [-0.02, 0.05]]])
    torch.testing.assert_close(comparability(W_0), torch.tensor([5.0]))


def test_stages_come_when_predicted_if_the_diagonals_are_nearly_alone():
    a = torch.tensor([0.3, 1.5], dtype=torch.float64)
    U_0 = diagonal(0.001, 0.01)
    U_0[:, 0, 1] = 1e-5
    path = integrate(SymmetricFlow(torch.diag(a)), U_0, step=0.05, num_steps=300)
    found = stage_times(path.t, path.W, a, weak=0, strong=1)
    predicted = predicted_stage_times(path.W[:, 0], a, weak=0, strong=1)
    assert found.suppression.item() == pytest.approx(predicted.suppression.item(), rel=0.01)
    assert found.second_growth.item() == pytest.approx(predicted.second_growth.item(), rel=1e-3)
    assert found.suppression < found.second_growth


def test_a_stage_that_does_not_come_has_no_time():
    a = torch.tensor([0.3, 1.5], dtype=torch.float64)
    path = integrate(SymmetricFlow(torch.diag(a)), diagonal(0.01, 0.01), step=0.1, num_steps=5)
    assert all(time.isnan() for time in stage_times(path.t, path.W, a, 0, 1))


@pytest.mark.parametrize(
    "start",
    [([0.1], [0.3]), ([2.0], [1.5]), ([0.1, 0.2, -0.3], [0.3, 0.1, 0.2])],
    ids=["from below", "from above", "wide, from below 0"],
)
def test_saxes_time_is_that_of_the_integrated_network(start):
    from scipy.integrate import solve_ivp

    s, moment, width = 0.9, 0.6, len(start[0])

    def velocity(_, v):
        push = s - moment * v[:width] @ v[width:]
        return np.concatenate((v[width:], v[:width])) * push

    t = torch.linspace(0, 2.5, 11).double()
    kwargs = {"t_eval": t.numpy(), "method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
    v = torch.from_numpy(solve_ivp(velocity, (0, 2.5), np.ravel(start), **kwargs).y.T)
    u, imbalance = mode_start(v[:, :width], v[:, width:])
    torch.testing.assert_close(imbalance, imbalance[:1].expand(11))
    ones = torch.ones(11, dtype=torch.float64)
    time = mode_time(u, u[:1].expand(11), s * ones, moment * ones, imbalance)
    torch.testing.assert_close(time, t, atol=1e-8, rtol=0)


def test_saxes_balanced_mode_against_its_network():
    u_0, s, moment = (torch.tensor([x]).double() for x in (0.02, 0.9, 0.6))
    t = torch.linspace(0, 5, 5001, dtype=torch.float64)
    u = balanced_mode(u_0, s, moment, t)[0]
    slope = (u[2:] - u[:-2]) / (t[2] - t[0])
    # off by h²/6 · u''' of steps h = .001, and of a logistic |u'''| ≤ (s / moment) (2s)³ / 8 = 1.1
    torch.testing.assert_close(slope, (2 * u * (s - moment * u))[1:-1], atol=2e-7, rtol=0)
    assert u[0] == pytest.approx(0.02) and u[-1] == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize("u, imbalance, message", [(2.0, 0.1, "both sides"), (0.5, 0.0, "above 0")])
def test_modes_that_cannot_be_are_refused(u, imbalance, message):
    u_0, one = torch.tensor([0.1]).double(), torch.ones(1).double()
    with pytest.raises(ValueError, match=message):
        mode_time(u * one, u_0, one, one, imbalance * one)
