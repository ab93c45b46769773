"""Linear denoiser of images with a condition, exactly: how far it obeys at any time of training.

D(x_t, c) = W z, z = [x_t; c; 1], x_t = √ᾱ x_0 + √(1 − ᾱ) ε. With M = E[zzᵀ] and C = E[x_0 zᵀ],
gradient flow on ½ E‖W z − x_0‖² is dW/dt = C − WM, so from W(0) = 0

    W(t) = C M⁻¹ (I − e^{−Mt}) = Σ_i (C q_i) q_iᵀ (1 − e^{−λ_i t}) / λ_i,   M q_i = λ_i q_i.

Time is flow time (`theory.clocks`): n steps of gradient descent on E‖W z − x_0‖² at a learning rate
η are t = 2ηn, up to an error of first order in η.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ground.endings import Mistake
from theory.closed_form import mode_rates

LEAST_RATE = 1e-11  # of the largest: a slower mode is the rounding of one that data do not have
LEAST_LIMIT = 1e-9  # of 1, or of what pulls a curve up and down: below, it is the rounding of 0
TIMES = 2048  # at which a curve is looked at for its last crossing
HALVINGS = 60  # of the span between two of them


@dataclass(frozen=True)
class Moments:
    """Second moments of images and their conditions: E[yyᵀ], y = [x_0; c; 1], float64.

    Attributes:
        second: the matrix, whose last row holds the means.
        num_pixels: length of x_0, all pixels and channels.
    """

    second: Float[Tensor, "m m"]
    num_pixels: int

    @property
    def mean(self) -> Float[Tensor, " pixels"]:
        """Mean image."""
        return self.second[-1, : self.num_pixels]


def gather_moments(
    parts: Iterable[tuple[Float[Tensor, "n pixels"], Float[Tensor, "n k"]]],
) -> Moments:
    """Moments of data that come in parts, each of n images in rows and their conditions.

    Raises Mistake if there are none.
    """
    total, count, pixels = torch.zeros(()).double(), 0, 0
    for images, conditions in parts:
        ones = torch.ones(len(images), 1)
        y = torch.cat((images.double(), conditions.double(), ones.double()), dim=1)
        total, count, pixels = total + y.mT @ y, count + len(y), images.shape[1]
    if not count:
        raise Mistake("moments: got no images, allowed are one and more")
    return Moments(total / count, pixels)


@dataclass(frozen=True)
class Curve:
    """Curve y(t) = Σ_i gain_i (1 − e^{−rate_i t}), float64. It begins at 0.

    Attributes:
        rates: per unit of flow time, above 0.
    """

    gains: Float[Tensor, " modes"]
    rates: Float[Tensor, " modes"]

    @property
    def limit(self) -> float:
        """Where the curve ends."""
        return float(self.gains.sum())

    def at(self, t: Float[Tensor, " times"]) -> Float[Tensor, " times"]:
        """Values y at flow times t."""
        return -torch.expm1(-t[:, None] * self.rates) @ self.gains

    def learning_time(self, share: float = 0.5) -> float:
        """Flow time from which on y is at or above `share` of its limit.

        share: above 0, below 1. The curve may have been there before and have left again: the last
        crossing counts. NaN if the limit is not above 0, where 1e-9 is 0.
        """
        if not self.limit > LEAST_LIMIT * max(1.0, float(self.gains.abs().sum())):
            return float("nan")
        t = self._times(1 - share)
        last = int((self.at(t) < share * self.limit).nonzero()[-1])
        low, high = t[last], t[last + 1]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.at(middle[None])[0] < share * self.limit
            low, high = (middle, high) if below else (low, middle)
        return float(high)

    def _times(self, missing: float) -> Float[Tensor, " times"]:
        """Times from 0, by equal factors, to where less than a share `missing` of the limit can
        still be gained or lost."""
        first = last = 1e-3 / self.rates.max()
        while self.gains.abs() @ torch.exp(-last * self.rates) >= missing * self.limit:
            last = 2 * last
        ends = first.log10().item(), last.log10().item()
        later = torch.logspace(*ends, TIMES, dtype=torch.float64)
        return torch.cat((torch.zeros(1, dtype=torch.float64), later))


class LinearDenoiser:
    """Linear denoiser of one noise level, from W(0) = 0.

    Args:
        moments: of what it learns.
        alpha_bar: signal fraction ᾱ of the level, in (0, 1). Raises Mistake for others.
    """

    def __init__(self, moments: Moments, alpha_bar: float):
        if not 0 < alpha_bar < 1:
            raise Mistake(f"alpha_bar: got {alpha_bar:g}, allowed above 0, below 1")
        self.num_pixels = pixels = moments.num_pixels
        scale = torch.ones(len(moments.second), dtype=torch.float64)
        scale[:pixels] = alpha_bar**0.5
        noise = torch.zeros_like(scale)
        noise[:pixels] = 1 - alpha_bar
        rates, modes = mode_rates(scale[:, None] * moments.second * scale + torch.diag(noise))
        learned = rates > LEAST_RATE * rates[-1]
        self.rates, self.modes = rates[learned], modes[:, learned]
        self._targets = (moments.second[:pixels] * scale) @ self.modes  # C q_i

    def obedience(
        self, displacement: Float[Tensor, "n pixels"], change: Float[Tensor, "n k"]
    ) -> Curve:
        """Obedience of n changes of the condition, pooled: of each the output's answer along the
        displacement that it asks for, Σ⟨D(x_t, c) − D(x_t, c − change), u⟩ / Σ‖u‖².

        It is 0 where the denoiser does not heed the condition, and 1 where it moves the image as
        far as is asked. Being linear, it gives the same answer at every x_t.
        """
        asked = change.double() @ self.modes[self.num_pixels : -1]
        answers = (displacement.double() @ self._targets) * asked
        gains = answers.sum(0) / self.rates / displacement.double().square().sum()
        return Curve(gains, self.rates)
