"""Tables of a run beside its scores: folders of Parquet parts, each written whole."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ground.endings import Mistake, first_line
from ground.files import whole_file


def write_rows(part: Path, rows: pd.DataFrame, facts: Mapping[str, str]) -> None:
    """Write one part, whole or not at all; `facts` go into its metadata.

    Until it is whole it lies beside the folder of parts, where no reader of that takes it for one.
    """
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **facts})
    with whole_file(part, part.parent.parent) as temporary:
        pq.write_table(table, temporary)


def read_part_rows(part: Path) -> pd.DataFrame:
    """Read one part. Mistake names a file that cannot be read."""
    try:
        return pq.read_table(part).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Mistake(
            f"{part}: cannot read these rows ({first_line(error)}); move the file away, "
            f"scripts/evaluate.py makes it again"
        ) from None
