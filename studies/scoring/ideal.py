"""Ideal denoiser of a contrast at a noise level: its answer, and how each concept moves it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diffusion.denoised import Level, noisy
from ground import streams
from studies.worlds.contrasts import Answer, Contrast, Told

LEAST_EFFECTIVE = 10  # renders that count, of a scene in the middle
MOST_ERROR = 0.25  # of how far a concept moves the answer; at this, obedience reads 6 % too low


@dataclass(frozen=True)
class Ideal:
    """Ideal denoiser of one contrast at one level, d numbers an image, in [−1, 1].

    Attributes:
        x_t: float32 (n, c, h, w), the noisy scenes: the same at every snapshot and in every run of
            this world.
        answer: float32 (n, d), D*_p.
        moves: float32 (k, n, d), u_k: the answer minus the mean of those that it would give if
            concept k had any of its other values.
        move_errors: float64 (n, k), the expected square of the Monte-Carlo error of u_k, mean over
            the d numbers.
        answer_error: float64 (n,), the same of D*_p.
        least_error: float64 (n,), (x_0 − D*_p)², mean over the numbers: what no denoiser can know.
        effective: float64 (n, k), the least of the renders that count for u_k.
    """

    x_t: Float[Tensor, "n c h w"]
    answer: Float[Tensor, "n d"]
    moves: Float[Tensor, "k n d"]
    move_errors: Float[Tensor, "n k"]
    answer_error: Float[Tensor, " n"]
    least_error: Float[Tensor, " n"]
    effective: Float[Tensor, "n k"]

    def refusals(self, renders: int) -> list[str | None]:
        """Return of each concept why it cannot be measured at this level, on one line, or None."""
        effective = self.effective.quantile(0.5, dim=0).tolist()
        moved, error = self.moves.double().square().mean((1, 2)), self.move_errors.mean(0)
        shares = (error / moved).sqrt().tolist()
        return [_refusal(e, share, renders) for e, share in zip(effective, shares, strict=True)]


def _refusal(effective: float, share: float, renders: int) -> str | None:
    if effective < LEAST_EFFECTIVE:
        return f"{effective:.1f} of {renders} renders count, allowed {LEAST_EFFECTIVE} or more"
    if np.isnan(share):
        return "the concept moves the ideal answer by nothing"
    if share > MOST_ERROR:
        return f"the Monte-Carlo error is {share:.2f} of the move, allowed up to {MOST_ERROR}"
    return None


def ideal_of(contrast: Contrast, level: Level, seed: int) -> Ideal:
    """Return the ideal denoiser of a contrast. seed: `evaluate.seed`, of the noise."""
    x_0 = contrast.images.float() / 127.5 - 1
    width, index = x_0[0].numel(), torch.arange(len(x_0))
    eps = streams.normal(seed, "denoiser.noise", contrast.start, index, width).view_as(x_0)
    x_t = noisy(x_0, eps, level)
    own = contrast.told.ideal(x_t, level)
    moves = [_move(own, others, x_t, level) for others in contrast.others.values()]
    return Ideal(
        x_t=x_t,
        answer=own.mean.flatten(1).float(),
        moves=torch.stack([move.mean for move in moves]).flatten(2).float(),
        move_errors=torch.stack([_error(move) for move in moves], dim=1),
        answer_error=_error(own),
        least_error=(x_0.double() - own.mean).square().flatten(1).mean(1),
        effective=torch.stack([move.effective for move in moves], dim=1),
    )


def _move(own: Answer, others: Sequence[Told], x_t: Tensor, level: Level) -> Answer:
    """Return the answer minus the mean of the others', as if it were an answer itself."""
    changed = [told.ideal(x_t, level) for told in others]
    halves = [own.halves[i] - sum(one.halves[i] for one in changed) / len(changed) for i in (0, 1)]
    return Answer(
        mean=own.mean - sum(one.mean for one in changed) / len(changed),
        halves=(halves[0], halves[1]),
        effective=torch.stack([own.effective, *(one.effective for one in changed)]).amin(0),
    )


def _error(answer: Answer) -> Float[Tensor, " n"]:
    """Expected square of the error of the mean of two halves, by how far they are apart."""
    first, second = answer.halves
    return (first - second).square().flatten(1).mean(1) / 4
