"""Tables that say what photographs show: CSV, JSON lines, CelebA's list_attr. Imports no torch."""

import csv
import io
import json
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.endings import Mistake, nearest

FILE_NAME = "file_name"  # the column of Hugging Face's metadata.csv and metadata.jsonl
SUFFIXES = tuple(".png .jpg .jpeg .webp .bmp .gif .tif .tiff .ppm .pgm .jp2 .avif".split())


@dataclass(frozen=True)
class Row:
    """What a table says of one image.

    Attributes:
        name: path of the file relative to the folder of images, with slashes.
        cells: texts of the columns asked for, without blanks around them.
        line: of the table, from 1.
    """

    name: str
    cells: tuple[str, ...]
    line: int


def read_table(path: Path, columns: Sequence[str]) -> tuple[Row, ...]:
    """All rows of a table, with the columns asked for, sorted by file name (by code points).

    The suffix says the layout:
        .csv    a header, then rows. File names are in the column `file_name`, else in the first.
        .jsonl  an object per line, `file_name` in each. Numbers count as they are spelled; true,
                false and null as "true", "false" and "".
        .txt    CelebA's list_attr: the number of images, the names of the columns, then rows
                `file cell cell …`, separated by blanks.

    Raises Mistake, naming file and line, for whatever is no such table, columns it has not, rows
    of another length than the header's, and images with two rows.
    """
    layouts = {".csv": _read_csv, ".jsonl": _read_jsonl, ".txt": _read_list_attr}
    if path.suffix.lower() not in layouts:
        raise Mistake(
            f"world.table: {path}: unknown layout {path.suffix!r}; allowed .csv, .jsonl, "
            f"or .txt as CelebA's list_attr"
        )
    rows = layouts[path.suffix.lower()](path, columns)
    rows = sorted(rows, key=lambda row: row.name)
    for row, after in zip(rows, rows[1:], strict=False):
        if row.name == after.name:
            lines = f"{row.line} and {after.line}"
            raise Mistake(f"{path}: two rows for {row.name!r}, lines {lines}; allowed one")
    if not rows:
        raise Mistake(f"{path}: has no rows; it must hold one per image")
    return tuple(rows)


def check_folder(folder: Path, table: Path, rows: Sequence[Row]) -> None:
    """Refuse rows without an image and images without a row. Opens no image.

    Folders in the folder count too, links to folders and hidden files do not.
    """
    if not folder.is_dir():
        raise Mistake(f"world.folder: {folder}: no such folder of images")
    there, named = set(_files(folder)), {row.name for row in rows}
    missing = [row.name for row in rows if row.name not in there]
    if missing:
        raise Mistake(
            f"{table}: {len(missing)} of {len(rows)} rows have no image in {folder}, the first is "
            f"{missing[0]!r}; remove these rows or add the images"
        )
    strays = sorted(n for n in there - named if n.lower().endswith(SUFFIXES))
    if strays:
        raise Mistake(
            f"{folder}: images without a row in {table}: {len(strays)}, the first {strays[0]!r}; "
            f"add rows or move these images away"
        )


def _files(folder: Path) -> Iterator[str]:
    for root, _, files in os.walk(folder):
        inside = os.path.relpath(root, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        yield from (prefix + name for name in files if not name.startswith("."))


def _text(path: Path) -> str:
    """A table's text without the byte order mark that spreadsheets write."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Mistake(f"world.table: {path}: no such file") from None
    except IsADirectoryError:
        raise Mistake(f"world.table: {path}: is a folder, not a table") from None
    except UnicodeDecodeError as error:
        raise Mistake(f"world.table: {path}: not UTF-8 text ({error.reason})") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of every line that is not blank."""
    lines = enumerate(_text(path).split("\n"), start=1)
    return ((number, line) for number, line in lines if line.strip())


def _read_csv(path: Path, columns: Sequence[str]) -> list[Row]:
    reader = csv.reader(io.StringIO(_text(path)), strict=True)
    table = ((reader.line_num, cells) for cells in reader if cells)
    try:
        _, header = next(table, (0, []))
        return _read_grid(path, [name.strip() for name in header], table, columns)
    except csv.Error as error:
        raise Mistake(f"{path}, line {reader.line_num}: broken CSV ({error})") from None


def _read_list_attr(path: Path, columns: Sequence[str]) -> list[Row]:
    table = ((number, line.split()) for number, line in _lines(path))
    (_, count), (_, header) = next(table, (0, [])), next(table, (0, []))
    if len(count) != 1 or not count[0].isdecimal():
        raise Mistake(
            f"{path}: not in the layout of CelebA's list_attr, whose first line is the number of "
            f"images and whose second names the columns"
        )
    rows = _read_grid(path, [FILE_NAME, *header], table, columns)
    if len(rows) != int(count[0]):
        raise Mistake(f"{path}, line 1: says {count[0]} images, but {len(rows)} rows follow")
    return rows


def _read_grid(
    path: Path,
    header: Sequence[str],
    table: Iterable[tuple[int, list[str]]],
    columns: Sequence[str],
) -> list[Row]:
    """Rows of a header and of (line, cells)."""
    for name in header:
        if header.count(name) > 1:
            raise Mistake(f"{path}: has two columns {name!r}; allowed one")
    places = [header.index(_known(path, name, header)) for name in columns]
    first, rows = header.index(FILE_NAME) if FILE_NAME in header else 0, []
    for line, cells in table:
        if len(cells) != len(header):
            raise Mistake(
                f"{path}, line {line}: has {len(cells)} cells, allowed {len(header)}, as many as "
                f"columns (with the file name)"
            )
        texts = tuple(cells[place].strip() for place in places)
        rows.append(Row(_file_name(path, line, cells[first]), texts, line))
    return rows


def _read_jsonl(path: Path, columns: Sequence[str]) -> list[Row]:
    rows = []
    for line, text in _lines(path):
        where = f"{path}, line {line}"
        cells = _json_object(where, text)
        name = cells[_known(where, FILE_NAME, tuple(cells))]
        texts = (_json_text(where, column, cells) for column in columns)
        rows.append(Row(_file_name(path, line, str(name)), tuple(texts), line))
    return rows


def _json_object(where: str, text: str) -> dict[str, Any]:
    """Numbers stay the texts they are: 1 is no 1.0, as in the other layouts."""
    try:
        cells = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"{where}: not readable as JSON ({error})") from None
    if not isinstance(cells, dict):
        raise Mistake(f"{where}: got {text.strip()[:40]!r}, allowed an object with {FILE_NAME!r}")
    return cells


def _json_text(where: str, column: str, cells: dict[str, Any]) -> str:
    cell = cells[_known(where, column, tuple(cells))]
    if isinstance(cell, list | dict):
        raise Mistake(f"{where}: {column} is {cell}; allowed a text, a number, true, false or null")
    return cell.strip() if isinstance(cell, str) else {True: "true", False: "false", None: ""}[cell]


def _known(where: Path | str, column: str, header: Sequence[str]) -> str:
    if column not in header:
        hint = nearest(column, tuple(header))
        listing = ", ".join(header) or "none"
        raise Mistake(f"{where}: has no column {column!r}{hint}; it has {listing}")
    return column


def _file_name(path: Path, line: int, name: str) -> str:
    """'./a.png' and 'a.png' are one file; none lies outside of the folder."""
    short = posixpath.normpath(name.strip())
    if short in (".", "..") or short.startswith(("/", "../")):
        raise Mistake(f"{path}, line {line}: {name!r} is no file in the folder of images")
    return short
