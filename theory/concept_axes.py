"""Variances of images along the axis of a concept, by which theories rank what is learned first."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from theory.linear_denoiser import Moments


@dataclass(frozen=True)
class AxisVariances:
    """Variances of images x along the unit vector of a displacement u; means over several u.

    Attributes:
        between_classes: of the means of the classes, each weighed by its share of the images.
        within_classes: of the images around the means of their classes.
        signal: E‖u‖² times the share of the images that show what u leads to: mu²/P of
            arXiv:2410.08309, where one of P equal classes shows it.
    """

    between_classes: float
    within_classes: float
    signal: float

    @property
    def variance(self) -> float:
        """Variance of all images."""
        return self.between_classes + self.within_classes

    @property
    def a_k(self) -> float:
        """Rate a_k = Var_k + mu_k²/P at which arXiv:2410.08309 has a concept learned."""
        return self.within_classes + self.signal


def axis_variances(
    moments: Moments,
    class_means: Float[Tensor, "classes pixels"],
    class_shares: Float[Tensor, " classes"],
    displacement: Float[Tensor, "n pixels"],
    shown: Float[Tensor, " n"],
) -> AxisVariances:
    """Variances along n displacements of one concept.

    class_shares: of all images; they sum to 1. shown: share of the images that show what each
    displacement leads to. A displacement of length 0 has no axis and gives NaN.
    """
    pixels = moments.num_pixels
    axes = displacement / displacement.norm(dim=1, keepdim=True)
    second = (axes @ moments.second[:pixels, :pixels] * axes).sum(1)
    total = second - (axes @ moments.mean) ** 2
    places = (class_means - moments.mean) @ axes.mT
    between = class_shares @ places**2
    signal = displacement.square().sum(1) * shown
    return AxisVariances(
        between_classes=float(between.mean()),
        within_classes=float((total - between).mean()),
        signal=float(signal.mean()),
    )
