"""Rates of dropped and wrong words: per concept, or for some combinations. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from data_gen.captions import CaptionConfig
from data_gen.concepts import ConceptSpace
from data_gen.sets import read_set
from ground.endings import Mistake, nearest


@dataclass(frozen=True)
class Rates:
    """Rates by combination (rows) and concept (columns), as nested tuples (K, concepts)."""

    drop_word: tuple[tuple[float, ...], ...]
    wrong_word: tuple[tuple[float, ...], ...]


def read_rates(space: ConceptSpace, config: CaptionConfig) -> Rates:
    """Read the rates of a config. Raises Mistake for unknown concepts, rates out of [0, 1], and
    captions left without words."""
    if not 0 <= config.drop_article <= 1:
        raise Mistake(f"captions.drop_article: got {config.drop_article}, allowed 0 to 1")
    drop = _table(space, config.drop_word, "captions.drop_word")
    wrong = _table(space, config.wrong_word, "captions.wrong_word")
    for combination, rates in zip(space.combinations, drop, strict=True):
        if min(rates) == 1:
            raise Mistake(f"captions.drop_word: leaves no word of {space.name(combination)!r}")
    for name, values in space.items():
        place = space.names.index(name)
        if len(values) == 1 and any(row[place] > 0 for row in wrong):
            raise Mistake(f"captions.wrong_word: {name} has no other value than {values[0]!r}")
    return Rates(drop, wrong)


def _table(
    space: ConceptSpace, rates: Mapping[str, float], key: str
) -> tuple[tuple[float, ...], ...]:
    table = {combination: dict.fromkeys(space.names, 0.0) for combination in space.combinations}
    for text, rate in rates.items():
        name, of, which = text.partition(" of ")
        if of and not which.strip():
            raise Mistake(f"{key}[{text!r}]: say of which combinations, or leave 'of' out")
        if name not in space.names:
            raise Mistake(
                f"{key}: unknown concept {name!r}{nearest(name, space.names)}; "
                f"allowed: {', '.join(space.names)}, or such as '{space.names[0]} of all'"
            )
        if not 0 <= rate <= 1:
            raise Mistake(f"{key}[{text!r}]: got {rate}, allowed 0 to 1")
        for combination in _combinations(space, which, f"{key}[{text!r}]"):
            table[combination][name] = rate
    return tuple(tuple(row.values()) for row in table.values())


def _combinations(space: ConceptSpace, which: str, key: str) -> frozenset:
    """'' → all; plain words → all combinations with them; else a set."""
    if all(word in space.words for word in which.replace("|", " ").split()):
        return space.read_pattern(which, key)
    return read_set(space, which, key)
