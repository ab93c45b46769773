"""The flow of the symmetric network for thousands of runs at once, in fixed steps.

In A's eigenbasis the flow is dU/dt = speed · [(I − W) ∘ (a_i + a_j)]U. There, with the runs along
the last axis, its small matrix products are sums over long rows; runs are taken in blocks that
stay in the processor's cache. Meant for few dimensions: work grows with d³ · runs · steps.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ground.endings import Mistake
from theory.clocks import flow_time_per_unit
from theory.symmetric import SymmetricFlow, narrowed

BLOCK = 1 << 15  # products U_ik U_jk at a time: 256 KiB of float64

Velocity = Callable[[Tensor], Tensor]


class MatrixPath(NamedTuple):
    """W at the recorded times.

    t: (times,) in units of the flow's clock. W: (runs, times, d, d). error: (runs,), the largest
    error of W at those times (Frobenius norm, so that it covers each entry), estimated.
    """

    t: Tensor
    W: Tensor
    error: Tensor


class Method(NamedTuple):
    """Method of integration. advance: (velocity, U, step) → U. limit: largest stable step · rate of
    a decay."""

    advance: Callable[[Velocity, Tensor, float], Tensor]
    order: int
    limit: float


def integrate(
    flow: SymmetricFlow,
    U_0: Float[Tensor, "runs d width"],
    *,
    step: float,
    num_steps: int,
    every: int = 1,
    method: str = "rk4",
) -> MatrixPath:
    """W of all runs at steps 0, every, 2·every, …, num_steps, with an estimate of its error.

    Beside each step two of half its size are taken: their difference, extrapolated with the order
    of the method ("rk4": 4; "euler", the papers': 1), estimates the error. The memory used is
    that of the path. Raises Mistake for a step at or beyond the stability of the method.
    """
    check_steps(flow, U_0, step, num_steps, every, method)
    a, Q = torch.linalg.eigh(flow.moment.expand(len(U_0), -1, -1))
    pull = (a[:, :, None] + a[:, None]) * flow_time_per_unit(flow.clock)
    U = Q.mT @ narrowed(U_0)
    W = U.new_empty(len(U), num_steps // every + 1, *pull.shape[1:])
    gap = U.new_zeros(len(U))
    for runs in torch.arange(len(U)).split(max(1, BLOCK // (U.shape[1] * U[0].numel()))):
        velocity, start = _velocity(_runs_last(pull[runs])), _runs_last(U[runs])
        walk = _walk(velocity, start, step, num_steps, METHODS[method])
        path, gap[runs] = _recorded(walk, every)
        turn = Q[runs, None]
        W[runs] = turn @ path @ turn.mT
    t = torch.arange(0, num_steps + 1, every, dtype=U.dtype) * step
    order = METHODS[method].order
    return MatrixPath(t, W, gap * 2**order / (2**order - 1))


def _walk(
    velocity: Velocity, U: Tensor, step: float, num_steps: int, method: Method
) -> Iterator[tuple[Tensor, Tensor]]:
    """U after 0, 1, …, num_steps steps, and after twice as many of half the size."""
    coarse = fine = U
    yield coarse, fine
    for _ in range(num_steps):
        coarse = method.advance(velocity, coarse, step)
        fine = method.advance(velocity, method.advance(velocity, fine, step / 2), step / 2)
        yield coarse, fine


def _recorded(walk: Iterator[tuple[Tensor, Tensor]], every: int) -> tuple[Tensor, Tensor]:
    """W (runs, times, d, d) of the coarse walk, and its largest distance from the fine one."""
    taken = [(_gram(coarse), _gram(fine)) for coarse, fine in islice(walk, 0, None, every)]
    coarse, fine = (torch.stack(W) for W in zip(*taken, strict=True))
    gap = (coarse - fine).square().sum((1, 2)).sqrt().amax(0)
    return coarse.permute(3, 0, 1, 2), gap


def _velocity(pull: Tensor) -> Velocity:
    """dU/dt of U (d, width, runs) for pull (d, d, runs)."""
    identity = torch.eye(len(pull), dtype=pull.dtype)[..., None]

    def velocity(U: Tensor) -> Tensor:
        K = (identity - _gram(U)) * pull
        return (K[:, :, None] * U[None]).sum(1)

    return velocity


def _runs_last(x: Tensor) -> Tensor:
    return x.permute(1, 2, 0).contiguous()


def _gram(U: Tensor) -> Tensor:
    """U Uᵀ, runs last."""
    return (U[:, None] * U[None]).sum(2)


def _euler(velocity: Velocity, U: Tensor, step: float) -> Tensor:
    return torch.add(U, velocity(U), alpha=step)


def _rk4(velocity: Velocity, U: Tensor, step: float) -> Tensor:
    k_1 = velocity(U)
    k_2 = velocity(torch.add(U, k_1, alpha=step / 2))
    k_3 = velocity(torch.add(U, k_2, alpha=step / 2))
    k_4 = velocity(torch.add(U, k_3, alpha=step))
    return U + (k_1 + 2 * (k_2 + k_3) + k_4) * (step / 6)


METHODS = {"euler": Method(_euler, 1, 2.0), "rk4": Method(_rk4, 4, 2.785)}


def check_steps(
    flow: SymmetricFlow, U_0: Tensor, step: float, num_steps: int, every: int, method: str
) -> None:
    """Raises Mistake for steps at or beyond the stability of the method, and unknown methods."""
    if method not in METHODS:
        raise Mistake(f"method: got {method!r}, allowed are {', '.join(METHODS)}")
    if num_steps < 1 or every < 1 or num_steps % every:
        raise Mistake(f"every: got {every}, allowed are divisors of the {num_steps} steps")
    limit = METHODS[method].limit / _fastest_rate(flow, U_0)
    if not 0 < step < limit:
        reason = f"= {METHODS[method].limit} / the fastest rate of this flow"
        raise Mistake(f"step: got {step:g}, {method} is stable in (0, {limit:.4g}) {reason}")


def _fastest_rate(flow: SymmetricFlow, U_0: Tensor) -> float:
    """Of all decays from U(0) on: an eigenvalue w of W moves by dw/dt = 4 speed · w(1 − w) vᵀAv."""
    w = torch.linalg.matrix_norm(U_0, 2).square()
    strongest = torch.linalg.matrix_norm(flow.moment, 2) * flow_time_per_unit(flow.clock)
    return (4 * strongest * (2 * w - 1).clamp_min(1)).amax().item()
