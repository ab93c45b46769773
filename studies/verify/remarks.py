"""Remarks on a run, and files that are read for them. Imports no torch."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ground.endings import Mistake
from ground.files import read_json

Level = Literal["damaged", "missing", "stale", "note"]


@dataclass(frozen=True)
class Remark:
    """Remark on a run. What is damaged, missing or stale (of weights that are not there any more)
    has to be seen to, a note need not."""

    level: Level
    path: Path
    what: str

    def line(self) -> str:
        return f"{self.level}: {self.path}: {self.what}"


Remarks = Iterator[Remark]
Looking = Generator[Remark, None, Any]  # finds, and returns what was read


def readable(path: Path, read: Callable[[Path], Any]) -> Looking:
    """Return what `read` makes of a file; None, and a remark, if it is missing or damaged."""
    if not path.exists():
        yield Remark("missing", path, "no such file")
        return None
    try:
        return read(path)
    except Mistake as mistake:
        what = str(mistake).replace(f"{path}", "").lstrip(":, ")
        yield Remark("damaged", path, what)
    return None


def read_mapping(path: Path) -> Looking:
    value = yield from readable(path, read_json)
    if value is not None and not isinstance(value, dict):
        yield Remark("damaged", path, "holds no names and values")
    return value if isinstance(value, dict) else {}


def damaged(path: Path, what: str) -> Remarks:
    if what:
        yield Remark("damaged", path, what)
