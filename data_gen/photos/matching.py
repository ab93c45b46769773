"""The table of photographs against their folder: which rows have no image, and what may differ.

Imports no torch.
"""

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from data_gen.photos.attributes import Row
from ground.endings import Mistake
from ground.text import composed

SUFFIXES = tuple(".png .jpg .jpeg .webp .bmp .gif .tif .tiff .ppm .pgm .jp2 .avif".split())
HIDDEN = ("__MACOSX", "@eaDir")  # folders that systems put beside images, as they do .thumbnails
DIFFERENCES: dict[str, tuple[Callable[[str], str], str]] = {  # in what alone → what is left, advice
    "backslashes": (lambda name: name.replace("\\", "/"), "write / in the table"),
    "capital letters": (str.casefold, "write them in the table as the files have them"),
    "how accents are composed (Unicode NFC or NFD)": (composed, "rename the files, composed (NFC)"),
    "the ending": (
        lambda name: posixpath.splitext(name)[0],
        "write the endings in the table that the files have",
    ),
    "the folders before the name": (
        posixpath.basename,
        "set world.folder to the folder in which the table's names begin, or mend the table",
    ),
}


def check_folder(folder: Path, table: Path, rows: Sequence[Row]) -> None:
    """Refuse rows without an image and images without a row. Opens no image.

    Folders in the folder count too; links to folders do not, and what is hidden needs no row.
    """
    if not folder.is_dir():
        raise Mistake(f"world.folder: {folder}: no such folder of images")
    there, named = set(_files(folder)), {row.name for row in rows}
    missing = [row.name for row in rows if row.name not in there]
    strays = sorted(n for n in there - named if n.lower().endswith(SUFFIXES) and not _hidden(n))
    if missing:
        raise Mistake(
            f"{table}: {len(missing)} of {len(rows)} rows have no image in {folder}, the first is "
            f"{missing[0]!r}; {_advice(missing, strays)}"
        )
    if strays:
        raise Mistake(
            f"{folder}: images without a row in {table}: {len(strays)}, the first {strays[0]!r}; "
            f"add rows or move these images away"
        )


def _files(folder: Path) -> Iterator[str]:
    for root, _, files in os.walk(folder):
        inside = os.path.relpath(root, folder).replace(os.sep, "/")
        yield from (name if inside == "." else f"{inside}/{name}" for name in files)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part in HIDDEN for part in name.split("/"))


def _advice(missing: Sequence[str], strays: Sequence[str]) -> str:
    """In how little rows without an image differ from images without a row, and how to mend it."""
    for count in range(1, len(DIFFERENCES) + 1):
        pairs = {what: _pairs(missing, strays, what) for what in combinations(DIFFERENCES, count)}
        what = max(pairs, key=lambda what: len(pairs[what]))
        if pairs[what]:
            row, file = pairs[what][0]
            return (
                f"{len(pairs[what])} of them, such as {row!r}, differ from images without a row, "
                f"such as {file!r}, in {' and '.join(what)} alone: "
                f"{'; '.join(DIFFERENCES[one][1] for one in what)}"
            )
    if all(name.isdecimal() for name in missing):
        return "these are numbers: say with world.file_column which column has the file names"
    return "remove these rows, add the images, or say with world.file_column where their names are"


def _pairs(
    missing: Iterable[str], strays: Iterable[str], what: Iterable[str]
) -> list[tuple[str, str]]:
    """(row, file) that are the same but for some DIFFERENCES."""

    def rest(name: str) -> str:
        for one in what:
            name = DIFFERENCES[one][0](name)
        return name

    files = {rest(name): name for name in strays}
    return [(name, files[rest(name)]) for name in missing if rest(name) in files]
