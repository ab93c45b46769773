"""Conditioners that tell a network otherwise than it learned: raw rows → what the U-Net is told.

Each has another conditioner inside, whose weights stay as they are. The null row is told as ever.
"""

import copy
import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from diffusion.conditioning import Condition, NumberConditioner, TextConditioner
from diffusion.prompts import NumberPrompts


class OtherRows(nn.Module):
    """Conditioner that reads other rows in place of some.

    rows, others: (m, k), raw; a row that is none of `rows` is read as it is.
    """

    def __init__(
        self,
        conditioner: NumberConditioner,
        rows: Float[Tensor, "m k"],
        others: Float[Tensor, "m k"],
    ):
        super().__init__()
        self.conditioner, self.rows, self.others = conditioner, nn.Buffer(rows), nn.Buffer(others)

    def forward(self, numbers: Float[Tensor, "n k"]) -> Condition:
        same = _same(numbers, self.rows)
        others = self.others[same.int().argmax(dim=1)]
        return self.conditioner(torch.where(same.any(dim=1, keepdim=True), others, numbers))


class Shifted(nn.Module):
    """Conditioner whose h is shifted where it reads certain rows. Tokens stay as they are.

    rows: (m, k), raw. shifts: float32 (m, d), of each of them.
    """

    def __init__(
        self,
        conditioner: nn.Module,
        rows: Shaped[Tensor, "m k"],
        shifts: Float[Tensor, "m d"],
    ):
        super().__init__()
        self.conditioner, self.rows, self.shifts = conditioner, nn.Buffer(rows), nn.Buffer(shifts)

    def forward(self, inputs: Shaped[Tensor, "n k"]) -> Condition:
        condition, same = self.conditioner(inputs), _same(inputs, self.rows)
        shift = self.shifts[same.int().argmax(dim=1)] * same.any(dim=1, keepdim=True)
        return dataclasses.replace(condition, h=condition.h + shift.to(condition.h))


def with_scaled_words(
    conditioner: TextConditioner, ids: Int[Tensor, " words"], factor: float
) -> TextConditioner:
    """A copy of a conditioner that reads captions, in which the embeddings of some tokens are
    multiplied by a factor."""
    other = copy.deepcopy(conditioner)
    weight = other.text_encoder.get_input_embeddings().weight
    with torch.no_grad():
        weight[ids] *= factor
    return other


def over_prompted(
    prompts: NumberPrompts,
    rows: Float[Tensor, "n k"],
    words: Sequence[str],
    factor: float | None,
    numbers: Sequence[float],
) -> Float[Tensor, "n k"]:
    """Rows of prompts, told beyond the class means of one concept.

    words: of the concept, one for each value. factor: numbers become mean of all values + factor ×
    (number − mean of all values); None: they become `numbers`, one for each entry of the concept.
    """
    entries = [int(entry) for entry in prompts.words[words[0]]]
    mean = torch.tensor([[*prompts.words[word].values()] for word in words]).mean(dim=0)
    others = rows.clone()
    if factor is None:
        others[:, entries] = torch.tensor(numbers)
    else:
        others[:, entries] = mean + factor * (rows[:, entries] - mean)
    return others


def _same(rows: Shaped[Tensor, "n k"], known: Shaped[Tensor, "m k"]) -> Bool[Tensor, "n m"]:
    """Which row is which known one. A row of NaN, the null, is none."""
    return (rows[:, None] == known[None]).all(dim=2)
