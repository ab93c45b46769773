"""The page of several runs: one explorer, a choice of runs, and the data of each inlined."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.report.build import explorer, page_maker, write_page
from analysis.report.explored import Explored


def write_several(
    path: Path,
    title: str,
    runs: Mapping[str, Explored],
    rows: Sequence[Mapping[str, str]],
    notes: Sequence[str] = (),
) -> None:
    """Write a page (HTML) on which one run after another is chosen; what is chosen beside stays.

    rows: column -> text, a row of the table for each run. notes: sentences below it.
    """
    page = page_maker().get_template("several.html")
    write_page(path, page.render(title=title, rows=rows, notes=notes, explored=explorer(runs)))
