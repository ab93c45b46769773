"""The page of a run at work: it asks its own address for what is new, and nothing else."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from analysis.report.build import explorer, page_maker

SCRIPT = "explore_live.js"


@cache
def _explorer() -> Mapping[str, Any]:
    return explorer({}, [SCRIPT])


def policy() -> str:
    """Return the content policy of the page: its own script, images it holds, its own address."""
    source = _explorer()["script_source"]
    return (
        "default-src 'none'; img-src data:; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src '{source}'; base-uri 'none'; form-action 'none'"
    )


def live_page(name: str) -> str:
    """Return the page of a run by its name, which is text whatever it holds."""
    return page_maker().get_template("live.html").render(name=name, explored=_explorer())
