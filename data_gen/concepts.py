"""Concepts, their values and words; a combination gives one value per concept. Imports no torch."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from data_gen.endings import Mistake

# What every known word looks like. A new value is one row here (a shape also needs its signed
# distance in render.py); its word is its name.
SHAPES = ("circle", "triangle", "square")
COLORS = {  # direction of each RGB channel: mean = .5 + direction · signal / 2 (arXiv:2406.19370)
    "red": (1, -1, -1),
    "green": (-1, 1, -1),
    "blue": (-1, -1, 1),
    "yellow": (1, 1, -1),
    "magenta": (1, -1, 1),
    "cyan": (-1, 1, 1),
}
SIZES = {"small": -1, "large": 1}  # mean radius = .45 + direction · signal / 2, in half-frames
KNOWN = {"shape": tuple(SHAPES), "color": tuple(COLORS), "size": tuple(SIZES)}


def nearest(word: str, allowed: tuple[str, ...]) -> str:
    """' (did you mean X?)' for the closest allowed word, else nothing."""
    close = get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


@dataclass(frozen=True)
class Concept:
    """One axis of concept space. In YAML: a list of values, or a mapping with these keys.

    Attributes:
        values: words, in the order of the probe's outputs.
        signal: how far apart the class means lie: RGB units for color, half-frames for size.
        jitter: half-width of the uniform spread within a value, same unit; None: signal / 8.
    """

    values: tuple[str, ...]
    signal: float | None = None
    jitter: float | None = None

    @property
    def half_gap(self) -> float:
        """Distance of a class mean from the centre of all."""
        return (self.signal or 0.0) / 2

    @property
    def spread(self) -> float:
        """Half-width of the uniform jitter around a class mean."""
        return (self.signal or 0.0) / 8 if self.jitter is None else self.jitter


Combination = tuple[str, ...]


class ConceptSpace:
    """The product of all concepts: names, combinations and the numbers they are stored under."""

    def __init__(self, concepts: Mapping[str, Concept]):
        self.concepts = dict(concepts)
        self.names = tuple(concepts)
        self.values = tuple(tuple(concept.values) for concept in concepts.values())
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
        """{concept: value} of some value words in any order. Raises Mistake, naming `key`."""
        found: dict[str, str] = {}
        for word in words:
            if word not in self.words:
                hint = nearest(word, tuple(self.words))
                raise Mistake(f"{key}: unknown value {word!r}{hint}; known: {self.listing()}")
            concept = self.words[word]
            if found.setdefault(concept, word) != word:
                raise Mistake(f"{key}: contradictory {concept}: {found[concept]!r} and {word!r}")
        return found

    def read_combination(self, text: str, key: str) -> Combination:
        """'blue circle small' → one value per concept, in the order of the concepts."""
        found = self.read_words(text.split(), key)
        missing = [name for name in self.names if name not in found]
        if missing:
            raise Mistake(f"{key}: {text!r} gives no {', '.join(missing)}; {self.listing()}")
        return tuple(found[name] for name in self.names)

    def listing(self) -> str:
        return "; ".join(f"{name}: {', '.join(values)}" for name, values in self.items())


def check_concepts(concepts: Mapping[str, Concept]) -> None:
    """Refuse unknown concepts and values, doubled values, and signals outside the color cube."""
    for name, concept in concepts.items():
        key = f"world.concepts.{name}"
        if name not in KNOWN:
            raise Mistake(f"{key}: unknown concept{nearest(name, tuple(KNOWN))}; {list(KNOWN)}")
        for value in concept.values:
            if value not in KNOWN[name]:
                hint = nearest(value, KNOWN[name])
                raise Mistake(f"{key}: unknown value {value!r}{hint}; known: {KNOWN[name]}")
        if len(set(concept.values)) != len(concept.values) or not concept.values:
            raise Mistake(f"{key}: needs one or more different values, got {concept.values}")
    missing = [name for name in KNOWN if name not in concepts]
    if missing:
        raise Mistake(f"world.concepts: {', '.join(missing)} missing; give at least one value")
    if concepts["shape"].signal is not None or concepts["shape"].jitter is not None:
        raise Mistake("world.concepts.shape: has neither signal nor jitter; leave them out")
    _check_range("color", concepts["color"], 0.5, 1.0)
    _check_range("size", concepts["size"], 0.4, 0.9)


def _check_range(name: str, concept: Concept, room: float, highest: float) -> None:
    """Class means ± jitter must stay within `room` of their centre."""
    if concept.signal is None or not 0 <= concept.signal <= highest:
        got = concept.signal
        raise Mistake(f"world.concepts.{name}.signal: got {got}, allowed 0 to {highest}")
    if not 0 <= concept.spread <= room - concept.signal / 2:
        raise Mistake(
            f"world.concepts.{name}: signal {concept.signal} with jitter {concept.spread} leaves "
            f"the allowed range; signal / 2 + jitter must be at most {room}"
        )
