"""How often this project's code opens a file to read it: Python tells of every opening."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("diffusers", "transformers", "torch")  # read what is theirs as often as they like
FLUSH = "_flush"  # opens a file to flush it, and reads nothing

_counts: list[tuple[str, dict]] = []  # at work; a hook cannot be taken away again
_installed: list[bool] = []


@contextmanager
def counted(folder: Path) -> Iterator[dict]:
    """Yields what grows while it is counted: (who opens, which content) → names, one an opening.

    Who is a function of this project, by its name; a content is an inode with its time of change;
    names are those below the folder. What pyarrow and safetensors open beneath Python is not seen.
    """
    if not _installed:
        sys.addaudithook(_hear)
        _installed.append(True)
    counts: dict = defaultdict(list)
    _counts.append((str(folder.resolve()), counts))
    try:
        yield counts
    finally:
        _counts.pop()


def _hear(event: str, facts: tuple) -> None:
    if event == "open" and _counts and isinstance(facts[0], str | os.PathLike):
        folder, counts = _counts[-1]
        path, mode, flags = os.path.realpath(facts[0]), facts[1], facts[2]
        writes = set("wax+") & set(mode) if mode else flags & (os.O_WRONLY | os.O_RDWR)
        if path.startswith(folder) and not writes and os.path.isfile(path):
            content = os.stat(path)
            reader = _reader(sys._getframe(1))
            if reader not in (None, FLUSH):
                key = reader, content.st_ino, content.st_mtime_ns
                counts[key].append(path.removeprefix(folder))


def _reader(frame: FrameType | None) -> str | None:
    """The function of this project that opens; None if a library does for itself."""
    while frame is not None:
        file = frame.f_code.co_filename
        if "site-packages" in file and any(f"/{name}/" in file for name in LIBRARIES):
            return None
        if file.startswith(str(ROOT)) and "/.venv/" not in file:
            return frame.f_code.co_name
        frame = frame.f_back
    return None
