"""The notebook runs on the example, without Jupyter, and shows what is kept in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from docs.execute import execute
from studies.examples import lay_out

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8"))


def texts(notebook: dict[str, Any]) -> list[str]:
    """What each cell of code prints or says, as text."""
    outputs = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [
        "".join("".join(one.get("text") or one["data"]["text/plain"]) for one in own)
        for own in outputs
    ]


def test_it_runs_on_the_example_and_shows_what_is_kept_in_it(kept, tmp_path):
    (tmp_path / "docs").mkdir()
    lay_out(ROOT / "examples" / "color_and_size", tmp_path / "runs")
    said = texts(execute(kept, tmp_path / "docs"))
    assert said == texts(kept) and all(said)
    assert "blue small" in said[0] and "held-out combinations .875" in said[1]


def test_it_is_what_jupyter_reads(kept):
    assert (kept["nbformat"], kept["nbformat_minor"]) == (4, 4)
    keys = {"markdown": {"cell_type", "metadata", "source"}}
    keys["code"] = keys["markdown"] | {"outputs", "execution_count"}
    assert all({*cell} == keys[cell["cell_type"]] for cell in kept["cells"])
    source = ["".join(cell["source"]) for cell in kept["cells"]]
    pictures = [
        o for c in kept["cells"] for o in c.get("outputs", ()) if "image/png" in o.get("data", ())
    ]
    assert len(pictures) == 1 and "make look" in source[0]


def test_a_cell_shows_what_it_prints_and_its_last_expression(tmp_path):
    def cell(*lines: str) -> dict[str, Any]:
        return {"cell_type": "code", "source": [*lines], "outputs": []}

    cells = [cell("x = 2\n", "print('said')\n", "x + 1"), cell("y = x"), cell("y * 2")]
    done = execute({"cells": cells}, tmp_path)
    assert texts(done) == ["said\n3", "", "4"]
    with pytest.raises(ZeroDivisionError):
        execute({"cells": [cell("1 / 0")]}, tmp_path)
