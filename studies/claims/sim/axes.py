"""Axes along which the variants of a study differ: one at a time, or two in all combinations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import NamedTuple

from ground.endings import Mistake
from studies.claims.sim.config import SimConfig
from studies.claims.sim.variants import Settings, settings_of

# These suit the others, such as longer runs to smaller weights: they count where no other differs.
FOLLOWING = ("precision", "lr", "epochs", "records", "step", "num_steps", "every")
ONE_NUMBER = "variants that each change one number of the same run"


class Axis(NamedTuple):
    """Axis of a setting: a symbol before its number, words under it, and the number itself."""

    symbol: str
    words: str
    number: Callable[[Settings], float | None]


def _signal_ratio(settings: Settings) -> float | None:
    mu = settings.mu
    return mu[1] / mu[0] if len(mu) == 2 and mu[0] else None


def _common_variance(settings: Settings) -> float | None:
    first, *others = settings.sigma
    if others != [first]:
        return None
    return first if settings.sigma_is == "variance" else first**2


AXES: Mapping[str, Axis] = {
    "mu": Axis("mu_2/mu_1", "mu_2/mu_1", _signal_ratio),
    "sigma": Axis("variance", "variance along both", _common_variance),
    "dim": Axis("d", "dimension", lambda settings: settings.dim),
    "num_layers": Axis("L", "layers", lambda settings: settings.num_layers),
    "width": Axis("h", "width", lambda settings: settings.width),
    "init_scale": Axis("scale", "scale", lambda settings: settings.init_scale),
}


def _axis(key: str) -> Axis:
    """Return the axis of a setting; one without words of its own has those of its key."""

    def number(settings: Settings) -> float | None:
        value = getattr(settings, key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    return AXES.get(key) or Axis(key, key, number)


def _label(key: str, settings: Settings) -> str:
    number = _axis(key).number(settings)
    return (
        f"{key} {getattr(settings, key)}" if number is None else f"{_axis(key).symbol} {number:g}"
    )


def varied(variants: Sequence[Settings]) -> list[str]:
    """Return the settings that are not the same in all variants; those that follow come last."""
    keys = [key.name for key in fields(Settings)]
    differ = [key for key in keys if len({getattr(one, key) for one in variants}) > 1]
    return sorted(differ, key=FOLLOWING.__contains__)


def one_at_a_time(config: SimConfig) -> dict[str, dict[float, str]]:
    """Return the variants that change one setting of a base: by its words and number, their names.

    The base, the first that no variant leaves in more than one setting, is in all of them. Raises
    Mistake if there is none, and for a setting that is no number. The message ends the sentence
    "… asks for".
    """
    variants = {name: settings_of(run) for name, run in config.runs.items()}
    for base, settings in variants.items():
        changed = {name: _changed(settings, other) for name, other in variants.items()}
        if any(changed.values()) and all(len(keys) <= 1 for keys in changed.values()):
            keys = dict.fromkeys(key for keys in changed.values() for key in keys)
            members = {key: [base, *(n for n in variants if changed[n] == [key])] for key in keys}
            return {_axis(key).words: _by_number(key, variants, members[key]) for key in keys}
    raise Mistake(ONE_NUMBER)


def _changed(base: Settings, other: Settings) -> list[str]:
    """Return the settings that differ; of those that follow the first, if there is no other."""
    differ = varied((base, other))
    led = [key for key in differ if key not in FOLLOWING]
    return led or differ[:1]


def _by_number(
    key: str, variants: Mapping[str, Settings], names: Sequence[str]
) -> dict[float, str]:
    """Return the names by their number of the setting `key`, ascending; each has one of its own."""
    numbers = [(_axis(key).number(variants[name]), name) for name in names]
    found = {number: name for number, name in numbers if number is not None}
    if len(found) < len(numbers):
        raise Mistake(ONE_NUMBER)
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Grid:
    """Variants in all combinations of two settings.

    Attributes:
        rows, columns: labels of the settings' values, in the order of the config.
        names: of the variant in a (row, column).
    """

    rows: list[str]
    columns: list[str]
    names: Mapping[tuple[str, str], str]


def grid_of(config: SimConfig) -> Grid:
    """Return the variants as a grid; its rows are the setting that changes last in the config.

    Raises Mistake unless all combinations of two settings are there once. The message ends the
    sentence "… asks for".
    """
    variants = {name: settings_of(run) for name, run in config.runs.items()}
    row, column = _two_axes([*variants.values()])
    names = {(_label(row, s), _label(column, s)): name for name, s in variants.items()}
    rows, columns = ([*dict.fromkeys(labels)] for labels in zip(*names, strict=True))
    return Grid(rows, columns, names)


def _two_axes(variants: Sequence[Settings]) -> list[str]:
    """Return the settings of rows and columns; any other that varies follows one of them."""
    keys = varied(variants)
    led = [key for key in keys if key not in FOLLOWING]
    for pair in combinations(keys, 2):
        if _all_combined(variants, pair) and all(_follows(variants, key, pair) for key in led):
            return sorted(pair, key=lambda key: len({_label(key, one) for one in variants[:2]}))
    raise Mistake(f"all combinations of two settings, each once; {', '.join(keys) or 'none'} vary")


def _all_combined(variants: Sequence[Settings], pair: Sequence[str]) -> bool:
    labels = [tuple(_label(key, one) for key in pair) for one in variants]
    rows, columns = (set(axis) for axis in zip(*labels, strict=True))
    return len(labels) == len(set(labels)) == len(rows) * len(columns)


def _follows(variants: Sequence[Settings], key: str, axes: Sequence[str]) -> bool:
    """Tell whether the value of one of the axes says that of the setting `key`."""
    return any(
        len({(getattr(one, axis), getattr(one, key)) for one in variants})
        == len({getattr(one, axis) for one in variants})
        for axis in axes
    )
