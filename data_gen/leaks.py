"""The proof that training never shows or names what is held out. Imports no torch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_gen.captions import Captioner
from data_gen.concepts import Combination, ConceptSpace
from data_gen.looks import Lookalikes, as_seen
from data_gen.splits import Split
from ground.endings import Mistake


@dataclass(frozen=True)
class LeakReport:
    """What the leak check counted.

    Attributes:
        images, captions: training images and different captions looked at.
        partial: captions that leave a concept open; covering: those of them that fit a held-out
            combination too, beside training ones.
        marginals: training images per value.
        ranges: factor → the numbers held out, and what a model would have to do to reach them.
        looks: what else was found of images that look like those that training does not show.
    """

    images: int
    captions: int
    partial: int
    covering: int
    marginals: dict[str, int]
    ranges: dict[str, str] = field(default_factory=dict)
    looks: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        ranges = [f"no {factor} in {text}" for factor, text in self.ranges.items()]
        seen = ", ".join(f"{value} {count}" for value, count in self.marginals.items())
        return [
            f"leak check: 0 of {self.images} training images show a held-out combination"
            + "".join(f"; {text}" for text in ranges),
            f"leak check: 0 of {self.captions} different captions name only held-out "
            f"combinations; {self.partial} leave a concept open, of which {self.covering} fit one "
            f"as well",
            *(f"leak check: {text}" for text in self.looks),
            f"training images per value: {seen}",
        ]


class LeakCheck:
    """Proves that no training scene is held out, and that every training caption fits a combination
    that is not, whatever words it leaves out.

    Reads what training really gets, not what it was asked to get, piece by piece: memory does not
    grow with the number of images.
    """

    def __init__(
        self,
        space: ConceptSpace,
        split: Split,
        captioner: Captioner,
        ranges: Mapping[str, Sequence[float]],
        lookalikes: Lookalikes | None = None,
    ):
        """lookalikes: of a world of shapes, whose numbers say how its scenes look."""
        self.space, self.split, self.captioner, self.ranges = space, split, captioner, ranges
        self.lookalikes, self.alike = lookalikes, 0  # images that look as what is held out may
        self.alike_pairs: Counter[tuple[int, int]] = Counter()  # the same by combinations
        self.images = 0
        self.shown: Counter[Combination] = Counter()  # training images by combination
        self.captions: dict[str, dict[str, str]] = {}  # caption → what it names
        self.marginals = {value: 0 for values in space.values for value in values}
        self.sides: dict[str, set[str]] = {factor: set() for factor in ranges}

    def add(
        self,
        shown: Sequence[Combination],
        captions: Iterable[str],
        numbers: Mapping[str, np.ndarray],
    ) -> None:
        """More images: their combinations, captions, and factor → float (n, channels).

        Raises Mistake on a leak, naming the image or the caption.
        """
        for combination, count in Counter(shown).items():
            if combination in self.split.held_out:
                i = self.images + list(shown).index(combination)
                name = self.space.name(combination)
                raise Mistake(f"leak: training image {i} shows held-out {name!r}")
            self.shown[combination] += count
            for value in combination:
                self.marginals[value] += count
        for factor, limits in self.ranges.items():
            seen = numbers[factor]
            if self.lookalikes and factor == "rotation":
                turn = self.lookalikes.turns[numbers["shape"].astype(int)]
                seen = as_seen(seen.astype(float), limits[0], limits[1], turn).astype(np.float32)
            self._add_numbers(factor, seen, *limits)
        if self.lookalikes:
            self._add_looks(self.lookalikes, shown, numbers)
        for caption in captions:
            if caption not in self.captions:
                self._add_caption(caption)
        self.images += len(shown)

    def _add_numbers(self, factor: str, numbers: np.ndarray, low: float, high: float) -> None:
        inside = ((numbers >= low) & (numbers <= high)).any(axis=1)
        if inside.any():
            i = int(inside.argmax())
            found = numbers[i].tolist()
            raise Mistake(f"leak: training image {self.images + i} has {factor} {found}, held out")
        found_on = {"below": (numbers < low).any(), "above": (numbers > high).any()}
        self.sides[factor] |= {side for side, found in found_on.items() if found}

    def _add_looks(
        self,
        lookalikes: Lookalikes,
        shown: Sequence[Combination],
        numbers: Mapping[str, np.ndarray],
    ) -> None:
        index, held_out = (
            np.array([self.space.index(c) for c in some], dtype=int)
            for some in (shown, self.split.held_out)
        )
        count, pairs = lookalikes.count(index, numbers, held_out)
        self.alike += count
        self.alike_pairs += pairs

    def _add_caption(self, caption: str) -> None:
        named = self.captioner.parse(caption)
        if not _fits(named, self.split.train):
            raise Mistake(f"leak: training caption {caption!r} names only held-out combinations")
        self.captions[caption] = named

    def report(self) -> LeakReport:
        partial = [n for n in self.captions.values() if len(n) < len(self.space.names)]
        return LeakReport(
            images=self.images,
            captions=len(self.captions),
            partial=len(partial),
            covering=sum(_fits(named, self.split.held_out) for named in partial),
            marginals=self.marginals,
            ranges={factor: self._range(factor) for factor in self.ranges},
            looks=(self._looks(),) if self.lookalikes and self.split.held_out else (),
        )

    def _looks(self) -> str:
        most = ""
        for (i, j), count in self.alike_pairs.most_common(1):
            shown, hidden = (self.space.name(self.space.combinations[k]) for k in (i, j))
            most = f"; {count} of them {shown!r} as {hidden!r}"
        return (
            f"{self.alike} of {self.images} training images have numbers of a held-out combination"
            + most
        )

    def _range(self, factor: str) -> str:
        low, high = self.ranges[factor]
        between = len(self.sides[factor]) == 2
        return f"[{low:g}, {high:g}] ({'inter' if between else 'extra'}polation)"


def _fits(named: Mapping[str, str], combinations: Iterable[Combination]) -> bool:
    """Whether any of some combinations has all values that are named."""
    return any(set(named.values()) <= set(combination) for combination in combinations)
