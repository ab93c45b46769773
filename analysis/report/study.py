"""The report of a study of many runs: one HTML file that needs nothing else to be read.

Its runs can be sorted and filtered by a script of its own, study.js, the only one that the page's
policy allows: it names its hash. Without scripts all is there too, failures first.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from analysis.report.build import data_uri, figure_uris, page_maker, script_source, write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALARMING = ("failed", "diverged", "lost")
FIRST_STATES = (*ALARMING, "preempted", "running", "waiting")  # then those that are done
THUMBNAIL_PX, THUMBNAIL_COLORS = 32, 24
MOST_POINTS = 24  # of a sparkline
SCRIPT = Path(__file__).with_name("study.js")

Cell = str | float | int | None


@dataclass(frozen=True)
class RunRow:
    """What the page says of one run.

    cells: of the report's columns; None: not known.
    link: to its own report, relative to the page; None: it has none.
    sample: uint8 [0, 255] (H, W, 3), or None.
    curve: values in [0, 1], in order of time.
    """

    name: str
    state: str
    variant: str
    cells: Sequence[Cell]
    why: str = ""
    link: str | None = None
    sample: np.ndarray | None = None
    curve: Sequence[float] = ()

    @property
    def is_alarming(self) -> bool:
        return self.state in ALARMING


@dataclass(frozen=True)
class Section:
    """Part of the page beside its runs.

    answer: the sentence that says it, first of all. figures: (caption, PNG bytes or a matplotlib
    figure). rows: column -> text, of a table; a row may lack a column. notes: sentences below.
    """

    title: str
    figures: Sequence[tuple[str, bytes | Figure]] = ()
    rows: Sequence[Mapping[str, str]] = ()
    notes: Sequence[str] = ()
    answer: str = ""

    @property
    def table(self) -> list[dict[str, str]]:
        """Rows that all have the same columns: a dash where there is nothing."""
        columns = dict.fromkeys(column for row in self.rows for column in row)
        return [{column: row.get(column, "–") for column in columns} for row in self.rows]


@dataclass(frozen=True)
class StudyReport:
    """What the page of a study says.

    facts: label -> value. columns: names of the cells of every run. curve_name: what its small
    curve shows.
    """

    title: str
    question: str
    facts: Mapping[str, Any]
    columns: Sequence[str]
    runs: Sequence[RunRow]
    curve_name: str
    sections: Sequence[Section] = ()


def write_study_page(path: Path, report: StudyReport) -> None:
    """Renders `report` to `path` (HTML), which appears only when complete. Runs that failed come
    first.

    Text is escaped, whatever it holds. The folder must exist.
    """
    script = SCRIPT.read_text(encoding="utf-8")
    maker = page_maker()
    maker.filters.update(cell=_cell, points=_points, thumbnail=_thumbnail)
    runs = sorted(report.runs, key=lambda run: _rank(run.state))
    html = maker.get_template("study.html").render(
        report={**vars(report), "runs": runs, "sections": _sections(report.sections)},
        states=list(dict.fromkeys(run.state for run in runs)),
        script=Markup(script),
        script_hash=Markup(script_source(script)),
    )
    write_page(path, html)


def _rank(state: str) -> int:
    return FIRST_STATES.index(state) if state in FIRST_STATES else len(FIRST_STATES)


def _sections(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Sections with data: URIs; figures are numbered through."""
    told, before = [], 0
    for section in sections:
        shown = {"rows": section.table, "uris": figure_uris(section.figures), "before": before}
        told.append({**vars(section), **shown})
        before += len(section.figures)
    return told


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _points(curve: Sequence[float]) -> str:
    """Points of a polyline in a box of 100 × 24; the first, the last and some between."""
    places = np.unique(np.linspace(0, len(curve) - 1, MOST_POINTS).round().astype(int))
    x = np.linspace(0, 100, len(curve)).round().astype(int)
    return " ".join(f"{x[i]},{23 - round(22 * curve[i])}" for i in places)


def _thumbnail(image: np.ndarray) -> str:
    """A small PNG of few colours: hundreds of them are to stay one light page."""
    small = Image.fromarray(image)
    if max(small.size) > THUMBNAIL_PX:
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = io.BytesIO()
    small.quantize(THUMBNAIL_COLORS).save(buffer, format="PNG", optimize=True)
    return data_uri(buffer.getvalue())
