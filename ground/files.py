"""Files and directories that exist whole or not at all. Imports no torch.

Everything is written under a temporary name, flushed to the disk, then renamed. A directory gets a
manifest with the SHA-256 of each file, written last: with a valid manifest it is complete, without
one it is not there.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ground.endings import Mistake
from ground.unchanged import read_once

MANIFEST = "manifest.json"


@contextlib.contextmanager
def whole_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path in `folder` (None: in the same directory); on success it becomes
    `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.stem}.{os.getpid()}.tmp{path.suffix}"
    temporary = (folder or path.parent) / name
    try:
        yield temporary
        _flush(temporary)
        _rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises Mistake, naming the file, if it is missing or no JSON."""
    try:
        return json.loads(_text(path))
    except FileNotFoundError:
        raise Mistake(f"{path}: no such file") from None
    except ValueError as error:
        raise Mistake(f"{path}: not readable as JSON ({error})") from None


@read_once
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def write_directory(path: Path, fill: Callable[[Path], None], **facts: Any) -> None:
    """Fill a temporary directory by `fill`, add the manifest (`facts`, hashes), rename it to
    `path`.

    Another directory already standing at `path` is moved aside, never deleted.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        for file in _files(temporary):
            _flush(file)
        write_json(temporary / MANIFEST, {**facts, "sha256": hashes(temporary)})
        if path.exists():
            if _same_manifest(path, temporary) and is_complete(path):
                return
            os.replace(path, _free_name(path))
        _rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _same_manifest(path: Path, other: Path) -> bool:
    files = [directory / MANIFEST for directory in (path, other)]
    return all(f.is_file() for f in files) and files[0].read_bytes() == files[1].read_bytes()


def remove_directory(path: Path) -> None:
    """Remove a directory; it is renamed first, so that a kill leaves none that looks damaged."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    os.replace(path, temporary)
    shutil.rmtree(temporary)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left under temporary names; the caller is the only writer."""
    for path in folder.glob(".*.tmp*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def hashes(directory: Path) -> dict[str, str]:
    """Map every file but the manifest to its hash: {relative path: SHA-256}."""
    files = {str(f.relative_to(directory)): f for f in _files(directory)}
    return {name: hash_file(file) for name, file in files.items() if name != MANIFEST}


@read_once
def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_file(path: Path) -> Path:
    """Path of the hidden file that keeps the SHA-256 of a single file; readers of its directory
    pass it over."""
    return path.with_name(f".{path.name}.sha256")


def hash_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def is_complete(directory: Path) -> bool:
    """Return True if the manifest is there and every file still has its hash."""
    return damage(directory) is None


def damage(directory: Path, hash_of: Callable[[Path], str] | None = None) -> str | None:
    """The first thing wrong with a directory that has a manifest, on one line; None if whole.

    hash_of: gives the SHA-256 of a file; None: `hash_file`, which reads it.
    """
    if not (directory / MANIFEST).is_file():
        return f"{MANIFEST} is missing"
    try:
        expected = dict(read_json(directory / MANIFEST)["sha256"])
    except (ValueError, OSError, KeyError, TypeError):
        return f"{MANIFEST} is not readable"
    files = {str(file.relative_to(directory)): file for file in _files(directory)}
    del files[MANIFEST]
    return _first_difference(expected, files, hash_of or hash_file)


def _first_difference(
    expected: Mapping[str, str], files: Mapping[str, Path], hash_of: Callable[[Path], str]
) -> str | None:
    """What first sets files apart from the hashes that they should have, in order of names."""
    for name in sorted({*expected, *files}):
        if name not in files:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} is not in the manifest"
        try:
            if hash_of(files[name]) != expected[name]:
                return f"{name} has changed"
        except OSError as error:
            return f"{name} is not readable ({error.strerror})"
    return None


def _files(directory: Path) -> list[Path]:
    return sorted(file for file in directory.rglob("*") if file.is_file())


def _rename(temporary: Path, path: Path) -> None:
    os.replace(temporary, path)
    _flush(path.parent)  # the new name itself survives a loss of power


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_name(path: Path) -> Path:
    numbers = (path.with_name(f"{path.name}.broken-{n}") for n in range(10**6))
    return next(name for name in numbers if not name.exists())


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines and flush them to the disk, so that no state knows more rows than exist."""
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
        stream.flush()
        os.fsync(stream.fileno())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All whole JSON lines of a file; a last line torn by a crash is left out.

    Raises Mistake, naming file and line, for one that is no JSON object.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last end of line is torn
    except FileNotFoundError:
        raise Mistake(f"{path}: no such file") from None
    return [_read_row(line, f"{path}, line {i}") for i, line in enumerate(lines, 1)]


def _read_row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise Mistake(f"{where}: not readable as JSON ({error})") from None
    if not isinstance(row, dict):
        raise Mistake(f"{where}: not a row, got {type(row).__name__}")
    return row


def truncate_rows(path: Path, count: int | None) -> None:
    """Keep the first `count` lines (None: all whole ones). Raises Mistake if there are fewer."""
    with path.open("ab+") as stream:
        stream.seek(0)
        rows, end = 0, 0
        while rows != count and stream.readline().endswith(b"\n"):
            rows, end = rows + 1, stream.tell()
        if count is not None and rows < count:
            raise Mistake(f"{path}: has {rows} rows, but the saved state knows {count}; restore it")
        stream.truncate(end)


def hash_rows(path: Path, count: int) -> str:
    """SHA-256 of the first `count` lines of a file that may be missing."""
    digest = hashlib.sha256()
    if not path.is_file():
        return digest.hexdigest()
    with path.open("rb") as stream:
        for _ in range(count):
            digest.update(stream.readline())
    return digest.hexdigest()
