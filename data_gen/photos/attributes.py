"""Tables that say what photographs show: CSV, JSON lines, CelebA's list_attr. Imports no torch."""

import csv
import io
import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ground.endings import Mistake, nearest
from ground.text import composed

FILE_NAME = "file_name"  # the column of Hugging Face's metadata.csv and metadata.jsonl


@dataclass(frozen=True)
class Row:
    """What a table says of one image.

    Attributes:
        name: path of the file relative to the folder of images, with slashes.
        cells: texts of the columns asked for, without blanks around them, composed (Unicode NFC).
        line: of the table, from 1.
    """

    name: str
    cells: tuple[str, ...]
    line: int


def read_table(
    path: Path, columns: Sequence[str], file_column: str | None = None
) -> tuple[Row, ...]:
    """All rows of a table, with the columns asked for, sorted by file name (by code points).

    The suffix says the layout:
        .csv    a header, then rows. File names are in the column `file_name`, else in the first.
        .jsonl  an object per line, `file_name` in each. Numbers count as they are spelled; true,
                false and null as "true", "false" and "".
        .txt    CelebA's list_attr: the number of images, the names of the columns, then rows
                `file cell cell …`, separated by blanks.

    file_column: where file names are, if not there.

    Raises Mistake, naming file and line, for whatever is no such table, columns it has not, rows
    of another length than the header's, and images with two rows.
    """
    layouts = {".csv": _read_csv, ".jsonl": _read_jsonl, ".txt": _read_list_attr}
    if path.suffix.lower() not in layouts:
        raise Mistake(
            f"world.table: {path}: unknown layout {path.suffix!r}; allowed .csv, .jsonl, "
            f"or .txt as CelebA's list_attr"
        )
    rows = layouts[path.suffix.lower()](path, columns, file_column)
    rows = sorted(rows, key=lambda row: row.name)
    for row, after in zip(rows, rows[1:], strict=False):
        if row.name == after.name:
            lines = f"{row.line} and {after.line}"
            raise Mistake(f"{path}: two rows for {row.name!r}, lines {lines}; allowed one")
    if not rows:
        raise Mistake(f"{path}: has no rows; it must hold one per image")
    return tuple(rows)


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


def _read_csv(path: Path, columns: Sequence[str], file_column: str | None) -> list[Row]:
    text = _text(path)
    reader = csv.reader(io.StringIO(text), strict=True)
    table = ((reader.line_num, cells) for cells in reader if cells)
    try:
        with _cells_up_to(len(text)):
            _, header = next(table, (0, []))
            return _read_grid(path, header, table, columns, file_column)
    except csv.Error as error:
        raise Mistake(f"{path}, line {reader.line_num}: broken CSV ({error})") from None


@contextmanager
def _cells_up_to(size: int) -> Iterator[None]:
    """Cells may have as many characters; Python's csv takes longer ones for broken."""
    before = csv.field_size_limit(size)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_list_attr(path: Path, columns: Sequence[str], file_column: str | None) -> list[Row]:
    table = ((number, line.split()) for number, line in _lines(path))
    (_, count), (_, header) = next(table, (0, [])), next(table, (0, []))
    if len(count) != 1 or not count[0].isdecimal():
        raise Mistake(
            f"{path}: not in the layout of CelebA's list_attr, whose first line is the number of "
            f"images and whose second names the columns"
        )
    rows = _read_grid(path, [FILE_NAME, *header], table, columns, file_column)
    if len(rows) != int(count[0]):
        raise Mistake(f"{path}, line 1: says {count[0]} images, but {len(rows)} rows follow")
    return rows


def _read_grid(
    path: Path,
    header: Sequence[str],
    table: Iterable[tuple[int, list[str]]],
    columns: Sequence[str],
    file_column: str | None,
) -> list[Row]:
    """Rows of a header and of (line, cells)."""
    header = [composed(name.strip()) for name in header]
    for name in header:
        if header.count(name) > 1:
            raise Mistake(f"{path}: has two columns {name!r}; allowed one")
    places = [header.index(_known(path, name, header)) for name in columns]
    column = file_column or (FILE_NAME if FILE_NAME in header else header[0])
    first = header.index(_known(f"world.file_column: {path}", column, header))
    rows = []
    for line, cells in table:
        if len(cells) != len(header):
            raise Mistake(
                f"{path}, line {line}: has {len(cells)} cells, allowed {len(header)}, as many as "
                f"columns (with the file name)"
            )
        texts = tuple(composed(cells[place].strip()) for place in places)
        rows.append(Row(_file_name(path, line, cells[first]), texts, line))
    return rows


def _read_jsonl(path: Path, columns: Sequence[str], file_column: str | None) -> list[Row]:
    rows = []
    for line, text in _lines(path):
        where = f"{path}, line {line}"
        cells = {composed(name): cell for name, cell in _json_object(where, text).items()}
        name = _json_text(f"world.file_column: {where}", file_column or FILE_NAME, cells)
        texts = (composed(_json_text(where, column, cells)) for column in columns)
        rows.append(Row(_file_name(path, line, name), tuple(texts), line))
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
    """The column, as the header spells it: composed."""
    name = composed(column.strip())
    if name not in header:
        hint = nearest(name, tuple(header))
        listing = ", ".join(name or "''" for name in header) or "none"
        raise Mistake(f"{where}: has no column {column!r}{hint}; it has {listing}")
    return name


def _file_name(path: Path, line: int, name: str) -> str:
    """'./a.png' and 'a.png' are one file; none lies outside of the folder."""
    short = posixpath.normpath(name.strip())
    if short in (".", "..") or short.startswith(("/", "../")):
        raise Mistake(f"{path}, line {line}: {name!r} is no file in the folder of images")
    return short
