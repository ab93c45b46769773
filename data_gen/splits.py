"""Which combinations train and which are held out. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from data_gen.concepts import Combination, ConceptSpace
from data_gen.sets import read_set
from ground.endings import Mistake, gather, refuse


@dataclass(frozen=True)
class Split:
    """Train and held-out combinations, in the order of `ConceptSpace.combinations`."""

    train: tuple[Combination, ...]
    held_out: tuple[Combination, ...]

    def of(self, combination: Combination) -> str:
        return "held_out" if combination in self.held_out else "train"


def make_split(space: ConceptSpace, held_out: Sequence[str]) -> Split:
    """Hold out the union of the sets named (the language of sets.py); all others train.

    Raises Mistake if a value is never seen in training: nothing could teach it.
    """
    texts = dict.fromkeys(held_out)
    sets = gather({text: partial(read_set, space, text, "world.held_out") for text in texts})
    removed: frozenset[Combination] = frozenset().union(*sets.values())
    train = tuple(c for c in space.combinations if c not in removed)
    if not train:
        raise Mistake("world.held_out: takes every combination; leave some for training")
    refuse(
        f"world.held_out: hides the {space.words[value]} {value!r} completely; "
        f"leave at least one combination with it in training"
        for value in space.words
        if not any(value in combination for combination in train)
    )
    return Split(train, tuple(c for c in space.combinations if c in removed))


def weigh(
    space: ConceptSpace,
    split: Split,
    frequencies: Mapping[str, float],
    correlations: Mapping[str, float],
) -> tuple[float, ...]:
    """Relative frequency of each training combination, all positive.

    frequencies: set (the language of sets.py) → weight, later ones override; others weigh 1.
    correlations: "shape color" → strength in [0, 1): were nothing held out, the second concept
    would with that probability take the value in the same place as the first's (modulo their
    number), and else any. Holding combinations out takes its share of either.
    """
    weight = dict.fromkeys(split.train, 1.0)
    for text, frequency in frequencies.items():
        key = f"world.frequencies[{text!r}]"
        if not 1e-9 <= frequency <= 1e9:
            raise Mistake(
                f"{key}: got {frequency}, allowed 1e-9 to 1e9; "
                f"world.held_out takes what is never shown"
            )
        named = read_set(space, text, key) & set(split.train)
        if not named:
            raise Mistake(f"{key}: names no training combination")
        weight.update(dict.fromkeys(named, frequency))
    for text, strength in correlations.items():
        factor = _correlation(space, text, strength)
        weight = {c: w * factor[c] for c, w in weight.items()}
    return tuple(weight.values())


def _correlation(space: ConceptSpace, text: str, strength: float) -> dict[Combination, float]:
    key, pair = f"world.correlations[{text!r}]", text.split()
    if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(space.names):
        raise Mistake(f"{key}: must name two of the concepts {', '.join(space.names)}")
    if not 0 <= strength < 1:
        raise Mistake(
            f"{key}: got {strength}, allowed 0 to below 1; world.held_out takes what is never shown"
        )
    first, second = (space.names.index(name) for name in pair)
    count, factor = len(space.values[second]), {}
    for combination in space.combinations:
        places = space.value_indices(combination)
        together = places[first] % count == places[second]
        factor[combination] = (1 - strength) / count + strength * together
    return factor


def share_out(weights: Sequence[float] | Sequence[int], total: int) -> list[int]:
    """Whole numbers in proportion to `weights` that sum to `total` (largest remainders)."""
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
