"""What a decided claim leaves: its verdict file, a figure and a table, and its rows on the page.

docs/findings/claims/<id>.json    the verdict, kept with the repository
runs/claims/<id>/                 figure and CSV
docs/findings/claims.md           the page of all verdicts, written from the files
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.figures.style import save_figure
from analysis.figures.verdicts import verdict_figure
from ground.files import write_json, write_text
from studies.claims.listing import Listed
from studies.claims.page import PAGE, page_text
from studies.run.directory import environment

Rows = Sequence[Mapping[str, Any]]
PACKAGES = ("numpy", "scipy", "pandas", "torch")


def write_verdict(one: Listed, rows: Rows, decided_from: str, folder: Path) -> None:
    """Write the verdict of a claim, its figure and table, and the page anew.

    decided_from: what it was decided from, for people. folder: of figure and table.
    """
    verdict = {
        "claim": one.id,
        "rules": one.rules_hash,
        "date": date.today().isoformat(),
        "decided_from": decided_from,
        "versions": versions(),
        "rows": [*rows],
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(verdict_figure(f"{one.id}: {one.entry.claim}", rows), folder / "verdict")
    write_text(folder / "verdict.csv", _csv(rows))
    write_json(one.verdict_file, verdict)
    write_text(PAGE, page_text())


def versions() -> dict[str, str]:
    """Return the versions of Python, of the packages that compute, and of this project, with its
    commit."""
    told = environment()
    packages = {name: version(name) for name in PACKAGES}
    own = {"concept-dynamics": version("concept-dynamics"), "commit": told["commit"]}
    return {"python": told["python"], **packages, **own}


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
