"""Which combinations train and which are held out, and the proof that none leaks. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_gen.captions import Captioner
from data_gen.concepts import Combination, ConceptSpace
from data_gen.endings import Mistake


@dataclass(frozen=True)
class Split:
    """Train and held-out combinations, in the order of `ConceptSpace.combinations`."""

    train: tuple[Combination, ...]
    held_out: tuple[Combination, ...]

    def of(self, combination: Combination) -> str:
        return "held_out" if combination in self.held_out else "train"


def make_split(space: ConceptSpace, held_out: Sequence[str]) -> Split:
    """Hold out the combinations named, such as "circle blue small"; all others train.

    Raises Mistake if a value is never seen in training: nothing could teach it.
    """
    removed = {space.read_combination(text, "world.held_out") for text in held_out}
    train = tuple(c for c in space.combinations if c not in removed)
    for place, (name, values) in enumerate(space.items()):
        for value in values:
            if all(combination[place] != value for combination in train):
                raise Mistake(
                    f"world.held_out: hides the {name} {value!r} completely; "
                    f"leave at least one combination with it in training"
                )
    return Split(train, tuple(c for c in space.combinations if c in removed))


@dataclass(frozen=True)
class LeakReport:
    """What the leak check counted."""

    images: int
    captions: int
    partial: int
    marginals: dict[str, int]

    def lines(self) -> list[str]:
        seen = ", ".join(f"{value} {count}" for value, count in self.marginals.items())
        return [
            f"leak check: 0 of {self.images} training images show a held-out combination",
            f"leak check: 0 of {self.captions} different captions name one; "
            f"{self.partial} leave a concept open",
            f"training images per value: {seen}",
        ]


def check_leaks(
    space: ConceptSpace,
    split: Split,
    captioner: Captioner,
    scenes: Iterable[Combination],
    captions: Iterable[str],
) -> LeakReport:
    """Prove that no training scene is, and no full training caption names, a held-out combination.

    Reads what training really gets, not what it was asked to get. Raises Mistake on a leak.
    """
    held_out = set(split.held_out)
    shown = list(scenes)
    for i, combination in enumerate(shown):
        if combination in held_out:
            raise Mistake(f"leak: training image {i} shows held-out {space.name(combination)!r}")
    different = set(captions)
    parsed = {caption: captioner.parse(caption) for caption in different}
    full = {c: v for c, v in parsed.items() if len(v) == len(space.names)}
    for caption, found in full.items():
        if tuple(found[name] for name in space.names) in held_out:
            raise Mistake(f"leak: training caption {caption!r} names a held-out combination")
    counts = {value: 0 for values in space.values for value in values}
    for combination in shown:
        for value in combination:
            counts[value] += 1
    return LeakReport(len(shown), len(different), len(different) - len(full), counts)
