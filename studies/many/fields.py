"""Dotted fields of a config, such as world.concepts.color.signal: read, set and named shortly.
Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from ground.endings import Mistake, nearest
from studies.many.variants import merged


def nested(changes: Mapping[str, Any], base: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return changes with every dotted field as mappings in each other: {'a.b': 1} → {a: {b: 1}}.

    base: what is changed. Raises Mistake, naming `key`, where a part of a field is nearly one of
    the base's, but none.
    """
    result: dict[str, Any] = {}
    for field, value in changes.items():
        parts = field.split(".")
        _check_parts(parts, base, f"{key}.{field}")
        for part in reversed(parts[1:]):
            value = {part: value}
        result = merged(result, {parts[0]: value}, key)
    return result


def _check_parts(parts: Sequence[str], base: Any, key: str) -> None:
    for part in parts:
        known = tuple(base) if isinstance(base, Mapping) else ()
        if part in known:
            base = base[part]
        elif hint := nearest(part, known):
            raise Mistake(f"{key}: there is no {part!r}{hint}; allowed: {', '.join(known)}")
        else:
            return  # a new name, such as that of a set of prompts, or what reading refuses


def split_coupled(key: str) -> list[str]:
    """Return the fields that a key names: one, or several with commas between."""
    return [field.strip() for field in key.split(",")]


def read_values(values: Any, key: str, place: str) -> list[Any]:
    """Return the values that the fields of a key take. Raises Mistake, naming the `place`, unless
    they are a list; of coupled fields, of lists with one value per field."""
    if not isinstance(values, list) or not values:
        raise Mistake(f"{place}: got {values!r}, allowed a list of values")
    fields = split_coupled(key)
    for value in values if len(fields) > 1 else ():
        if not isinstance(value, list) or len(value) != len(fields):
            raise Mistake(f"{place}: got {value!r}, allowed a list of {len(fields)} values each")
    return values


def short_names(fields: Sequence[str]) -> dict[str, str]:
    """Return for each of some dotted fields as few of its last parts as set it apart."""
    return {field: _short(field, [other for other in fields if other != field]) for field in fields}


def _short(field: str, others: Sequence[str]) -> str:
    parts = field.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts)))
    return next((end for end in ends if not _ends(end, others)), field)


def _ends(end: str, fields: Sequence[str]) -> bool:
    return any(field == end or field.endswith(f".{end}") for field in fields)


def value_text(value: Any) -> str:
    """Return a value as names of variants have it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, list | tuple):
        return "+".join(map(value_text, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def described(changes: Mapping[str, Any], short: Mapping[str, str]) -> str:
    """Return changes of dotted fields as the name of a variant. short: the fields' short names."""
    return ", ".join(f"{short[field]}={value_text(value)}" for field, value in changes.items())
