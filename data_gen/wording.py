"""Wording of an image's caption: how its template, synonyms, dropped and wrong words are drawn.

A wrong word names another value of its concept, each as likely. For images of training combinations
it is drawn anew where the caption would fit held-out combinations alone.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import ConceptSpace
from data_gen.splits import Split
from data_gen.word_rates import Rates
from ground import streams

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
    world: Captioned, combination: Int[Tensor, " n"], index: Int[Tensor, " n"], purpose: str
) -> tuple[tuple[str, ...], Int[Tensor, " n"]]:
    """Captions of images `index` of a stream, which show `combination`.

    Each depends on (seed, purpose, index) and its combination alone.

    Returns the different captions, each once, and for each image which of them is its own.
    """
    draw = _Draw(world, purpose, index)
    kept = _kept(draw, combination)
    said = _said(draw, combination, kept)
    choice = torch.cat((_style(draw), _words(draw, said, kept)), dim=1)
    used, caption = torch.unique(choice, dim=0, return_inverse=True)
    return tuple(_write(world, *row) for row in used.tolist()), caption


@dataclass(frozen=True)
class _Draw:
    """Random numbers for the captions of some images."""

    world: Captioned
    purpose: str
    index: Tensor

    def uniform(self, what: str, width: int = 1, attempt: int = 0) -> Tensor:
        stream = f"{self.purpose}.captions.{what}"
        return streams.uniform(self.world.seed, stream, attempt, self.index, width)

    def of(self, rows: Tensor) -> "_Draw":
        return replace(self, index=self.index[rows])


def _write(world: Captioned, template: int, article: int, *places: int) -> str:
    vocabularies = [_all_words(world, name) for name in world.space.names]
    words = [v[p] if p >= 0 else None for v, p in zip(vocabularies, places, strict=True)]
    return world.captioner.write(words, template, bool(article))


def _all_words(world: Captioned, concept: str) -> list[str]:
    """Every word of every value of a concept, in order."""
    values = world.space.values[world.space.names.index(concept)]
    return [word for value in values for word in world.captioner.words[value]]


def _style(draw: _Draw) -> Int[Tensor, "n 2"]:
    """Template, and whether articles are said."""
    u = draw.uniform("style", 2)
    template = (u[:, 0] * len(draw.world.captioner.templates)).long()
    return torch.stack((template, (u[:, 1] >= draw.world.captions.drop_article).long()), dim=1)


def _kept(draw: _Draw, combination: Tensor) -> Bool[Tensor, "n concepts"]:
    """Which concepts are named. If none would be, one is, by the odds of being kept."""
    rate = torch.tensor(draw.world.rates.drop_word)[combination]
    concepts = rate.shape[1]
    u = draw.uniform("drop", concepts + 1)
    kept = u[:, :concepts] >= rate
    share = (1 - rate).cumsum(dim=1)
    spared = (u[:, concepts:] * share[:, -1:] >= share).sum(dim=1).clamp(max=concepts - 1)
    kept[torch.arange(len(kept)), spared] |= ~kept.any(dim=1)
    return kept


def _said(draw: _Draw, combination: Tensor, kept: Tensor) -> Int[Tensor, "n concepts"]:
    """Place of the value named for each concept: the right one, or a wrong one at its rate.

    Drawn anew where the words that are kept would name only held-out combinations, unless such a
    one is shown.
    """
    space = draw.world.space
    places = torch.tensor([space.value_indices(c) for c in space.combinations])
    right, rate = places[combination], torch.tensor(draw.world.rates.wrong_word)[combination]
    said, rows = right.clone(), torch.nonzero(rate.sum(dim=1))[:, 0]
    trains = _trains(draw.world, places)
    shown = trains[right.unbind(dim=1)]
    for attempt in range(ATTEMPTS):
        if not len(rows):
            return said
        said[rows] = _slip(draw.of(rows), right[rows], rate[rows], attempt)
        rows = rows[shown[rows] & ~trains[_place(trains, said[rows], kept[rows])]]
    said[rows] = right[rows]
    return said


def _slip(draw: _Draw, right: Tensor, rate: Tensor, attempt: int) -> Tensor:
    """With probability `rate`, another value than the right one, evenly."""
    concepts = right.shape[1]
    u = draw.uniform("wrong", 2 * concepts, attempt)
    count = torch.tensor([len(values) for values in draw.world.space.values])
    other = (right + 1 + (u[:, concepts:] * (count - 1)).long()) % count
    return torch.where(u[:, :concepts] < rate, other, right)


def _trains(world: Captioned, places: Int[Tensor, "combinations concepts"]) -> Bool[Tensor, "..."]:
    """Whether a training combination has these values: a place per value of each concept, and a
    last one that stands for any of them."""
    trains = torch.zeros([len(values) for values in world.space.values], dtype=torch.bool)
    train = [world.space.index(combination) for combination in world.split.train]
    trains[places[train].unbind(dim=1)] = True
    for i in range(trains.dim()):
        trains = torch.cat((trains, trains.any(dim=i, keepdim=True)), dim=i)
    return trains


def _place(trains: Tensor, said: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
    """Where `_trains` has the values said, of which only those kept count."""
    anything = torch.tensor(trains.shape) - 1
    return torch.where(kept, said, anything).unbind(dim=1)


def _words(draw: _Draw, said: Tensor, kept: Tensor) -> Int[Tensor, "n concepts"]:
    """Place among all words of each concept; −1 where it is left out."""
    space, words = draw.world.space, draw.world.captioner.words
    u = draw.uniform("synonym", len(space.names))
    columns = []
    for i, values in enumerate(space.values):
        count = torch.tensor([len(words[value]) for value in values])
        first = count.cumsum(0) - count
        columns.append(first[said[:, i]] + (u[:, i] * count[said[:, i]]).long())
    return torch.where(kept, torch.stack(columns, dim=1), -1)
