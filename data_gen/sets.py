"""Sets of combinations, written as set algebra. Imports no torch until a set is drawn at random.

    blue small                          all combinations with these values; a|b is either
    "blue small"                        the same, as a part of what follows
    hamming<=1 from "circle red large"  all that differ in at most one concept (hamming=1: exactly)
    random(0.25)  random(0.25, seed 3)  a quarter of all, such that the rest shows every value
    all   A - B   A + B   A & B   ( )   everything, without, union, both; read from left to right

A text without quotes, operators and these words needs no quotes: circle blue small is one
combination, and blue small all that have both values.
"""

import re
from collections.abc import Callable

from data_gen.concepts import Combination, ConceptSpace
from ground.endings import Mistake

CombinationSet = frozenset[Combination]
MAX_DEPTH = 50  # parentheses in each other
TOKEN = re.compile(r"""\s*("[^"]*"|'[^']*'|<=|[=(),+&-]|\d+\.?\d*|\.\d+|[\w|.]+)""")
OPERATORS: dict[str, Callable[[CombinationSet, CombinationSet], CombinationSet]] = {
    "-": frozenset.difference,
    "+": frozenset.union,
    "&": frozenset.intersection,
}


def read_set(space: ConceptSpace, text: str, key: str) -> CombinationSet:
    """The combinations a text describes. Raises Mistake, naming `key` and what is allowed."""
    words = text.replace("|", " ").split()
    if not words:
        raise Mistake(f"{key}: got {text!r}, allowed values: {space.listing()}")
    named = all(word in space.words for word in words)  # a value may be called random
    if named or not re.search(r"""["'<=()+&-]|\ball\b|\brandom\b""", text):
        return space.read_pattern(" ".join(dict.fromkeys(text.split())), key)
    return _Reader(space, text, key).read()


def hamming(a: Combination, b: Combination) -> int:
    """Number of concepts in which two combinations differ."""
    return sum(x != y for x, y in zip(a, b, strict=True))


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, space: ConceptSpace, text: str, key: str):
        self.space, self.text, self.key = space, text, key
        self.everything: CombinationSet = frozenset(space.combinations)
        self.tokens, self.depth = self._split(), 0

    def read(self) -> CombinationSet:
        found = self._expression()
        if self.tokens:
            raise self._mistake(f"unexpected {self.tokens[0]!r}")
        return found

    def _split(self) -> list[str]:
        tokens, place = [], 0
        while self.text[place:].strip():
            match = TOKEN.match(self.text, place)
            if match is None:
                raise self._mistake(f"cannot read {self.text[place:].strip()[:20]!r}")
            tokens.append(match[1])
            place = match.end()
        return tokens

    def _mistake(self, why: str) -> Mistake:
        return Mistake(
            f'{self.key}: {self.text!r}: {why}; allowed: values, or all, "blue small", '
            f'hamming<=1 from "…", random(0.25), joined by - + & and parentheses'
        )

    def _next(self, *allowed: str) -> str:
        """The next token, which must be one of `allowed` if any are given."""
        token = self.tokens.pop(0) if self.tokens else "its end"
        if allowed and token not in allowed:
            raise self._mistake(f"expected {' or '.join(allowed)} before {token!r}")
        return token

    def _expression(self) -> CombinationSet:
        found = self._term()
        while self.tokens and self.tokens[0] in OPERATORS:
            found = OPERATORS[self._next()](found, self._term())
        return found

    def _term(self) -> CombinationSet:
        token = self._next()
        if token == "all":
            return self.everything
        if token[0] in "\"'":
            return self.space.read_pattern(token[1:-1], self.key)
        if token == "hamming":
            return self._hamming()
        if token == "random":
            return self._random()
        if token == "(" and self.depth < MAX_DEPTH:
            self.depth += 1
            found = self._expression()
            self._next(")")
            self.depth -= 1
            return found
        raise self._mistake(f"unexpected {token!r}")

    def _hamming(self) -> CombinationSet:
        exact = self._next("<=", "=") == "="
        distance = int(self._number(whole=True))
        self._next("from")
        text = self._next()
        if text[0] not in "\"'":
            raise self._mistake(f"expected a combination in quotes before {text!r}")
        centres = self.space.read_pattern(text[1:-1], self.key)
        near = {c: min(hamming(c, centre) for centre in centres) for c in self.everything}
        return frozenset(c for c, d in near.items() if d == distance or d < distance and not exact)

    def _random(self) -> CombinationSet:
        self._next("(")
        coverage, seed = self._number(), 0
        if self._next(",", ")") == ",":
            self._next("seed")
            seed = int(self._number(whole=True))
            self._next(")")
        count = round(coverage * len(self.space))
        if not 0 < count < len(self.space) or seed >= 1 << 63:
            raise self._mistake(
                f"random takes a share of the {len(self.space)} combinations, at least one and not "
                f"all, and a seed below 2**63; got {coverage:g} and {seed}"
            )
        return self._draw(count, seed)

    def _number(self, whole: bool = False) -> float | int:
        token = self._next()
        if not re.fullmatch(r"\d+" if whole else r"\d*\.?\d+|\d+\.", token):
            raise self._mistake(f"expected a {'whole ' * whole}number before {token!r}")
        return int(token) if whole else float(token)

    def _draw(self, count: int, seed: int) -> CombinationSet:
        """In a random order, take what leaves each of its values to another combination."""
        import torch

        from ground.streams import permutation

        seen = {value: 0 for values in self.space.values for value in values}
        for combination in self.space.combinations:
            for value in combination:
                seen[value] += 1
        drawn: set[Combination] = set()
        order: torch.Tensor = permutation(seed, "sets.random", 0, len(self.space))
        for combination in (self.space.combinations[i] for i in order.tolist()):
            if len(drawn) < count and all(seen[value] > 1 for value in combination):
                drawn.add(combination)
                for value in combination:
                    seen[value] -= 1
        if len(drawn) < count:
            raise self._mistake(
                f"random can take {len(drawn)} of the {len(self.space)} combinations, not {count}, "
                f"if the rest is to show every value"
            )
        return frozenset(drawn)
