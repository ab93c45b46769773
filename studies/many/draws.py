"""Random draws of fields: variant k of a draw is a function of its seed and k. Imports no torch
before it draws."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ground.endings import Mistake
from ground.reading import as_mapping, check_finite, read_as
from studies.many.fields import read_values, split_coupled

MOST_DRAWN = 1 << 14
TRIES = 32  # per variant, to draw one that is not there yet
DIGITS = 6  # that count, of a number that is drawn


@dataclass(frozen=True)
class Span:
    """Span of numbers that a field is drawn from, uniformly.

    Attributes:
        low, high: ends; a whole number may be either of them.
        log: draw the logarithm uniformly.
        integer: draw whole numbers.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise Mistake(f"high: got {self.high:g}, allowed is more than low = {self.low:g}")
        if self.log and self.low <= 0:
            raise Mistake(f"low: got {self.low:g}, allowed is more than 0 with log")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise Mistake("low, high: allowed are whole numbers with integer")

    def at(self, share: float) -> float | int:
        """Return the number at a share in [0, 1) of the span."""
        low, high = self.low, self.high + self.integer
        number = low * (high / low) ** share if self.log else low + (high - low) * share
        return int(number) if self.integer else min(max(float(f"{number:.{DIGITS}g}"), low), high)


@dataclass(frozen=True)
class Choice:
    """Values that a field is drawn from, each as often."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """Return the value at a share in [0, 1) of the list."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True)
class Draw:
    """Draw of variants: how many, of which seed, and from what each field is drawn."""

    count: int
    seed: int
    fields: Mapping[str, Span | Choice]

    def changes(self) -> dict[str, dict[str, Any]]:
        """Return the changes of every variant by its name, no two the same. A larger count adds
        variants. Raises Mistake if the fields have too few values for so many."""
        found: dict[str, dict[str, Any]] = {}
        for change in self._drawn():
            if change not in found.values():
                found[f"draw{len(found):04d}"] = change
            if len(found) == self.count:
                return found
        raise Mistake(f"draw.count: got {self.count}, but only {len(found)} different were drawn")

    def _drawn(self) -> Iterator[dict[str, Any]]:
        """Yield changes, the same ones perhaps again and again."""
        shares = {key: self._shares(key) for key in self.fields}
        for k in range(TRIES * self.count):
            yield {
                field: value
                for key, source in self.fields.items()
                for field, value in _coupled(key, source, shares[key][k])
            }

    def _shares(self, key: str) -> list[float]:
        import torch

        from ground.streams import uniform

        index = torch.arange(TRIES * self.count)
        return uniform(self.seed, f"study.draw {key}", 0, index)[:, 0].tolist()


def _coupled(key: str, source: Span | Choice, share: float) -> list[tuple[str, Any]]:
    """Pair the fields of a key with their values: of a choice one each, of a span all the same."""
    fields = split_coupled(key)
    value: Any = source.at(share)
    if isinstance(source, Span) or len(fields) == 1:
        return [(field, value) for field in fields]
    return list(zip(fields, value, strict=True))


def read_draw(data: Any) -> Draw:
    """Read a draw. Raises Mistake, naming the key."""
    given = dict(as_mapping(data, "draw"))
    fields = as_mapping(given.pop("fields", None), "draw.fields")
    counted = read_as(_Counted, given, "draw")
    if not fields:
        raise Mistake("draw.fields: got none, allowed are one and more")
    sources = {key: _read_source(key, source) for key, source in fields.items()}
    return Draw(counted.count, counted.seed, sources)


@dataclass(frozen=True)
class _Counted:
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_DRAWN:
            raise Mistake(f"count: got {self.count}, allowed are 1 to {MOST_DRAWN}")
        if not 0 <= self.seed < 1 << 63:
            raise Mistake(f"seed: got {self.seed}, allowed are 0 to 2**63 - 1")


def _read_source(key: str, source: Any) -> Span | Choice:
    place = f"draw.fields.{key}"
    if "choice" not in as_mapping(source, place):
        return read_as(Span, source, place)
    check_finite({"choice": source["choice"]}, place)
    if set(source) != {"choice"}:
        raise Mistake(f"{place}: got choice and more, allowed choice alone, or low and high")
    return Choice(tuple(read_values(source["choice"], key, f"{place}.choice")))
