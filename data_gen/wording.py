"""Which words each image gets: templates, synonyms, words left out and wrong words, drawn."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from data_gen import streams
from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import ConceptSpace
from data_gen.rates import Rates
from data_gen.splits import Split

ATTEMPTS = 64  # draws of wrong words before an image is called by its right ones


@runtime_checkable  # so that tests can check it
class Captioned(Protocol):
    """What a world must offer to be described."""

    space: ConceptSpace
    split: Split
    captions: CaptionConfig
    captioner: Captioner
    rates: Rates

    @property
    def seed(self) -> int: ...


def write_captions(
    world: Captioned, combination: Int[Tensor, " n"], index: Int[Tensor, " n"]
) -> tuple[tuple[str, ...], Int[Tensor, " n"]]:
    """Captions of images `index`, which show `combination`; each depends on (seed, index) alone.

    Returns the different captions, each once, and for each image which of them is its own.
    """
    kept = _kept(world, combination, index)
    said = _said(world, combination, index, kept)
    choice = torch.cat((_style(world, index), _words(world, index, said, kept)), dim=1)
    used, caption = torch.unique(choice, dim=0, return_inverse=True)
    return tuple(_write(world, *row) for row in used.tolist()), caption


def _write(world: Captioned, template: int, article: int, *places: int) -> str:
    vocabularies = [_all_words(world, name) for name in world.space.names]
    words = [v[p] if p >= 0 else None for v, p in zip(vocabularies, places, strict=True)]
    return world.captioner.write(words, template, bool(article))


def _all_words(world: Captioned, concept: str) -> list[str]:
    """Every word of every value of a concept, in order."""
    values = world.space.values[world.space.names.index(concept)]
    return [word for value in values for word in world.captioner.words[value]]


def _style(world: Captioned, index: Tensor) -> Int[Tensor, "n 2"]:
    """Template, and whether articles are said."""
    count = len(world.captioner.templates)
    template = streams.integers(world.seed, "captions.template", 0, index, count)
    u = streams.uniform(world.seed, "captions.article", 0, index)[:, 0]
    return torch.stack((template, (u >= world.captions.drop_article).long()), dim=1)


def _kept(world: Captioned, combination: Tensor, index: Tensor) -> Bool[Tensor, "n concepts"]:
    """Which concepts are named. If none would be, one is, by the odds of being kept."""
    rate = torch.tensor(world.rates.drop_word)[combination]
    concepts = rate.shape[1]
    u = streams.uniform(world.seed, "captions.drop", 0, index, concepts + 1)
    kept = u[:, :concepts] >= rate
    share = (1 - rate).cumsum(dim=1)
    spared = (u[:, concepts:] * share[:, -1:] >= share).sum(dim=1).clamp(max=concepts - 1)
    kept[torch.arange(len(kept)), spared] |= ~kept.any(dim=1)
    return kept


def _said(
    world: Captioned, combination: Tensor, index: Tensor, kept: Tensor
) -> Int[Tensor, "n concepts"]:
    """Place of the value named for each concept: the right one, or a wrong one at its rate.

    Drawn anew where all words together would spell a held-out combination that is not shown.
    """
    space = world.space
    right = torch.tensor([space.value_indices(c) for c in space.combinations])[combination]
    rate = torch.tensor(world.rates.wrong_word)[combination]
    full = kept.all(dim=1) & ~_held_out(world, right)
    said, rows = right.clone(), torch.nonzero(rate.sum(dim=1))[:, 0]
    for attempt in range(ATTEMPTS):
        if not len(rows):
            return said
        said[rows] = _slip(world, right[rows], rate[rows], index[rows], attempt)
        rows = rows[full[rows] & _held_out(world, said[rows])]
    said[rows] = right[rows]
    return said


def _slip(world: Captioned, right: Tensor, rate: Tensor, index: Tensor, attempt: int) -> Tensor:
    """With probability `rate`, another value than the right one, evenly."""
    concepts = right.shape[1]
    u = streams.uniform(world.seed, "captions.wrong", attempt, index, 2 * concepts)
    count = torch.tensor([len(values) for values in world.space.values])
    other = (right + 1 + (u[:, concepts:] * (count - 1)).long()) % count
    return torch.where(u[:, :concepts] < rate, other, right)


def _held_out(world: Captioned, said: Tensor) -> Tensor:
    space = world.space
    names = [space.value_indices(c) for c in world.split.held_out]
    if not names:
        return torch.zeros(len(said), dtype=torch.bool)
    return (said[:, None, :] == torch.tensor(names)[None]).all(dim=2).any(dim=1)


def _words(
    world: Captioned, index: Tensor, said: Tensor, kept: Tensor
) -> Int[Tensor, "n concepts"]:
    """Place among all words of each concept; −1 where it is left out."""
    u = streams.uniform(world.seed, "captions.synonym", 0, index, len(world.space.names))
    columns = []
    for i, values in enumerate(world.space.values):
        count = torch.tensor([len(world.captioner.words[value]) for value in values])
        first = count.cumsum(0) - count
        columns.append(first[said[:, i]] + (u[:, i] * count[said[:, i]]).long())
    return torch.where(kept, torch.stack(columns, dim=1), -1)
