"""Plain data → frozen dataclasses, strictly. Imports no torch."""

import dataclasses
import math
import re
import types
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from ground.endings import Mistake, check_all, gather, nearest, refuse
from ground.text import composed

MERGE = "tag:yaml.org,2002:merge"  # <<, which may come with several mappings


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: list[str] = []
        for key, _ in node.value:
            if key.value in seen and key.tag != MERGE:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping a YAML file holds. Mistake names file, line and mistake."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except FileNotFoundError:
        raise Mistake(f"{path}: no such config file") from None
    except IsADirectoryError:
        raise Mistake(f"{path}: is a directory, not a config file") from None
    except UnicodeDecodeError as error:
        raise Mistake(f"{path}: not UTF-8 text ({error.reason})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise Mistake(f"{path}{line}: broken YAML: {getattr(error, 'problem', error)}") from None
    if data is None:
        raise Mistake(f"{path}: is empty; it must hold 'key: value' lines")
    if not isinstance(data, dict):
        raise Mistake(f"{path}: must hold 'key: value' lines, got {type(data).__name__}")
    return data


def check_name(name: str, refused: tuple[str, ...]) -> None:
    """Refuse the name of an experiment or study that can name no folder of its own. Raises Mistake.
    `refused` are such names, * standing for any letters."""
    if not re.fullmatch(r"\w[\w.=+-]*", name) or any(fnmatch(name, one) for one in refused):
        raise Mistake(
            f"name: got {name!r}, allowed letters, digits, _ . = + -, but not "
            f"{' or '.join(refused)}"
        )


def read_as(kind: Any, value: Any, key: str) -> Any:
    """Read `value` as an instance of the type `kind`. Mistake names `key` and what is allowed, on a
    line for everything that is wrong.

    Texts in lists and mappings, with their keys, are words and their sets, and composed (Unicode
    NFC). A field's text of its own may be a path and stays as it is.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, key)
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        if value is None and type(None) in arguments:
            return None
        return read_as(_choose(inner, value, key), value, key)
    if origin is tuple:
        return _read_tuple(arguments[0], value, key)
    if origin is dict:
        entries = as_mapping(value, key).items()
        pairs = ((composed(name), entry) for name, entry in entries)
        return gather({n: partial(_word, arguments[1], e, f"{key}.{n}") for n, e in pairs})
    if origin is Literal:
        if any(type(value) is type(one) and value == one for one in arguments):
            return value
        choices = tuple(map(str, arguments))
        hint = nearest(str(value), choices)
        raise Mistake(f"{key}: got {value!r}{hint}, allowed {', '.join(choices)}")
    return _read_plain(kind, value, key)


def _choose(kinds: list[Any], value: Any, key: str) -> Any:
    """Of several dataclasses, the one whose field `kind` has the value's `kind` (or the first)."""
    if len(kinds) == 1:
        return kinds[0]
    known = {kind.__dataclass_fields__["kind"].default: kind for kind in kinds}
    asked = as_mapping(value, key).get("kind", next(iter(known)))
    if not isinstance(asked, str) or asked not in known:
        hint = nearest(str(asked), tuple(known))
        raise Mistake(f"{key}.kind: got {asked!r}{hint}, allowed {', '.join(known)}")
    return known[asked]


def _read_dataclass(kind: Any, value: Any, key: str) -> Any:
    known = get_type_hints(kind)
    first = next(iter(known))
    short = isinstance(value, list) and get_origin(known[first]) is tuple
    data = {first: value} if short else as_mapping(value, key)
    prefix = f"{key}." if key else ""
    read = {
        name: partial(read_as, known[name], data[name], prefix + name)
        for name in known
        if name in data
    }
    fields: dict[str, Any] = {}
    check_all(partial(_check_keys, kind, data, known, prefix), lambda: fields.update(gather(read)))
    try:
        return kind(**fields)
    except Mistake as mistake:  # of the dataclass itself, which may not know where it stands
        head = f"{key.partition('.')[0]}."
        lines = (line if line.startswith(head) else prefix + line for line in mistake.lines)
        raise Mistake("\n".join(lines)) from None


def _check_keys(kind: Any, data: Mapping[str, Any], known: Mapping[str, Any], prefix: str) -> None:
    """Refuse keys that are unknown, and say which are missing."""
    allowed = ", ".join(known)
    refuse(
        [
            *(
                f"{prefix}{name}: unknown key{nearest(name, tuple(known))}; allowed: {allowed}"
                for name in data
                if name not in known
            ),
            *(
                f"{prefix}{field.name}: missing"
                for field in dataclasses.fields(kind)
                if _required(field) and field.name not in data
            ),
        ]
    )


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read_tuple(kind: Any, value: Any, key: str) -> tuple[Any, ...]:
    if isinstance(value, str) and kind is str:
        value = [value]  # one text where several may be given
    if not isinstance(value, list | tuple):
        raise Mistake(f"{key}: got {value!r}, allowed a list")
    calls = {i: partial(_word, kind, entry, f"{key}[{i}]") for i, entry in enumerate(value)}
    return tuple(gather(calls).values())


def _word(kind: Any, value: Any, key: str) -> Any:
    read = read_as(kind, value, key)
    return composed(read) if isinstance(read, str) else read


def as_mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Read `value` as a mapping from texts. Mistake names `key`."""
    if not isinstance(value, Mapping):
        raise Mistake(f"{key}: got {value!r}, allowed a mapping of keys to values")
    for name in value:
        if not isinstance(name, str):
            raise Mistake(f"{key or 'config'}: the key {name!r} is no text; put it in quotes")
    return value


def check_finite(value: Any, key: str = "") -> None:
    """Raise Mistake, naming the key, for a number in plain data that is none, or is infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Mistake(f"{key}: got {value}, allowed a number")
    entries = value.items() if isinstance(value, Mapping) else ()
    for name, entry in entries:
        check_finite(entry, f"{key}.{name}" if key else str(name))


def _read_plain(kind: type, value: Any, key: str) -> Any:
    """str, bool, int or float; a number may be text such as 1e-3, which YAML 1.1 reads as such."""
    if kind in (int, float) and isinstance(value, int | float | str):
        number = _number(value)
        if number is not None and (kind is float or number == int(number)):
            return kind(number)
    elif type(value) is kind:
        return value
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    names[str] = "text (in quotes, if it looks like something else)"
    raise Mistake(f"{key}: got {value!r}, allowed {names[kind]}")


def _number(value: int | float | str) -> float | int | None:
    """The finite number that `value` is or spells, integers exactly; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
