"""What is read of a file, kept as long as the file stays the same."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
Signature = tuple[int, int, int, int]


def read_once(read: Callable[[Path], Found]) -> Callable[[Path], Found]:
    """Make a reader of files read each file once in a process, for as long as it stays the same.

    A file is the same while its device, inode, size and time of change of its content are: under
    whatever name, so that what is renamed or linked is not read again. What is found must not be
    changed by who gets it, and should be small: it is kept to the end.
    """
    known: dict[Signature, Found] = {}

    @wraps(read)
    def reading(path: Path) -> Found:
        signature = _signature(path)
        if signature not in known:
            known[signature] = read(path)
        return known[signature]

    return reading


def _signature(path: Path) -> Signature:
    facts = os.stat(path)
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
