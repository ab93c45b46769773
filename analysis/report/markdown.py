"""Page of a study in Markdown, for documentation: the sections of its report, figures beside it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from analysis.report.build import png_bytes
from analysis.report.study import Section, StudyReport


def write_markdown_page(path: Path, report: StudyReport, made_by: str) -> None:
    """Write the sections of `report` to `path` (Markdown), and their figures as PNG into the folder
    beside it that has its name without the ending.

    The runs themselves are left out: they are on the page of the study. Figures are written before
    the page that names them.

    made_by: the command, which the page tells.
    """
    figures = path.with_suffix("")
    lines = [f"# {_plain(report.title)}", "", _plain(report.question), "", _facts(report), ""]
    for section in report.sections:
        lines += [f"## {_plain(section.title)}", "", *_body(section, figures)]
    lines += [f"Made by `{made_by}`.", ""]
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("\n".join(lines), encoding="utf-8")
    os.replace(partial, path)


def _facts(report: StudyReport) -> str:
    return ", ".join(
        f"{_plain(name)}: {_plain(str(value))}" for name, value in report.facts.items()
    )


def _body(section: Section, figures: Path) -> Iterator[str]:
    """Yield the lines of a section, each block followed by an empty line."""
    if section.answer:
        yield from (f"**{_plain(section.answer)}**", "")
    for number, (caption, figure) in enumerate(section.figures, 1):
        name = f"{_slug(section.title)}-{number}.png"
        figures.mkdir(exist_ok=True)
        (figures / name).write_bytes(png_bytes(figure))
        yield from (f"![{_plain(caption)}]({figures.name}/{name})", "", _plain(caption), "")
    if section.rows:
        yield from (*_table(section.table), "")
    for note in section.notes:
        yield from (_plain(note), "")


def _table(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    columns = [*rows[0]]
    yield _row(columns)
    yield _row("---" for _ in columns)
    for row in rows:
        yield _row(row[column] for column in columns)


def _row(cells: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Return text on one line that Markdown shows as it stands."""
    return re.sub(r"([\\`*_<>|]|(?<=\])\()", r"\\\1", " ".join(text.split()))


def _slug(title: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
