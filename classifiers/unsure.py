"""When a probe is unsure: of images that it sees unlike every render that it was made for.

Distances of Mahalanobis in the features that a network's last layer reads, to the nearest of the
kinds it knows, with one covariance for all (Lee et al. 2018, arXiv:1807.03888, eq. 2). A classifier
is sure of something on any image, pure noise too; this says when not to listen.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from classifiers.limits import limit_of
from ground.endings import Mistake

SHRINKAGE = 1e-3  # of the mean variance, added to every variance: dead features have none


class Familiarity(nn.Module):
    """Kinds of features, their spread, and how far from them a scene may be.

    kinds, width: how many, and the length of features. Knows nothing before `fit` and
    `set_limit`; all of it is in buffers, so it is saved with the probe.
    """

    means: Float[Tensor, "k d"]
    whitening: Float[Tensor, "d d"]
    limit: Float[Tensor, ""]

    def __init__(self, kinds: int, width: int):
        super().__init__()
        self.register_buffer("means", torch.zeros(kinds, width))
        self.register_buffer("whitening", torch.eye(width))
        self.register_buffer("limit", torch.tensor(torch.inf))

    @torch.no_grad()
    def fit(self, features: Float[Tensor, "n d"], kind: Int[Tensor, " n"]) -> None:
        """Fit to features of scenes; kind: the number of each one's. Every kind must be there."""
        counts = torch.bincount(kind, minlength=len(self.means))
        if not counts.all():
            raise Mistake(
                f"probe: {int((counts == 0).sum())} of {len(counts)} combinations are not among "
                f"the {len(features)} renders it is fitted to; raise probe.certificate_images"
            )
        x = features.double()
        means = torch.zeros(len(counts), x.shape[1]).double().index_add_(0, kind, x)
        means /= counts[:, None]
        offset = x - means[kind]
        covariance = offset.T @ offset / len(x)
        variance = covariance.diagonal().mean().clamp(min=1e-12)
        covariance += SHRINKAGE * variance * torch.eye(len(covariance)).double()
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        self.whitening.copy_(torch.linalg.cholesky(inverse))
        self.means.copy_(means)

    def distance(self, features: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Distance to the nearest kind, in standard deviations; nan where features are no
        numbers."""
        x, means = features @ self.whitening, self.means @ self.whitening
        # without matrix products, whose rounding would grow with the distance from 0
        return torch.cdist(x, means, compute_mode="donot_use_mm_for_euclid_dist").amin(1)

    def set_limit(self, features: Float[Tensor, "n d"], rate: float) -> None:
        """Set the limit so that a share `rate` of further scenes is beyond it: see `limit_of`.
        features: of other scenes than those fitted to."""
        self.limit.copy_(limit_of(self.distance(features), rate))

    def is_unfamiliar(self, features: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
        return ~(self.distance(features) <= self.limit)
