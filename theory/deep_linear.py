"""Two-layer linear networks f(x) = W₂W₁x, mode by mode: Saxe, McClelland & Ganguli, 2013
(arXiv:1312.6120), beside the symmetric network.

Along an input of second moment `moment` (λ) whose correlation with the target is `s`, the weights
into the hidden layer v₁ (a column of W₁) and out of it v₂ (a row of W₂) grow by gradient flow on
½ E(v₂·v₁ x − y)², as if there were no other modes:

    dv₁/dt = v₂(s − λu),   dv₂/dt = v₁(s − λu),   u = v₁·v₂,   du/dt = √(c² + 4u²)(s − λu).

c = |v₁ + v₂||v₁ − v₂| never changes: for hidden layers of width 1, as in the paper, it is
|v₂² − v₁²|. Targets equal to the inputs make s = λ = a_p. Time is flow time; in the printed clock,
the symmetric network's diagonal alone obeys the balanced equation, c = 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ground.endings import Mistake


def mode_start(
    v_1: Float[Tensor, "*modes width"], v_2: Float[Tensor, "*modes width"]
) -> tuple[Float[Tensor, "*modes"], Float[Tensor, "*modes"]]:
    """Start of a mode: u = v₁·v₂ and the imbalance c."""
    return (v_1 * v_2).sum(-1), (v_1 + v_2).norm(dim=-1) * (v_1 - v_2).norm(dim=-1)


def balanced_mode(
    u_0: Float[Tensor, "*modes"],
    s: Float[Tensor, "*modes"],
    moment: Float[Tensor, "*modes"],
    t: Float[Tensor, " times"],
) -> Float[Tensor, "*modes times"]:
    """Mode u(t) for v₁ = v₂ at the start, u_0 > 0: du/dt = 2u(s − λu), a logistic to s/λ."""
    end = (s / moment)[..., None]
    return end / (1 + (end / u_0[..., None] - 1) * torch.exp(-2 * s[..., None] * t))


def mode_time(
    u: Float[Tensor, "*modes"],
    u_0: Float[Tensor, "*modes"],
    s: Float[Tensor, "*modes"],
    moment: Float[Tensor, "*modes"],
    imbalance: Float[Tensor, "*modes"],
) -> Float[Tensor, "*modes"]:
    """Time at which a mode that started at u_0 is at u, for an imbalance c above 0.

    2u = c·sinh θ and tanh(θ/2) integrate its equation. u and u_0 lie on one side of s/λ. Raises
    Mistake where they do not, or where c is 0 (`balanced_mode`).
    """
    if not (imbalance > 0).all():
        least = imbalance.min().item()
        raise Mistake(f"imbalance: got {least:.3g}, allowed are those above 0")
    if not ((s - moment * u) * (s - moment * u_0) > 0).all():
        raise Mistake("u: got values on both sides of s / moment, which no mode ever passes")
    return _time_from(u, s, moment, imbalance) - _time_from(u_0, s, moment, imbalance)


def _time_from(u: Tensor, s: Tensor, moment: Tensor, c: Tensor) -> Tensor:
    """∫ du / (√(c² + 4u²)(s − λu)) = (2/q) artanh((2s·tanh(θ/2) + λc)/q), q² = 4s² + λ²c².

    Where the argument x is above 1, beyond s/λ, ½ ln|(1 + x)/(1 − x)| is the same integral.
    """
    tanh_half = 2 * u / (c + torch.sqrt(c**2 + 4 * u**2))
    q = torch.sqrt(4 * s**2 + moment**2 * c**2)
    x = (2 * s * tanh_half + moment * c) / q
    return torch.log(((1 + x) / (1 - x)).abs()) / q
