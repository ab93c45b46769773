"""What was found in each run, kept beside a study's report: the next one measures new scores only.

The tables of a run lie in one file, a stream of Arrow each, with a signature of all that they were
found in. Names, sizes and times of change are compared, as `ground.unchanged` does.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from diffusion.snapshots import THINNED
from ground.files import MANIFEST, hash_json, whole_file
from studies.run.directory import RunDir

VERSION = 3  # of what is measured: raise it when a table changes
SIGNATURE = b"found_in"
SOURCES = (
    *("scores.parquet/[!.]*.parquet", "denoiser.parquet/[!.]*.parquet"),
    *(f"snapshots/*/{MANIFEST}", f"snapshots/*/{THINNED}"),
)


def signature(run: RunDir) -> str:
    """Return what changes with the scores of a run, what is measured of its denoiser, its
    snapshots, its probe and its config."""
    files = [run.config_file, run.probe / "certificate.json"]
    files += [path for pattern in SOURCES for path in sorted(run.path.glob(pattern))]
    return hash_json([VERSION, *_facts(run, files)])


def _facts(run: RunDir, files: Sequence[Path]) -> Iterator[tuple[str, int, int]]:
    for path in files:
        if path.exists():
            facts = path.stat()
            yield str(path.relative_to(run.path)), facts.st_size, facts.st_mtime_ns


def found(
    path: Path, run: RunDir, count: int, measure: Callable[[], Sequence[pd.DataFrame]]
) -> Sequence[pd.DataFrame]:
    """Return what was found in a run: the `count` tables that are kept at `path` or, if something
    else was there to be measured, new ones, which are kept."""
    now = signature(run)
    tables: Sequence[pd.DataFrame] | None = kept_tables(path, now, count)
    if tables is None:
        tables = measure()
        keep_tables(path, now, tables)
    return tables


def keep_tables(path: Path, signature: str, tables: Sequence[pd.DataFrame]) -> None:
    """Write the tables of a run, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        for table in tables:
            rows = pa.Table.from_pandas(table, preserve_index=False)
            rows = rows.replace_schema_metadata(
                {**(rows.schema.metadata or {}), SIGNATURE: signature.encode()}
            )
            with pa.ipc.new_stream(stream, rows.schema) as writer:
                writer.write_table(rows)


def kept_tables(path: Path, signature: str, count: int) -> list[pd.DataFrame] | None:
    """Return the tables of a run; None if they are not there, were found in something else, or
    cannot be read."""
    try:
        with path.open("rb") as stream:
            tables = [pa.ipc.open_stream(stream).read_all() for _ in range(count)]
    except (OSError, pa.ArrowException):
        return None
    signatures = {(table.schema.metadata or {}).get(SIGNATURE) for table in tables}
    return [t.to_pandas() for t in tables] if signatures == {signature.encode()} else None
