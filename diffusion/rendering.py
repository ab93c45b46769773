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

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from jaxtyping import Bool, Float
from torch import Tensor, nn

from diffusion.conditioning import Condition, NumberConditioner, NumberKind, mlp

SPREAD = 0.1  # weight of the variances beside the entropy, as published


class RenderingConditioner(NumberConditioner):
    """Conditioner of `coordinates` that renders each of them, too.

    Its Condition has h, as ever; `rendered`, an image of each coordinate, 0 of one that is null;
    and `penalty`, the weighted loss of all that are not.

    Args:
        size: N, the side of an image in px.
        weight: of the loss, above 0.
        others: as of `NumberConditioner`.
    """

    @register_to_config
    def __init__(
        self,
        kind: NumberKind,
        width: int,
        default: Sequence[float],
        words: dict[str, dict[str, float]],
        counts: Sequence[int] = (),
        spans: Sequence[Sequence[float]] = (),
        periodic: Sequence[bool] = (),
        shift: Sequence[float] = (),
        scale: Sequence[float] = (),
        size: int = 16,
        weight: float = 0.1,
    ):
        super().__init__(kind, width, default, words, counts, spans, periodic, shift, scale)
        parts = size + 2 * size**2  # λ, u, v
        self.renderers = nn.ModuleList(
            mlp(self.encoding.width, width, parts) for _ in range(len(spans))
        )
        self.rendered_channels = len(spans)

    def forward(self, numbers: Float[Tensor, "n k"]) -> Condition:
        condition = super().forward(numbers)
        encoded, outside = self.encoding.encode(numbers)
        images, losses = zip(
            *(self._render(i, encoded[:, i], ~outside[:, i]) for i in range(len(self.renderers))),
            strict=True,
        )
        penalty = self.config.weight * torch.stack(losses).sum(0)
        return Condition(condition.h, rendered=torch.stack(images, 1), penalty=penalty)

    def _render(
        self, i: int, encoded: Float[Tensor, "n e"], shown: Bool[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n size size"], Float[Tensor, " n"]]:
        """Images and losses of one coordinate; both 0 where it is not shown."""
        size = self.config.size
        parts = self.renderers[i](encoded.to(self.null.dtype)).float()
        strength, vectors = parts[:, :size], parts[:, size:].unflatten(1, (2, size, size))
        left, right = F.normalize(vectors, dim=3).unbind(1)  # (n, r, entries)
        images = torch.einsum("nr,nri,nrj->nij", strength, left, right)
        return images * shown[:, None, None], low_rank_loss(strength, left, right) * shown


def low_rank_loss(
    strength: Float[Tensor, "n r"], left: Float[Tensor, "n r s"], right: Float[Tensor, "n r s"]
) -> Float[Tensor, " n"]:
    """Entropy in nats of the shares λ_r² / Σ λ², plus a tenth of the summed variances of the
    entries of each vector. strength: λ. left, right: u and v, of length one."""
    share = strength.square() / strength.square().sum(1, keepdim=True).clamp(min=1e-12)
    entropy = -torch.xlogy(share, share.clamp(min=1e-8)).sum(1)
    spread = left.var(dim=2).sum(1) + right.var(dim=2).sum(1)
    return entropy + SPREAD * spread
