"""The symmetric two-layer network f(x) = U Uᵀ x: gradient flow through its factor.

Yang et al. (arXiv:2410.08309, Section 4.2) write the flow of W = U Uᵀ as

    dW/dt = WA + AW − ½(AW² + W²A + 2WAW),   which is   dU/dt = ½[(I − W)A + A(I − W)]U.

Gradient flow on ½‖(W − I)A^{1/2}‖² is twice as fast: the clocks "printed" and "flow" of
`theory.clocks`. U is integrated, never W, which would lose its positive semidefiniteness and blow
up: `reference` here, run by run, and `theory.integrator` for thousands of runs. W(t) depends on
U(0) through W(0) alone, so that a wide U is first replaced by a square one. Eigenvalues of W in
(0, 1) only ever rise, those above 1 only ever fall.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ground import streams
from ground.endings import Mistake
from theory.clocks import flow_time_per_unit


@dataclass(frozen=True)
class SymmetricFlow:
    """Flow of the symmetric network. A: (d, d), or (runs, d, d) for another one in each run.

    power: 1 as in the paper's equation, 2 (A² in place of A) as in its released figures.
    clock: "printed" or "flow".
    """

    A: Float[Tensor, "*#runs d d"]
    power: Literal[1, 2] = 1
    clock: Literal["printed", "flow"] = "printed"

    @cached_property
    def moment(self) -> Float[Tensor, "*#runs d d"]:
        """The A in use: A or A²."""
        return torch.linalg.matrix_power(self.A, self.power)

    def velocity(self, U: Float[Tensor, "*runs d width"]) -> Float[Tensor, "*runs d width"]:
        """Velocity dU per unit of the clock."""
        half = (_identity(U) - U @ U.mT) @ self.moment
        return flow_time_per_unit(self.clock) * (half + half.mT) @ U

    def training_loss(self, W: Float[Tensor, "*runs d d"]) -> Float[Tensor, "*runs"]:
        """Loss ½‖(W − I)A^{1/2}‖² with the A in use: what the flow descends."""
        error = W - _identity(W)
        moment = self.moment[:, None] if W.ndim == 4 and self.moment.ndim == 3 else self.moment
        return ((error @ moment) * error).sum((-2, -1)) / 2


def loss_at(W: Float[Tensor, "*runs d d"], x: Float[Tensor, " d"]) -> Float[Tensor, "*runs"]:
    """Loss ½‖Wx − x‖² at one point, such as the probe outside the training distribution."""
    return (W @ x - x).square().sum(-1) / 2


def uniform_factors(
    seeds: Int[Tensor, " runs"], d: int, width: int, divisor: float
) -> Float[Tensor, "runs d width"]:
    """U(0) in [0, 1)^{d × width} / divisor, float64; run i depends on seeds[i] alone."""
    u = streams.uniform(0, "symmetric network, uniform", 0, seeds, d * width)
    return u.double().view(-1, d, width) / divisor


def gaussian_factors(
    seeds: Int[Tensor, " runs"], d: int, width: int, std: float
) -> Float[Tensor, "runs d width"]:
    """U(0) with independent N(0, std²) entries, float64; run i depends on seeds[i] alone."""
    z = streams.normal(0, "symmetric network, normal", 0, seeds, d * width)
    return z.double().view(-1, d, width) * std


def factor(W: Float[Tensor, "*runs d d"]) -> Float[Tensor, "*runs d d"]:
    """A U with U Uᵀ = W. Raises Mistake unless W is symmetric and positive semidefinite."""
    tolerance = 16 * torch.finfo(W.dtype).eps * W.shape[-1] * W.abs().amax()
    if (W - W.mT).abs().amax() > tolerance:
        raise Mistake("W(0): got a matrix that is not symmetric, U Uᵀ always is")
    values, vectors = torch.linalg.eigh(W)
    if values.amin() < -tolerance:
        least = f"{values.amin().item():.3g}"
        raise Mistake(f"W(0): got an eigenvalue of {least}, U Uᵀ has none below 0")
    return vectors * values.clamp_min(0).sqrt()[..., None, :]


def narrowed(U: Float[Tensor, "*runs d width"]) -> Float[Tensor, "*runs d narrow"]:
    """A factor of the same W with at most d columns: U itself, or the triangle of Uᵀ = QR."""
    return U if U.shape[-1] <= U.shape[-2] else torch.linalg.qr(U.mT, mode="r").R.mT


def reference(
    flow: SymmetricFlow, U_0: Float[Tensor, "d width"], t: Float[Tensor, " times"]
) -> Float[Tensor, "times d d"]:
    """W of one run at the times t from 0 on, float64: scipy's adaptive DOP853,
    relative error 1e-12 per step."""
    from scipy.integrate import solve_ivp

    def velocity(_: float, u: np.ndarray) -> np.ndarray:
        return flow.velocity(torch.from_numpy(u).view(start.shape)).numpy().ravel()

    start, times = narrowed(U_0).double(), t.double().numpy()
    solution = solve_ivp(
        velocity,
        (0, times[-1]),
        start.numpy().ravel(),
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-14,
    )
    U = torch.from_numpy(solution.y.T.copy()).view(-1, *start.shape)
    return U @ U.mT


def _identity(U: Tensor) -> Tensor:
    return torch.eye(U.shape[-2], dtype=U.dtype, device=U.device)
