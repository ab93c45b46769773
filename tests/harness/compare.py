"""Two directories of one run: what differs between them first."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from diffusion.snapshots import last_state
from ground.files import hash_file, hashes

ROWS = ("metrics.jsonl", "ranks.jsonl")


def first_difference(run: Path, straight: Path) -> str | None:
    """Which file of `run` is not as in `straight`, and where; None if they are one run.

    Rows, snapshots, the last state and samples are compared byte for byte, scores as tables.
    """
    return next(_differences(run, straight), None)


def _differences(run: Path, straight: Path) -> Iterator[str]:
    if not (straight / "metrics.jsonl").is_file():
        yield f"{straight}: there is nothing to compare with"
    for name in ROWS:
        yield from _row_differences(run / name, straight / name)
    yield from _name_differences(_exact_files(run), _exact_files(straight))
    for name, digest in _exact_files(straight).items():
        if digest != _exact_files(run)[name]:
            yield f"{name}: byte {_first_byte(run / name, straight / name)} differs"
    yield from _score_differences(run / "scores.parquet", straight / "scores.parquet")


def _row_differences(run: Path, straight: Path) -> Iterator[str]:
    rows, expected = (_lines(path) for path in (run, straight))
    for number, (row, other) in enumerate(zip(rows, expected, strict=False), 1):
        if row != other:
            yield f"{run.name}, line {number}: {row!r}, straight {other!r}"
    if len(rows) != len(expected):
        yield f"{run.name}: {len(rows)} lines, straight {len(expected)}"


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True) if path.is_file() else []


def _exact_files(run: Path) -> dict[str, str]:
    """{path below the run: SHA-256} of all files that must be the same to the bit."""
    steps = [path for path in _visible(run / "snapshots", "step_*") if path.is_dir()]
    files = {f"{s.relative_to(run)}/{name}": h for s in steps for name, h in hashes(s).items()}
    state = last_state(run / "state")
    tensors = sorted(state.glob("*.safetensors")) if state else []
    single = [*tensors, *_visible(run / "samples", "*/*.npz")]
    return files | {str(path.relative_to(run)): hash_file(path) for path in single}


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Without what a killed process left under a temporary name."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _name_differences(names: dict[str, str], expected: dict[str, str]) -> Iterator[str]:
    for name in sorted(names.keys() ^ expected.keys()):
        yield f"{name}: {'missing' if name in expected else 'not in the straight run'}"


def _first_byte(path: Path, other: Path) -> int:
    """Place of the first byte in which two files differ, or the length of the shorter one."""
    a, b = path.read_bytes(), other.read_bytes()
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))


def _score_differences(run: Path, straight: Path) -> Iterator[str]:
    parts, expected = ({p.name: "" for p in _visible(f, "*.parquet")} for f in (run, straight))
    yield from _name_differences(parts, expected)
    for name in expected:
        table, other = pd.read_parquet(run / name), pd.read_parquet(straight / name)
        if not table.equals(other):
            yield f"scores.parquet/{name}: {_first_cell(table, other)}"
    if expected and len(pd.read_parquet(run)) != len(pd.read_parquet(straight)):
        yield "scores.parquet: read as one table it has another length"  # a temporary read along


def _first_cell(table: pd.DataFrame, other: pd.DataFrame) -> str:
    if table.shape != other.shape or list(table.columns) != list(other.columns):
        return f"shape {table.shape} of {list(table.columns)}, straight {other.shape}"
    differs = (table != other) & ~(table.isna() & other.isna())
    for column in differs.columns[differs.any()]:
        row = int(differs[column].to_numpy().argmax())
        return f"row {row}, {column}: {table[column][row]}, straight {other[column][row]}"
    return "other types of columns"
