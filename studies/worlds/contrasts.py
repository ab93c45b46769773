"""Contrasts of a world: fresh scenes of a question, what a model is told of them, and what it would
be told if one concept were another.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from diffusion.denoised import Level
from diffusion.memoriser import joined, posterior


class Answer(NamedTuple):
    """Answer of an ideal denoiser: E[x_0 | x_t] over the scenes that a prompt may mean.

    Attributes:
        mean: float64 (n, c, h, w), in [−1, 1].
        halves: the same from either half of the renders; what they differ by is the error of
            having only so many.
        effective: float64 (n,), how many renders count; infinite if the answer is exact.
    """

    mean: Float[Tensor, "n c h w"]
    halves: tuple[Tensor, Tensor]
    effective: Float[Tensor, " n"]


@dataclass(frozen=True)
class Told:
    """What a model is told of n images, and what it would ideally answer.

    Attributes:
        prompts: of every image its prompt.
        ideal: x_t (n, c, h, w) at a level → the answer.
    """

    prompts: Sequence[str]
    ideal: Callable[[Tensor, Level], Answer]


@dataclass(frozen=True)
class Contrast:
    """Fresh scenes of one question, and every prompt that is one concept away from theirs.

    Attributes:
        combination: name of the question, as in scores.
        split: train or held_out.
        start: number of the question, whose noise its scenes get.
        images: uint8 (n, c, h, w), the scenes. Training never shows them.
        told: what they are.
        others: by concept, in the order of the exam, what is told if that one is changed: once for
            each of its other values.
    """

    combination: str
    split: str
    start: int
    images: UInt8[Tensor, "n c h w"]
    told: Told
    others: Mapping[str, Sequence[Told]]


class Contrasts(ABC):
    """Contrasts of all questions of a world: functions of `evaluate.seed`, whatever was trained.

    Attributes:
        concepts: those that have another value to be changed to.
        count: the number of questions.
    """

    concepts: Sequence[str]
    count: int

    @property
    @abstractmethod
    def calls(self) -> int:
        """Return how often a network is called at one level: for each scene, told what it is and
        then each of the others. Nothing is drawn for that."""

    @abstractmethod
    def contrast(self, place: int) -> Contrast:
        """Return the contrast of one question, by its number."""


def answer_from(
    renders: UInt8[Tensor, "m c h w"], x_t: Float[Tensor, "n c h w"], level: Level
) -> Answer:
    """Answer of the ideal denoiser whose scenes are known by m independent renders, m ≥ 2."""
    alpha, sigma = (
        torch.full((len(x_t), 1, 1, 1), number, dtype=torch.float64)
        for number in (level.alpha, level.sigma)
    )
    middle = len(renders) // 2
    first, second = (
        posterior(half, x_t, alpha, sigma) for half in (renders[:middle], renders[middle:])
    )
    both = joined(first, second)
    return Answer(both.mean, (first.mean, second.mean), both.effective)


def exact_answer(images: UInt8[Tensor, "n c h w"]) -> Answer:
    """Answer where a prompt means one image alone: that image, whatever is seen of it."""
    x_0 = images.double() / 127.5 - 1
    effective = torch.full((len(images),), torch.inf, dtype=torch.float64)
    return Answer(x_0, (x_0, x_0), effective)
