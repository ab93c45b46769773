"""The table of photographs against their folder: which rows have no image, and what may differ.

Imports no torch.
"""

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from data_gen.endings import Mistake
from data_gen.photos.attributes import Row
from data_gen.reserved import composed

SUFFIXES = tuple(".png .jpg .jpeg .webp .bmp .gif .tif .tiff .ppm .pgm .jp2 .avif".split())
HIDDEN = (
    "__MACOSX",
    "@eaDir",
)  # what systems put beside images, as they do folders like .thumbnails
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
    """What rows without an image and images without a row differ in; of several, what most do."""
    pairs = {what: _pairs(missing, strays, [left]) for what, (left, _) in DIFFERENCES.items()}
    what = max(pairs, key=lambda what: len(pairs[what]))
    if pairs[what]:
        return f"{_differ(pairs[what])} {what} alone: {DIFFERENCES[what][1]}"
    if found := _pairs(missing, strays, [left for left, _ in DIFFERENCES.values()]):
        return f"{_differ(found)} more than one of {', '.join(DIFFERENCES)}: make them the same"
    if all(name.isdecimal() for name in missing):
        return "these are numbers: say with world.file_column which column has the file names"
    return "remove these rows, add the images, or say with world.file_column where their names are"


def _pairs(
    missing: Iterable[str], strays: Iterable[str], left: Sequence[Callable[[str], str]]
) -> list[tuple[str, str]]:
    """(row, file) that are the same in what some functions leave of a name."""

    def rest(name: str) -> str:
        for function in left:
            name = function(name)
        return name

    files = {rest(name): name for name in strays}
    return [(name, files[rest(name)]) for name in missing if rest(name) in files]


def _differ(pairs: Sequence[tuple[str, str]]) -> str:
    row, file = pairs[0]
    count = f"{len(pairs)} of them, such as {row!r}"
    return f"{count}, differ from images without a row, such as {file!r}, in"
