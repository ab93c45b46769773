"""Tables of many runs, read as one: each is a lazy dataset with the runs' settings as columns.

Nothing is read but what is asked for: of the files those that a filter leaves, of these the columns
that are named. Nothing is read either that does not belong to the weights that are there
(studies/run/provenance.py).
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from operator import and_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from classifiers.scores import SCHEMA, decoded, readable
from ground.endings import Mistake, first_line
from studies.experiment.config import RESERVED_NAMES
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.provenance import snapshot_at, why_not_by
from studies.run.results import planned
from studies.run_sets.discovery import as_text, members_in
from studies.run_sets.members import StudyRun

ABOUT = ("name", "variant", "seed")  # columns of every table that say whose row it is
PART = re.compile(r"(?P<before>.*)-n(?P<images>\d+)-(?P<instrument>.*)\.parquet")
STEP = re.compile(r"step_(\d{8})-|.*-step(\d+)-n\d+-")  # of a snapshot; of a memoriser that has one
CHECKED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
LOCAL = fs.LocalFileSystem()

Columns = Iterable[str] | Mapping[str, pc.Expression] | None


class RunSet:
    """Set of runs whose tables are read as one.

    Every table has, beside the columns that it has in a run, the `name` of the run in the set, its
    `variant`, its training `seed` and a column for each field in which the variants differ, typed.
    Rows of a run's baselines have them too.
    """

    def __init__(self, members: Sequence[StudyRun]):
        self.members = tuple(members)
        self._opened: dict[str, Experiment] = {}

    @classmethod
    def of_folders(cls, paths: Iterable[Path | str]) -> "RunSet":
        """Return the set of some run directories, or of those in folders. Raises Mistake if there
        are none."""
        return cls(members_in(map(Path, paths)))

    def only(self, members: Sequence[StudyRun]) -> "RunSet":
        """Return the set of some of its runs; what is opened stays opened."""
        other = RunSet(members)
        other._opened = self._opened
        return other

    def experiment(self, member: StudyRun) -> Experiment:
        """Return a run by its name in the set, opened once. Raises Mistake if it has not begun."""
        if member.name not in self._opened:
            self._opened[member.name] = Experiment.of_run(member.run).named(member.name)
        return self._opened[member.name]

    @cached_property
    def settings(self) -> pd.DataFrame:
        """Return a row per run: name, variant, seed and the fields in which the variants differ."""
        return pa.Table.from_pylist([*map(self._about, self.members)], self._schema).to_pandas()

    @property
    def fields(self) -> list[str]:
        """Return the fields in which the variants differ, dotted."""
        return self._schema.names[len(ABOUT) :]

    def names(self) -> list[str]:
        """Return the tables that some run has."""
        found = {path.stem for m in self.members for path in m.run.path.glob("[!.]*.parquet")}
        return sorted(found)

    def table(self, name: str = "scores") -> "RunTable":
        """Return one table of all runs that have it.

        An image that several evaluations of a run have scored, of which one drew more of each
        combination, is there once. Raises Mistake if no run has any rows, for a part that is not of
        the weights that are there, and for one that another version of a measurement has made.
        """
        return self._table({m.name: _parts(m.run.table(name)) for m in self.members}, name)

    def shown(self, instrument: str | None = None) -> "RunTable":
        """Return of `scores` what tables and figures show: one kind of weights, the captions, as
        the run's probe reads them, and the baselines.

        Of a run that is not evaluated to its end, what is there. Raises Mistake as `table` does.

        instrument: another than the run's probe, such as the oracle.
        """
        parts = {m.name: self._shown_parts(m, instrument) for m in self.members}
        return self._table(parts, "scores")

    def _shown_parts(self, member: StudyRun, instrument: str | None) -> list[Path]:
        if not member.run.scores.is_dir():
            return []  # nor a probe, perhaps
        experiment = self.experiment(member)
        plans, name = planned(experiment.config), instrument or experiment.probe_name
        parts = [plan.part(member.run, name) for plan in plans]
        return [part for part in parts if part.is_file()]

    def _table(self, parts: Mapping[str, Sequence[Path]], name: str) -> "RunTable":
        """Return the table of some parts, by the name of their run."""
        first = next((path for paths in parts.values() for path in paths), None)
        if first is None:
            raise Mistake(f"{name}: no run of the set has this table; run scripts/evaluate.py")
        own = SCHEMA if name == "scores" else pq.read_schema(first).remove_metadata()
        schema = pa.schema([*(c for c in own if c.name not in self._schema.names), *self._schema])
        fragments = {m.name: self._fragments(m, parts[m.name]) for m in self.members}
        return RunTable(
            {
                name: ds.FileSystemDataset(own, schema, CHECKED, LOCAL)
                for name, own in fragments.items()
                if own
            }
        )

    def _fragments(self, member: StudyRun, paths: Iterable[Path]) -> list[ds.Fragment]:
        """Return parts with what is true of every row of them: their own columns are filled in from
        that. Each file's footer is read once, here."""
        about = self._about(member)
        told = [
            ds.field(c.name).is_null()
            if about[c.name] is None
            else ds.field(c.name) == pa.scalar(about[c.name], c.type)
            for c in self._schema
        ]
        return [_fragment(path, member.run, reduce(and_, told)) for path in paths]

    def write(self, folder: Path, name: str = "scores") -> None:
        """Write one table of all runs as a folder of Parquet parts, one a run.

        pandas, polars and duckdb read the folder as it is. It appears whole or not at all. Raises
        Mistake if there is something under that name already.
        """
        if folder.exists():
            raise Mistake(f"{folder}: is there already; choose another name or move it away")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            whole = Path(temporary) / folder.name
            whole.mkdir()
            for number, (_, rows) in enumerate(self.table(name).by_run()):
                pq.write_table(rows, whole / f"{number:05d}.parquet")
            os.replace(whole, folder)

    @cached_property
    def _schema(self) -> pa.Schema:
        keys = dict.fromkeys(key for member in self.members for key in member.settings)
        columns = [("name", pa.string()), ("variant", pa.string()), ("seed", pa.int64())]
        columns += [(key, _type_of([m.settings.get(key) for m in self.members])) for key in keys]
        taken = {*ABOUT, *SCHEMA.names} & {*keys}
        if taken:
            raise Mistake(f"{taken.pop()}: is a column of scores; no setting may be called so")
        return pa.schema(columns)

    def _about(self, member: StudyRun) -> dict[str, Any]:
        """Return what the set's own columns say of a run."""
        told = {key: member.settings.get(key) for key in self.fields}
        texts = {key for key in told if self._schema.field(key).type == pa.string()}
        told |= {key: as_text(told[key]) for key in texts if told[key] is not None}
        return {"name": member.name, "variant": member.variant, "seed": member.seed, **told}


