"""The proof that training never shows or names what is held out. Imports no torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_gen.captions import Captioner
from data_gen.concepts import Combination, ConceptSpace
from data_gen.endings import Mistake
from data_gen.splits import Split


@dataclass(frozen=True)
class LeakReport:
    """What the leak check counted.

    Attributes:
        images, captions: training images and different captions looked at.
        partial: captions that leave a concept open; covering: those of them that a held-out
            combination fits as well.
        marginals: training images per value.
        ranges: factor → the numbers held out, and what a model would have to do to reach them.
    """

    images: int
    captions: int
    partial: int
    covering: int
    marginals: dict[str, int]
    ranges: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        ranges = [f"no {factor} in {text}" for factor, text in self.ranges.items()]
        seen = ", ".join(f"{value} {count}" for value, count in self.marginals.items())
        return [
            f"leak check: 0 of {self.images} training images show a held-out combination"
            + "".join(f"; {text}" for text in ranges),
            f"leak check: 0 of {self.captions} different captions name one; "
            f"{self.partial} leave a concept open, of which {self.covering} fit one as well",
            f"training images per value: {seen}",
        ]


def check_leaks(
    space: ConceptSpace,
    split: Split,
    captioner: Captioner,
    scenes: Iterable[Combination],
    captions: Iterable[str],
    numbers: Mapping[str, np.ndarray],
    ranges: Mapping[str, Sequence[float]],
) -> LeakReport:
    """Prove that no training scene is, and no full training caption names, a held-out combination.

    Reads what training really gets, not what it was asked to get. Raises Mistake on a leak.
    numbers: factor → float (n, channels) of the scenes; ranges: factor → (low, high) held out.
    """
    shown = list(scenes)
    _check_scenes(space, split, shown)
    sides = {name: _check_range(name, numbers[name], limits) for name, limits in ranges.items()}
    partial, covering, different = _check_captions(space, split, captioner, captions)
    counts = {value: 0 for values in space.values for value in values}
    for combination in shown:
        for value in combination:
            counts[value] += 1
    return LeakReport(len(shown), different, partial, covering, counts, sides)


def _check_scenes(space: ConceptSpace, split: Split, shown: list[Combination]) -> None:
    held_out = set(split.held_out)
    for i, combination in enumerate(shown):
        if combination in held_out:
            raise Mistake(f"leak: training image {i} shows held-out {space.name(combination)!r}")


def _check_range(name: str, numbers: np.ndarray, limits: Sequence[float]) -> str:
    low, high = limits
    inside = ((numbers >= low) & (numbers <= high)).any(axis=1)
    if inside.any():
        i = int(inside.argmax())
        raise Mistake(f"leak: training image {i} has {name} {numbers[i].tolist()}, held out")
    between = (numbers < low).any() and (numbers > high).any()
    return f"[{low:g}, {high:g}] ({'inter' if between else 'extra'}polation)"


def _check_captions(
    space: ConceptSpace, split: Split, captioner: Captioner, captions: Iterable[str]
) -> tuple[int, int, int]:
    """How many different captions are partial, cover a held-out combination, and are there."""
    different = set(captions)
    partial = covering = 0
    for caption in different:
        found = captioner.parse(caption)
        fits = [c for c in split.held_out if set(found.values()) <= set(c)]
        if len(found) == len(space.names) and fits:
            raise Mistake(f"leak: training caption {caption!r} names a held-out combination")
        partial += len(found) < len(space.names)
        covering += bool(fits)
    return partial, covering, len(different)
