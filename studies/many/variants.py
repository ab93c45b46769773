"""Variants of one base: a list of changes by name, or all combinations of a grid's axes. Imports no
torch."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from ground.endings import Mistake
from ground.reading import as_mapping


def merged_variants(base: Any, variants: Any, grid: Any) -> dict[str, Any]:
    """Return the base with each variant's changes, by the name of the variant.

    variants: name → changes. grid: axis → name of a value → changes. One of them is None. Raises
    Mistake, naming the key.
    """
    base = as_mapping({} if base is None else base, "base")
    if (variants is None) == (grid is None):
        raise Mistake("give variants, or a grid of them")
    changes = as_mapping(variants, "variants") if grid is None else combined(grid)
    if not changes:
        raise Mistake("variants: got none, allowed are one and more")
    return {name: merged(base, change, f"variants.{name}") for name, change in changes.items()}


def combined(grid: Any) -> dict[str, Any]:
    """Combine one value of each of the grid's axes in every way; the names join theirs."""
    axes = [as_mapping(axis, f"grid.{key}") for key, axis in as_mapping(grid, "grid").items()]
    if not axes:
        raise Mistake("grid: got no axis, allowed are one and more")
    every: dict[str, Any] = {}
    for names in product(*axes):
        name = ", ".join(names)
        if name in every:
            raise Mistake(f"grid: got two combinations of the name {name!r}, allowed is one")
        every[name] = {}
        for axis, value in zip(axes, names, strict=True):
            every[name] = merged(every[name], axis[value], f"grid.{name}")
    return every


def merged(base: Any, change: Any, key: str) -> Any:
    """Merge mappings key by key, and take the change of anything else.

    Raises Mistake, naming `key`, for a mapping and something else.
    """
    if not isinstance(base, Mapping) and not isinstance(change, Mapping):
        return change
    result = {**as_mapping(base, key), **as_mapping(change, key)}
    for name in base.keys() & change.keys():
        result[name] = merged(base[name], change[name], f"{key}.{name}")
    return result
