"""Changes of a study by the name of the variant: from a grid, from a list, from a draw. Imports no
torch."""

from collections.abc import Mapping
from typing import Any

from ground.endings import Mistake
from ground.reading import as_mapping
from studies.experiment.config import leaves
from studies.many.draws import read_draw
from studies.many.fields import described, read_values, short_names, split_coupled
from studies.many.variants import combined

KINDS = ("grid", "variants", "draw")  # of which a file has one


def read_changes(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return which key of KINDS a study has, and its changes by the name of the variant, dotted
    fields as they stand. Raises Mistake, naming the key."""
    given = [kind for kind in KINDS if kind in data]
    if len(given) != 1:
        got = ", ".join(given) or "none of them"
        raise Mistake(f"give one of {', '.join(KINDS)}; got {got}")
    (kind,) = given
    changes = {"grid": _of_grid, "variants": _of_variants, "draw": _of_draw}[kind](data[kind])
    if not changes:
        raise Mistake(f"{kind}: got none, allowed are one and more")
    return kind, changes


def _of_grid(data: Any) -> dict[str, Any]:
    """Combine axes: a list of values of dotted fields, or a mapping of a value's name to
    changes."""
    grid = as_mapping(data, "grid")
    listed = [key for key, axis in grid.items() if isinstance(axis, list)]
    short = short_names([field for key in listed for field in split_coupled(key)])
    axes = {key: _by_name(key, grid[key], short) if key in listed else grid[key] for key in grid}
    return combined(axes)


def _by_name(key: str, axis: Any, short: Mapping[str, str]) -> dict[str, Any]:
    fields = split_coupled(key)
    found: dict[str, Any] = {}
    for value in read_values(axis, key, f"grid.{key}"):
        change = dict(zip(fields, value if len(fields) > 1 else [value], strict=True))
        name = described(change, short)
        if name in found:
            raise Mistake(f"grid.{key}: got {name} twice, allowed is once")
        found[name] = change
    return found


def _of_variants(data: Any) -> dict[str, Any]:
    """Return changes as they are named, or, of a list, under names made of what they change."""
    if not isinstance(data, list):
        return dict(as_mapping(data, "variants"))
    every = [leaves(as_mapping(change, f"variants[{i}]")) for i, change in enumerate(data)]
    short = short_names(list(dict.fromkeys(field for change in every for field in change)))
    found: dict[str, Any] = {}
    for i, change in enumerate(every):
        name = described(change, short) or "base"
        if name in found:
            raise Mistake(f"variants[{i}]: got {name} twice, allowed is once")
        found[name] = change
    return found


def _of_draw(data: Any) -> dict[str, Any]:
    return read_draw(data).changes()
