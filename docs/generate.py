"""Write the pages of docs/ that are read off the code: the map of files, the keys of a config.

    python docs/generate.py            writes architecture.md and reference/config.md
    python docs/generate.py --check    changes nothing; exit status 2 if one of them is stale

What stands in a page above its marker is written by hand and stays.
"""

import argparse
import ast
import dataclasses
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from studies.experiment.config import Config

ROOT = Path(__file__).resolve().parent.parent
MARKER = "<!-- What follows is written by docs/generate.py. -->"
FIRST_SENTENCE = re.compile(r".*?[.?!](?=\s+[A-Z]|$)")
ENTRY = re.compile(r" {4}(\w+(?:, \w+)*): (.*)")  # of the section Attributes
COMMENT = re.compile(r"(?:#|//) +(.*)")
TAG = re.compile(r"<(?=\w)")
QUESTION = "Question: "  # begins the first line of most configs


# The map of files


def architecture() -> str:
    """Return a heading and a table for every folder that has files with code or configs."""
    folders = groupby(_described(), lambda path: path.parent)
    return "\n\n".join(_folder(folder, list(files)) for folder, files in folders)


def _described() -> Iterator[Path]:
    """Yield what the type checker is given, and the configs; a folder's own files come first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in (*settings["tool"]["mypy"]["files"], "configs"):
        found = [*(ROOT / name).rglob("*.py"), *(ROOT / name).rglob("*.c")]
        if name == "configs":
            found = [path for path in (ROOT / name).rglob("*") if path.is_file()]
        kept = (path for path in found if path.name != "__init__.py")
        yield from sorted(kept, key=lambda path: (path.parent, path.name))


def _folder(folder: Path, files: list[Path]) -> str:
    init, lines = folder / "__init__.py", [f"## {folder.relative_to(ROOT)}/", ""]
    if init.is_file() and (about := _summary(init)):
        lines += [about, ""]
    lines += ["| file | what it is |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{path.name}` | {_cell(_summary(path))} |" for path in files)])


def _summary(path: Path) -> str:
    """Return the question of a config; else the first sentence of a docstring or a comment."""
    if path.suffix == ".py":
        text = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
    else:
        comments = map(COMMENT.match, path.read_text().splitlines())
        text = next((comment[1] for comment in comments if comment), "")
    text = " ".join(text.split())
    if text.startswith(QUESTION):
        question = text.removeprefix(QUESTION)
        return question[0].upper() + question[1:]
    sentence = FIRST_SENTENCE.match(text)
    return sentence[0] if sentence else text


# The keys of a config


def config_reference() -> str:
    """Return a heading and a table for every section of an experiment, in the order of its keys."""
    return "\n\n".join(_section(heading or "An experiment", kind) for heading, kind in sections())


def sections(kind: type = Config, key: str = "", of_kind: str = "") -> list[tuple[str, type]]:
    """Return a section and those below it as (heading, dataclass).

    key: where it stands, with dots between the keys; NAME is one that the user chooses.
    of_kind: which of several kinds of section it is, or is below.
    """
    hints = get_type_hints(kind)
    choices = get_args(hints.get("kind"))
    of_kind = f" of kind {choices[0]}" if len(choices) == 1 else of_kind
    found = [(f"{key}{of_kind}", kind)]
    for name, hint in hints.items():
        for inner in _dataclasses(hint):
            place = f"{key}.{name}{'.NAME' if get_origin(hint) is dict else ''}"
            found += sections(inner, place.lstrip("."), of_kind)
    return found


def _dataclasses(hint: Any) -> list[type]:
    """Return the dataclasses that a type is, or is made of."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return [hint]
    return [inner for argument in get_args(hint) for inner in _dataclasses(argument)]


def _section(heading: str, kind: type) -> str:
    about = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:")[0]
    lines = [f"## {heading}", "", about, ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    hints, meanings = get_type_hints(kind), attributes(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        meaning = _with_choices(meanings.get(field.name) or _below(hint), hint)
        cells = " | ".join(map(_cell, (_type(hint), _default(field), meaning)))
        lines.append(f"| `{field.name}` | {cells} |")
    return "\n".join(lines)


def attributes(kind: type) -> dict[str, str]:
    """Return the section Attributes of a dataclass's docstring by field, sub-entries on lines of
    their own."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")[2]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        if entry := ENTRY.fullmatch(line):
            names = entry[1].split(", ")
        for name in names:
            found[name] = f"{found[name]}\n{line.strip()}" if not entry else entry[2]
    return found


def _with_choices(meaning: str, hint: Any) -> str:
    """Return a meaning on one line, but for the choices that it explains one by one."""
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    first, *lines = TAG.sub("&lt;", meaning).split("\n")
    for line in lines:
        starts = any(line.startswith(f"{choice}: ") for choice in choices)
        first += f"<br>{line}" if starts else f" {line}"
    return first


def _below(hint: Any) -> str:
    return "a section of its own, below" if _dataclasses(hint) else ""


def _type(hint: Any) -> str:
    """Return how a type is written in YAML."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_type, arguments)))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_type(arguments[1])}"
    names = {int: "int", float: "float", bool: "bool", str: "text", NoneType: "null"}
    return names.get(hint, "section")


def _default(field: dataclasses.Field) -> str:
    """Return the default as YAML; of sections nothing, since their keys have theirs."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return "required"
    return "" if dataclasses.is_dataclass(value) else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return '""' if value == "" else str(value)


# Pages


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {
    ROOT / "docs" / "architecture.md": architecture,
    ROOT / "docs" / "reference" / "config.md": config_reference,
}


def stale() -> list[str]:
    """Return the names of pages that are not what the code says, or have lost their marker."""
    return [str(page.relative_to(ROOT)) for page in PAGES if page.read_text() != _renewed(page)]


def write() -> None:
    """Write all pages anew, below what is written by hand."""
    for page in PAGES:
        page.write_text(_renewed(page))


def _renewed(page: Path) -> str:
    by_hand = page.read_text().partition(MARKER)[0]
    return f"{by_hand.rstrip()}\n\n{MARKER}\n\n{PAGES[page]()}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, find stale pages")
    if parser.parse_args().check:
        if names := stale():
            print(f"error: stale: {', '.join(names)}; run make docs", file=sys.stderr)
            sys.exit(2)
        return
    write()


if __name__ == "__main__":
    main()
