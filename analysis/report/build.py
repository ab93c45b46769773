"""The report of a run: one HTML file that needs nothing else to be read.

Images are inlined and the page's own policy forbids requests, so it opens from a disk, an
e-mail or an archive alike, on a phone, in dark and on paper.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from analysis.figures.style import write_figure
from analysis.report.explored import Explored
from analysis.tables.trajectory import in_reading_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCRIPTS = ("explore_plots.js", "explore_data.js", "explore.js")


@dataclass(frozen=True)
class Neighbour:
    """A generated image of a held-out combination and the training image most like it.

    sample, nearest: uint8 [0, 255] (H, W, 3).
    distance: between the two, root mean square over pixels and channels, in grey levels [0, 255].
    """

    prompt: str
    sample: np.ndarray
    nearest: np.ndarray
    nearest_caption: str
    distance: float


@dataclass(frozen=True)
class Report:
    """What the page says. Sections with nothing in them are left out.

    facts: label -> value with its unit, in reading order ("Images per second": "410").
    accuracy: as `trajectory.final_accuracy` returns it.
    chance: a sentence that says what guessing would score.
    figures: (caption, PNG bytes or a matplotlib figure), in reading order.
    instrument_figures: the same of what read the images; probe is what is known of it.
    probe, environment: label -> value; a value may be a mapping itself.
    prompts: column -> text, for each row of the table that sets other prompts beside the captions.
    learned: column -> text, for each row of the table that says when each concept is read right.
    times: column -> text, for each concept and instrument: when it is learned. agree: column ->
        text, of ways of evaluating compared.
    said: findings, a sentence each, which come first. explored: what the page moves through time.
    leak_check: one finding per line.
    """

    title: str
    question: str
    facts: Mapping[str, Any]
    accuracy: pd.DataFrame
    chance: str = ""
    figures: Sequence[tuple[str, bytes | Figure]] = ()
    instrument_figures: Sequence[tuple[str, bytes | Figure]] = ()
    probe: Mapping[str, Any] = field(default_factory=dict)
    prompts: Sequence[Mapping[str, str]] = ()
    learned: Sequence[Mapping[str, str]] = ()
    times: Sequence[Mapping[str, str]] = ()
    said: Sequence[str] = ()
    explored: Explored | None = None
    agree: Sequence[Mapping[str, str]] = ()
    leak_check: Sequence[str] = ()
    neighbours: Sequence[Neighbour] = ()
    config_yaml: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Renders `report` to `path` (HTML), which appears only when complete.

    Text is escaped, whatever it holds. The folder must exist.
    """
    html = (
        page_maker()
        .get_template("template.html")
        .render(
            report=report,
            measures=["joint", *(m for m in report.accuracy["measure"].unique() if m != "joint")],
            accuracy_rows=_accuracy_rows(report.accuracy),
            figures=figure_uris(report.figures),
            instrument_figures=figure_uris(report.instrument_figures),
            explored=explorer({report.title: report.explored}) if report.explored else None,
        )
    )
    write_page(path, html)


def explorer(runs: Mapping[str, Explored], more_scripts: Sequence[str] = ()) -> dict[str, Any]:
    """Return data, sprites and script of a page of some runs, by their names, and the source that
    its policy allows. more_scripts: names of files in this folder that the script goes on with."""
    files = [Path(__file__).with_name(name) for name in (*SCRIPTS, *more_scripts)]
    script = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return {
        "runs": [(name, Markup(run.json)) for name, run in runs.items()],
        "sheets": [[data_uri(sheet) for sheet in run.sheets] for run in runs.values()],
        "script": Markup(script),
        "script_source": Markup(script_source(script)),
    }


def script_source(script: str) -> str:
    """Return the source of a script that a content security policy allows."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def page_maker() -> Environment:
    """Return what makes pages of the templates of this folder; it escapes all text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(value=_value, array_uri=array_uri)
    return environment


def write_page(path: Path, html: str) -> None:
    """Write a page, which appears only when complete."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(html, encoding="utf-8")
    os.replace(partial, path)


def _accuracy_rows(final: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per run and split: its name and, by measure, the record of `final`."""
    several_runs = final["run"].nunique() > 1
    groups = {
        (str(run), str(split)): group for (run, split), group in final.groupby(["run", "split"])
    }
    order = in_reading_order(str(split) for split in final["split"])
    rows = []
    for run, split in sorted(groups, key=lambda key: (key[0], order.index(key[1]))):
        name = split.replace("_", "-")
        cells = {record["measure"]: record for record in groups[run, split].to_dict("records")}
        rows.append({"name": f"{run}, {name}" if several_runs else name, "cells": cells})
    return rows


def _value(value: object) -> str:
    """Floats to four significant digits; everything else as Python writes it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def figure_uris(figures: Sequence[tuple[str, bytes | Figure]]) -> list[tuple[str, str]]:
    """Return (caption, data: URI) of every figure."""
    return [(caption, data_uri(png_bytes(figure))) for caption, figure in figures]


def png_bytes(figure: bytes | Figure) -> bytes:
    """Return a figure as PNG; bytes are taken for such."""
    if isinstance(figure, bytes):
        return figure
    buffer = io.BytesIO()
    write_figure(figure, buffer, "png")
    return buffer.getvalue()


def array_uri(image: np.ndarray) -> str:
    """Return uint8 (H, W, 3) as a data: URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return data_uri(buffer.getvalue())


def data_uri(png: bytes) -> str:
    """Return a PNG file as a data: URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
