"""One linear layer, exactly: Theorem 4.1 of Yang et al. (arXiv:2410.08309), any initialisation.

Gradient flow on ½ E‖Wx − x‖² is dW/dt = −(W − I)M with M = E[xxᵀ], so

    W(t) = I + (W(0) − I) e^{−Mt}.

M is any symmetric positive semidefinite matrix: diag(a) of the population, or the second moment
of a sample. With biases write W for [W b] and M for `theory.task.augmented_moment`: the
same equation holds with [I 0] for I. So W is (k, m) here, k outputs and m inputs, and the target
is the identity of that shape. Rows are independent: any subset of the outputs may be given.
Time is flow time (`theory.clocks`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ground.endings import Mistake


def mode_rates(
    M: Float[Tensor, "*batch m m"],
) -> tuple[Float[Tensor, "*batch m"], Float[Tensor, "*batch m m"]]:
    """The rates at which W's error decays, ascending, and along which inputs (columns): eigh of M.

    Raises Mistake unless M is symmetric and positive semidefinite, both up to rounding.
    """
    scale = M.abs().amax() * M.shape[-1]
    tolerance = 16 * torch.finfo(M.dtype).eps * scale
    if (M - M.mT).abs().amax() > tolerance:
        raise Mistake("second moment: got a matrix that is not symmetric, E[xxᵀ] always is")
    rates, modes = torch.linalg.eigh(M)
    if rates.amin() < -tolerance:
        least = f"{rates.amin().item():.3g}"
        raise Mistake(
            f"second moment: got an eigenvalue of {least}, allowed are those of E[xxᵀ]: ≥ 0"
        )
    return rates, modes


def one_layer(
    W_0: Float[Tensor, "*batch k m"], M: Float[Tensor, "*#batch m m"], t: Float[Tensor, " times"]
) -> Float[Tensor, "*batch times k m"]:
    """W at the flow times t; its output at x is W @ x (with biases: at (x, 1)).

    For M = diag(a), coordinate k of that is (1 − e^{−a_k t}) x_k + Σ_i e^{−a_i t} w_ki(0) x_i.
    Raises Mistake as `mode_rates` does.
    """
    rates, modes = mode_rates(M)
    decay = torch.exp(-t[:, None] * rates[..., None, :])
    identity = torch.eye(*W_0.shape[-2:], dtype=W_0.dtype, device=W_0.device)
    error = ((W_0 - identity) @ modes)[..., None, :, :] * decay[..., :, None, :]
    return identity + error @ modes.mT[..., None, :, :]


def descent_lag_bound(
    x: Float[Tensor, "*batch"], num_steps: Int[Tensor, "*#batch"]
) -> Float[Tensor, "*batch"]:
    """How far n steps of gradient descent run ahead of the flow at most, per mode:

        0 ≤ e^{−nx} − (1 − x)ⁿ ≤ n x² e^{−nx} / (2(1 − x)),   x = step · rate in (0, 1).

    Raises Mistake for other x.
    """
    if not ((x > 0) & (x < 1)).all():
        outside = x[(x <= 0) | (x >= 1)][0].item()
        raise Mistake(f"x: got {outside:.4g}, the bound holds for step · rate in (0, 1)")
    return num_steps * x**2 * torch.exp(-num_steps * x) / (2 * (1 - x))
