"""Concepts, their values and words; a combination gives one value per concept. Imports no torch."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from data_gen.factors import FACTORS, Factor
from data_gen.places import how_to_place, what_is_near
from data_gen.reserved import check_value
from ground.endings import Mistake, check_all, nearest, refuse


@dataclass(frozen=True)
class Concept:
    """One axis of concept space. In YAML: a list of values, or a mapping with these keys.

    Attributes:
        values: words, in the order of the probe's outputs.
        signal: how far apart the class means lie: RGB units, half-frames or degrees. None: .7 of
            color, .3 of size, .6 of x and y, .4 of background; of rotation it must be given.
        jitter: half-width of the uniform spread within a value, same unit. None: a share of the
            signal (1/8; 3/8 for size), as in arXiv:2406.19370.
        spans: places of its own for some values, instead of those of the table and the signal:
            one number per channel is a mean (it gets the jitter); two per channel are the lowest
            and then the highest values (uniform between). Any word may be given a place.
    """

    values: tuple[str, ...]
    signal: float | None = None
    jitter: float | None = None
    spans: dict[str, tuple[float, ...]] = field(default_factory=dict)


def with_signals(concepts: Mapping[str, Concept]) -> dict[str, Concept]:
    """The concepts, each with the signal of its factor where it needs one and gives none."""
    return {
        name: replace(concept, signal=FACTORS[name].signal)
        if name in FACTORS and concept.signal is None and _needs_signal(FACTORS[name], concept)
        else concept
        for name, concept in concepts.items()
    }


def _needs_signal(factor: Factor, concept: Concept) -> bool:
    return factor.channels > 0 and not set(concept.values) <= set(concept.spans)


@dataclass(frozen=True)
class Placement:
    """Where the values of a concept of numbers lie: uniform in mean ± spread, per channel.

    Attributes:
        mean, spread: float32 (values, channels).
    """

    mean: np.ndarray
    spread: np.ndarray


def place(name: str, concept: Concept) -> Placement:
    """The class means and jitters of a concept of numbers (color, size, …), as float32."""
    factor = FACTORS[name]
    pairs = [_place_value(factor, concept, value) for value in concept.values]
    mean, spread = (np.stack(column).astype(np.float32) for column in zip(*pairs, strict=True))
    return Placement(mean, spread)


def _place_value(factor: Factor, concept: Concept, value: str) -> tuple[np.ndarray, np.ndarray]:
    signal = concept.signal or 0.0
    jitter = signal * factor.jitter_share if concept.jitter is None else concept.jitter
    spread = np.full(factor.channels, jitter, np.float32)
    if value not in concept.spans:
        direction = np.array(factor.words[value], np.float32)
        return np.float32(factor.centre) + direction * np.float32(signal / 2), spread
    span = np.array(concept.spans[value])
    if len(span) == factor.channels:
        return span, spread
    low, high = np.split(span, 2)
    return (low + high) / 2, (high - low) / 2


Combination = tuple[str, ...]


class ConceptSpace:
    """The product of all concepts: names, combinations and the numbers they are stored under."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]):
        self.names = tuple(values)
        self.values = tuple(tuple(v) for v in values.values())
        self.words = {word: name for name, values in self.items() for word in values}
        self.combinations: tuple[Combination, ...] = tuple(itertools.product(*self.values))
        self._index = {combination: i for i, combination in enumerate(self.combinations)}

    def __len__(self) -> int:
        return len(self.combinations)

    def items(self):
        return zip(self.names, self.values, strict=True)

    def index(self, combination: Combination) -> int:
        return self._index[combination]

    def name(self, combination: Combination) -> str:
        return " ".join(combination)

    def value_indices(self, combination: Combination) -> tuple[int, ...]:
        """Place of each value within its concept: the targets of the probe."""
        pairs = zip(self.values, combination, strict=True)
        return tuple(values.index(value) for values, value in pairs)

    def read_words(self, words: list[str], key: str) -> dict[str, str]:
        """Read value words in any order as {concept: value}. Raises Mistake, naming `key`."""
        found: dict[str, str] = {}
        for word in words:
            if word not in self.words:
                hint = nearest(word, tuple(self.words))
                raise Mistake(f"{key}: unknown value {word!r}{hint}; known: {self.listing()}")
            concept = self.words[word]
            if found.setdefault(concept, word) != word:
                raise Mistake(f"{key}: contradictory {concept}: {found[concept]!r} and {word!r}")
        return found

    def read_pattern(self, text: str, key: str) -> frozenset[Combination]:
        """Read 'blue circle|square' as all combinations with these values, '' as all."""
        allowed: dict[str, set[str]] = {}
        for group in text.split():
            words = group.split("|")
            concepts = {self.words[word] for word in words if self.read_words([word], key)}
            if len(concepts) > 1:
                raise Mistake(f"{key}: {group!r} mixes {' and '.join(sorted(concepts))}")
            concept = concepts.pop()
            if concept in allowed:
                raise Mistake(f"{key}: {text!r} gives {concept} twice; write a|b for either")
            allowed[concept] = set(words)
        return frozenset(
            combination
            for combination in self.combinations
            if all(combination[self.names.index(c)] in words for c, words in allowed.items())
        )

    def listing(self) -> str:
        return "; ".join(f"{name}: {', '.join(values)}" for name, values in self.items())


