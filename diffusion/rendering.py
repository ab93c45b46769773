"""Rendering of coordinates: each one alone becomes an image, whose rank a loss keeps low.

The remedy of Liang, Qian, Ziyin and Fiete, "Compositional Generalization via Forced Rendering of
Disentangled Latents" (ICML 2025, arXiv:2501.18797), after their published code. There a decoder
sees one N × N matrix for each coordinate as the channels of an image,

    Σ_r λ_r u_r v_rᵀ,  r = 1 … N

with strengths λ and unit vectors u_r, v_r that depend on this coordinate alone. A loss is added to
its own: the entropy of the shares λ_r² / Σ λ², which is 0 at rank one, and a tenth of the variances
of the entries of every u_r and v_r, which is 0 where they are constant. A stripe is the matrix that
costs least of those that say where it is: rank one, and one of its two vectors constant.

Ours: the matrices are channels beside the noisy image x_t, since the network is a denoiser; λ, u
and v come from an MLP of the sinusoidal encoding of the coordinate, where theirs are tables over
its whole values; variances are of the vectors at length one; and the loss is a mean over images of
the batch, where theirs is a sum over all values.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SPREAD = 0.1  # weight of the variances beside the entropy, as published


class Rendering(nn.Module):
    """Layers that render one coordinate, encoded as (n, inputs) numbers.

    width: of the layer between. size: N, the side of an image in px.
    """

    def __init__(self, inputs: int, width: int, size: int):
        super().__init__()
        self.size, parts = size, size + 2 * size**2  # λ, u, v
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, parts))

    def forward(
        self, encoded: Float[Tensor, "n inputs"]
    ) -> tuple[Float[Tensor, "n size size"], Float[Tensor, " n"]]:
        """Return n images and `low_rank_loss` of each."""
        parts = self.layers(encoded).float()
        strength, vectors = parts[:, : self.size], parts[:, self.size :]
        both = F.normalize(vectors.unflatten(1, (2, self.size, self.size)), dim=3)
        left, right = both.unbind(1)  # (n, r, entries)
        images = torch.einsum("nr,nri,nrj->nij", strength, left, right)
        return images, low_rank_loss(strength, left, right)


def low_rank_loss(
    strength: Float[Tensor, "n r"], left: Float[Tensor, "n r s"], right: Float[Tensor, "n r s"]
) -> Float[Tensor, " n"]:
    """Entropy in nats of the shares λ_r² / Σ λ², plus a tenth of the summed variances of the
    entries of each vector. strength: λ. left, right: u and v, of length one."""
    share = strength.square() / strength.square().sum(1, keepdim=True).clamp(min=1e-12)
    entropy = -torch.xlogy(share, share.clamp(min=1e-8)).sum(1)
    spread = left.var(dim=2).sum(1) + right.var(dim=2).sum(1)
    return entropy + SPREAD * spread
