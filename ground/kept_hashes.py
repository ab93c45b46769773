"""Hashes of files, kept from one command to the next as long as the files stay the same."""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from ground.files import hash_file, write_json

SETTLED_NS = 2 * 10**9  # since a file's last change: another one would show in its times


class KeptHashes:
    """SHA-256 of the files below a folder, of which those are read that may have changed.

    A file is the same while its inode, its size and the times of change of its content and of its
    inode are: the last of these nobody can set. What a disk has lost beneath its files shows in
    none of them, but in a hash that is made anew (`scripts/verify.py`).

    They lie in a hidden JSON file beside the folder, which need not be there, nor be readable.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder.with_name(f".{folder.name}.hashes.json")
        self.known, self.found = _read(self.path), dict[str, Any]()

    def of(self, file: Path) -> str:
        """Return the SHA-256 of a file's content."""
        name, signature = str(file.relative_to(self.folder)), _signature(file)
        match self.known.get(name):
            case [kept, str(digest)] if kept == signature:
                return digest
        digest = hash_file(file)
        if time.time_ns() - max(signature[2:]) > SETTLED_NS:
            self.found[name] = signature, digest
        return digest

    def save(self) -> None:
        """Keep what was found, unless the folder is another user's. Files that are gone are
        forgotten."""
        if not self.found:
            return
        known = {**_read(self.path), **self.found}
        there = {name: v for name, v in known.items() if (self.folder / name).exists()}
        with contextlib.suppress(OSError):
            write_json(self.path, there)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _signature(file: Path) -> list[int]:
    facts = os.stat(file)
    return [facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