def check_values(values: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse an empty space, doubled values, words shared by two concepts, and no words at all."""
    if not values:
        raise Mistake("world.concepts: is empty; give at least one concept and its values")
    owners: dict[str, str] = {}
    for name, words in values.items():
        key = f"world.concepts.{name}"
        if len(set(words)) != len(words) or not words:
            raise Mistake(f"{key}: needs one or more different values, got {words}")
        for word in words:
            check_value(word, key)
            if owners.setdefault(word, name) != name:
                raise Mistake(f"{key}: the value {word!r} is one of {owners[word]} too")


def check_concepts(concepts: Mapping[str, Concept]) -> None:
    """Refuse unknown concepts and values, and places out of range or on top of each other."""
    check_all(*(partial(_check_concept, name, concept) for name, concept in concepts.items()))
    check_values({name: concept.values for name, concept in concepts.items()})
    ranged = [name for name in concepts if FACTORS[name].channels]
    check_all(*(partial(_check_range, name, concepts[name]) for name in ranged))


def _check_concept(name: str, concept: Concept) -> None:
    key = f"world.concepts.{name}"
    if name not in FACTORS:
        hint = nearest(name, tuple(FACTORS))
        raise Mistake(f"{key}: unknown concept{hint}; {list(FACTORS)}")
    factor = FACTORS[name]
    checks = [_check_words, *([_check_spans, _check_signal] if factor.channels else [])]
    check_all(*(partial(check, key, factor, concept) for check in checks))


def _check_words(key: str, factor: Factor, concept: Concept) -> None:
    refuse(_wrong_words(key, factor, concept))


def _wrong_words(key: str, factor: Factor, concept: Concept) -> Iterator[str]:
    known = (*factor.words, *concept.spans)
    unknown = tuple(value for value in concept.values if value not in known)
    for value in unknown:
        hint, place = what_is_near(value, factor, known), ""
        if factor.channels:
            name = key.rpartition(".")[2]
            place = f"; or give it a place: {how_to_place(name, factor, concept, unknown)}"
        yield f"{key}: unknown value {value!r}{hint}; known: {', '.join(known)}{place}"
    if not factor.channels and (concept.signal, concept.jitter) != (None, None):
        yield f"{key}: has neither signal nor jitter; leave them out"
    if not factor.channels and concept.spans:
        yield f"{key}: has no spans; its values are {', '.join(factor.words)}"


def _check_spans(key: str, factor: Factor, concept: Concept) -> None:
    for value, span in concept.spans.items():
        if value not in concept.values:
            raise Mistake(f"{key}.spans: {value!r} is none of its values {concept.values}")
        if len(span) not in (factor.channels, 2 * factor.channels):
            raise Mistake(
                f"{key}.spans.{value}: got {len(span)} numbers, allowed {factor.channels} "
                f"(a mean) or {2 * factor.channels} (lowest, then highest)"
            )
        if len(span) > factor.channels and (np.diff(np.split(np.array(span), 2), axis=0) < 0).any():
            raise Mistake(f"{key}.spans.{value}: got {list(span)}, the lowest above the highest")


def _check_signal(key: str, factor: Factor, concept: Concept) -> None:
    if not _needs_signal(factor, concept):
        if concept.signal is not None:
            raise Mistake(f"{key}.signal: does nothing, as every value has a span; leave it out")
        return
    widest = max(abs(d) for v in concept.values for d in factor.words.get(v, (0,)))
    highest = 2 * (factor.high - factor.centre) / max(widest, 1)
    if concept.signal is None:
        raise Mistake(f"{key}.signal: missing; allowed 0 to {highest:g} {factor.unit}")
    if not 0 <= concept.signal <= highest:
        raise Mistake(f"{key}.signal: got {concept.signal}, allowed 0 to {highest:g}")


def _check_range(name: str, concept: Concept) -> None:
    """Means ± spread must stay in the factor's range (a floor catches what is too low)."""
    factor, placement, key = FACTORS[name], place(name, concept), f"world.concepts.{name}"
    if (placement.spread < 0).any():
        raise Mistake(f"{key}.jitter: got {concept.jitter}, allowed 0 or more")
    lowest = placement.mean - (0 if factor.floor is not None else placement.spread)
    highest, floor = placement.mean + placement.spread, factor.floor or factor.low
    outside = (lowest < floor - 1e-6) | (highest > factor.high + 1e-6)
    if outside.any():
        value = int(outside.any(1).argmax())
        raise Mistake(
            f"{key}: signal {concept.signal} with jitter {placement.spread[value].max():g} takes "
            f"{concept.values[value]!r} to {lowest[value].min():g} … {highest[value].max():g}, "
            f"allowed {floor:g} to {factor.high:g} {factor.unit}; lower the signal or the jitter"
        )
    if concept.signal != 0 and len(np.unique(placement.mean, axis=0)) < len(concept.values):
        raise Mistake(f"{key}: two of its values {concept.values} have the same mean")
