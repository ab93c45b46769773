"""How W = U Uᵀ grows, entry by entry: Eq. 4.3 of Yang et al. (arXiv:2410.08309), A = diag(a).

dw_ij/dt = growth − suppression − noise, in the printed clock (`theory.clocks`). In stages: all
entries grow; the strongest concept's diagonal saturates and suppresses the off-diagonals that were
helping the weaker ones; at last the weaker diagonals grow as well. Every diagonal, were it alone,
would be a logistic curve, from which the times of the stages are predicted.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class StageTimes(NamedTuple):
    """Times of two stages. suppression: when w_ij turns from growing to shrinking. second_growth:
    when w_ii passes ½, where, alone, it grows fastest. NaN: not within the path, or before it."""

    suppression: Tensor
    second_growth: Tensor


def growth(W: Float[Tensor, "*runs d d"], a: Float[Tensor, " d"]) -> Float[Tensor, "*runs d d"]:
    """Growth G_ij = w_ij (a_i + a_j)."""
    return W * (a[:, None] + a)


def suppression(
    W: Float[Tensor, "*runs d d"], a: Float[Tensor, " d"]
) -> Float[Tensor, "*runs d d"]:
    """Suppression S_ij = ½ w_ij [w_ii (3a_i + a_j) + 1{i≠j} w_jj (3a_j + a_i)]."""
    by_row = W.diagonal(dim1=-2, dim2=-1)[..., :, None] * (3 * a[:, None] + a)
    by_column = by_row.mT * (1 - torch.eye(len(a), dtype=W.dtype))
    return W * (by_row + by_column) / 2


def noise(W: Float[Tensor, "*runs d d"], a: Float[Tensor, " d"]) -> Float[Tensor, "*runs d d"]:
    """Noise N_ij = ½ Σ_{k∉{i,j}} w_ki w_kj (a_i + a_j + 2a_k)."""
    weights = a[:, None, None] + a[:, None] + 2 * a  # i, j, k
    same = torch.eye(len(a), dtype=torch.bool)
    weights = weights.masked_fill(same[:, None] | same[None], 0)
    return torch.einsum("...ki,...kj,ijk->...ij", W, W, weights) / 2


def initial_growth(
    W_0: Float[Tensor, "*runs d d"], a: Float[Tensor, " d"], t: Float[Tensor, " times"]
) -> Float[Tensor, "*runs times d d"]:
    """First stage w_ij(0) e^{(a_i + a_j) t}, as long as all entries are small."""
    return W_0[..., None, :, :] * torch.exp((a[:, None] + a) * t[:, None, None])


def initial_growth_bound(
    W_0: Float[Tensor, "*runs d d"], a: Float[Tensor, " d"], t: Float[Tensor, " times"]
) -> Float[Tensor, "*runs times d d"]:
    """Bound on how far w_ij(t) is from `initial_growth`, for W(0) positive semidefinite.

    Eigenvalues grow at most like e^{2a_max t}, so ‖W‖ ≤ ‖W(0)‖ e^{2a_max t} bounds what the first
    stage leaves out, ½[(a_i + a_j)W² + 2WAW]_ij, by c‖W‖² with c = ½(a_i + a_j) + a_max. Against
    e^{(a_i + a_j)(t − s)}: c‖W(0)‖² (e^{4a_max t} − e^{(a_i + a_j)t}) / (4a_max − a_i − a_j).
    """
    pair, fastest = a[:, None] + a, 4 * a.max()
    size = torch.linalg.matrix_norm(W_0, 2).square()[..., None, None, None]
    reach = torch.exp(fastest * t)[:, None, None] - torch.exp(pair * t[:, None, None])
    return size * (pair / 2 + a.max()) * reach / (fastest - pair)


def comparability(W_0: Float[Tensor, "*runs d d"]) -> Float[Tensor, "*runs"]:
    """Ratio β of the largest to the smallest |w_ij(0)|. Appendix D of arXiv:2410.08309 proves its
    stages for small entries within a factor β of each other."""
    entries = W_0.abs().flatten(-2)
    return entries.amax(-1) / entries.amin(-1)


def time_alone(
    w_0: Float[Tensor, "*runs"],
    a: Float[Tensor, ""] | float,
    level: Float[Tensor, ""] | float = 0.5,
) -> Float[Tensor, "*runs"]:
    """Time at which a diagonal entry without the others, dw/dt = 2aw(1 − w) (a balanced mode of
    `theory.deep_linear`), passes `level`: ½ after the waiting time ln(1/w_0 − 1)/(2a)."""
    return (torch.logit(torch.as_tensor(level, dtype=w_0.dtype)) - torch.logit(w_0)) / (2 * a)


def stage_times(
    t: Float[Tensor, " times"],
    W: Float[Tensor, "runs times d d"],
    a: Float[Tensor, " d"],
    weak: int,
    strong: int,
) -> StageTimes:
    """Times of the stages, measured on paths in the printed clock, linear between the times
    given."""
    push = growth(W, a) - suppression(W, a) - noise(W, a)
    shrinking = -(push * W.sign())[..., weak, strong]
    return StageTimes(_first_above(t, shrinking, 0.0), _first_above(t, W[..., weak, weak], 0.5))


def predicted_stage_times(
    W_0: Float[Tensor, "runs d d"], a: Float[Tensor, " d"], weak: int, strong: int
) -> StageTimes:
    """Times of the stages, predicted from W(0) as if each diagonal were alone.

    Suppression by w_jj of the strong concept outweighs the growth of w_ij from w_jj =
    2(a_i + a_j)/(3a_j + a_i) on, which is below 1 if a_i < a_j.
    """
    level = 2 * (a[weak] + a[strong]) / (3 * a[strong] + a[weak])
    return StageTimes(
        time_alone(W_0[:, strong, strong], a[strong], level),
        time_alone(W_0[:, weak, weak], a[weak]),
    )


def _first_above(t: Tensor, curve: Tensor, level: float) -> Tensor:
    """When each curve (runs, times) first comes from `level` or below to above it, else NaN."""
    up = (curve[:, :-1] <= level) & (curve[:, 1:] > level)
    i = up.int().argmax(1)
    before, after = (curve.gather(1, j[:, None])[:, 0] for j in (i, i + 1))
    crossing = t[i] + (level - before) / (after - before) * (t[i + 1] - t[i])
    return torch.where(up.any(1), crossing, torch.nan)