class RunTable:
    """Lazy table of a set of runs: nothing is read until rows are asked for."""

    def __init__(self, datasets: Mapping[str, ds.Dataset]):
        """Join the datasets of some runs, by their names."""
        self._datasets = datasets

    @cached_property
    def dataset(self) -> ds.Dataset:
        """Return all of it as a dataset of pyarrow, to scan, or to hand to other libraries."""
        return ds.dataset([*self._datasets.values()])

    def rows(self, columns: Columns = None, filter: pc.Expression | None = None) -> pa.Table:
        """Read rows. Raises Mistake for a part that cannot be read.

        columns: names, or {name: expression over columns}; None: all. filter: an expression over
        columns; files whose run cannot pass it are not opened.
        """
        return _scan(self.dataset, columns, filter)

    def frame(self, columns: Columns = None, filter: pc.Expression | None = None) -> pd.DataFrame:
        """Read rows as a pandas table."""
        return self.rows(columns, filter).to_pandas()

    def by_run(
        self, columns: Columns = None, filter: pc.Expression | None = None
    ) -> Iterator[tuple[str, pa.Table]]:
        """Yield (name, rows) of every run, so that one run at a time is in memory."""
        for name, dataset in self._datasets.items():
            yield name, _scan(dataset, columns, filter)


def scores_by_run(shown: RunTable) -> Iterator[pd.DataFrame]:
    """Yield the scores of every run that has some; `run` is its name in the set. Of the
    probabilities that of the asked value is there.

    shown: as `RunSet.shown` returns it.
    """
    columns = [name for name in SCHEMA.names if name != "probabilities"]
    for name, rows in shown.by_run(columns):
        scores = rows.to_pandas()
        is_baseline = scores["run"].isin(RESERVED_NAMES)
        yield scores.assign(run=scores["run"].where(is_baseline, name))


def _scan(dataset: ds.Dataset, columns: Columns, filter: pc.Expression | None) -> pa.Table:
    chosen = columns if columns is None or isinstance(columns, Mapping) else [*columns]
    try:
        return dataset.to_table(columns=chosen, filter=filter)
    except (OSError, pa.ArrowException) as error:
        raise Mistake(f"cannot read these runs: {first_line(error)}") from None


def _parts(folder: Path) -> list[Path]:
    """Return the parts of a run's table; of those with equal images the one with most of them."""
    most: dict[tuple[str, str], tuple[int, Path]] = {}
    for path in sorted(folder.glob("[!.]*.parquet")):
        match = PART.fullmatch(path.name)
        key = (match["before"], match["instrument"]) if match else (path.name, "")
        images = int(match["images"]) if match else 0
        most[key] = max(most.get(key, (-1, path)), (images, path))
    return [path for _, path in most.values()]


def _fragment(path: Path, run: RunDir, told: pc.Expression) -> ds.Fragment:
    """Return a part. Raises Mistake for one that cannot be read, or is not of the weights that are
    there."""
    match = STEP.match(path.name)
    step = int(match[1] or match[2]) if match else -1
    fragment = CHECKED.make_fragment(str(path), LOCAL, told)
    with readable(path):
        facts = decoded(fragment.metadata.metadata)
    wrong = why_not_by(facts, snapshot_at(run.snapshots, step))
    if wrong:
        raise Mistake(f"{path}: {wrong} (--run {run.path})")
    return fragment


def _type_of(values: Sequence[Any]) -> pa.DataType:
    """Return the type of a column: of numbers or of yes and no where all are, else of text."""
    kinds = {type(value) for value in values if value is not None}
    for type_, allowed in ((pa.bool_(), {bool}), (pa.int64(), {int}), (pa.float64(), {int, float})):
        if kinds and kinds <= allowed:
            return type_
    return pa.string()
