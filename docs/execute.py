"""Runs the code of a notebook and keeps in it what that shows; it needs no Jupyter.

    python docs/execute.py docs/tutorial.ipynb

A cell shows what it prints and, as in Jupyter, its last expression: as text, as a table, or as the
picture that the object says it is (`_repr_html_`, `_repr_png_`). The tutorial reads the run that
`make look` lays out.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

Output = dict[str, Any]


def execute(notebook: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a notebook with the outputs of its code, run in a folder, cell after cell."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        cells = [_executed(cell, names) for cell in notebook["cells"]]
    return {**notebook, "cells": cells}


def _executed(cell: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    body, printed = ast.parse("".join(cell["source"])).body, io.StringIO()
    end = body[-1]
    last = ast.Expression(end.value) if isinstance(end, ast.Expr) else None
    body = body[:-1] if last else body
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
        value = eval(compile(last, "<cell>", "eval"), names) if last else None
    text = printed.getvalue()
    outputs: list[Output] = [_stream(text)] if text else []
    outputs += [_result(value)] if value is not None else []
    return {**cell, "outputs": outputs, "execution_count": None}


def _stream(text: str) -> Output:
    return {"output_type": "stream", "name": "stdout", "text": _lines(text)}


def _result(value: Any) -> Output:
    data: dict[str, Any] = {"text/plain": _lines(_text(value))}
    for kind, method in (("text/html", "_repr_html_"), ("image/png", "_repr_png_")):
        shown = getattr(value, method, lambda: None)()
        if shown:
            is_png = isinstance(shown, bytes)
            data[kind] = base64.b64encode(shown).decode() if is_png else _lines(shown)
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _text(value: Any) -> str:
    """Return what an object says of itself; of a picture, whose text has an address, its size."""
    if hasattr(value, "_repr_png_"):
        return f"picture of {value.width} × {value.height} px"
    return repr(value)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    path = Path(sys.argv[1])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    done = json.dumps(execute(notebook, path.parent), indent=1, ensure_ascii=False)
    path.write_text(done + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
