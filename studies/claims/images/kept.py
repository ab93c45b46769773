"""Kept runs: the tables of finished runs, small, in `data/claims/`, from which claims are decided
again without training.

    data/claims/<study>/<run>/manifest.json    hashes, the probe's certificate, whether it diverged
                              config.yaml      as the study plans it
                              scores.parquet   and the other tables that the run has
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ground.endings import Mistake, nearest
from ground.files import (
    MANIFEST,
    damage,
    read_json,
    remove_directory,
    write_directory,
)
from studies.claims.images.compact import compact, tables_of
from studies.claims.images.runs import TABLES, ImageRun
from studies.claims.listing import ROOT
from studies.experiment.config import to_yaml
from studies.many.folder import StudyFolder
from studies.many.study import PlannedRun, StudyConfig, read_study
from studies.run.directory import RunDir
from studies.run.opened import Experiment

STUDIES = ROOT / "configs" / "studies"
KEPT = ROOT / "data" / "claims"
CONFIG = "config.yaml"
REMEDY = "restore the folder, or remove it to train again"
MOST_BYTES = 5_000_000  # of all that is kept
Say = Callable[[str], None]


def keep_study(name: str, runs: Path, say: Say, kept: Path = KEPT) -> None:
    """Write the tables of the finished runs of a study. Raises Mistake for a study that is unknown
    or has none.

    name: of a config in configs/studies/, or a path of one. runs: folder of the studies' folders.
    """
    study = read_study(_config_of(name))
    folder = StudyFolder(runs / study.name)
    there = [planned for planned in study.runs if is_finished(folder, planned)]
    if not there:
        raise Mistake(f"keep: no run of {study.name} in {folder.path} is finished")
    found = [read_run(study, planned, folder) for planned in there]
    _check_tables(found, kept)
    _check_size(found, kept)
    for run in found:
        write_kept(run, kept)
    own, every = (_size(where) / 1e6 for where in (kept / study.name, kept))
    say(
        f"{study.name}: {len(there)} of {len(study.runs)} runs kept in {kept / study.name}, "
        f"{own:.2f} MB; {every:.2f} of {MOST_BYTES / 1e6:g} MB in all"
    )
    count = Counter(table for run in found for table in run.tables)
    say("tables: " + ", ".join(f"{name} of {number} runs" for name, number in count.items()))


def _config_of(name: str) -> Path:
    """Return the config of a study, given by name or as a path. Raises Mistake for a name without
    one."""
    if name.endswith(".yaml"):
        return Path(name)
    known = {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}
    if name not in known:
        ours = ", ".join(one for one in known if one.startswith("s_"))
        raise Mistake(f"keep: {name}: unknown study{nearest(name, tuple(known))}; such as {ours}")
    return known[name]


def _check_tables(runs: Sequence[ImageRun], kept: Path) -> None:
    """Raise Mistake if a table is kept that the run does not have: a run trained again lacks what
    was measured apart from it."""
    for run in runs:
        path = kept / run.study / run.name
        lost = [n for n in TABLES if n not in run.tables and (path / f"{n}.parquet").is_file()]
        if lost:
            raise Mistake(
                f"keep: {path} holds {', '.join(lost)}, which the run itself does not; remove the "
                f"folder if they may go; nothing is written"
            )


def _check_size(runs: Sequence[ImageRun], kept: Path) -> None:
    """Raise Mistake if `kept` would hold too much with these runs in place of what it has of
    them."""
    with TemporaryDirectory() as scratch:
        for run in runs:
            write_kept(run, Path(scratch))
        every = _size(kept) + _size(Path(scratch))
    every -= sum(_size(kept / run.study / run.name) for run in runs)
    if every > MOST_BYTES:
        raise Mistake(
            f"{kept}: would hold {every / 1e6:.2f} MB, allowed are {MOST_BYTES / 1e6:g}; "
            f"nothing is written"
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def is_finished(folder: StudyFolder, planned: PlannedRun) -> bool:
    """Return whether a run is there to its end: evaluated, or diverged."""
    state = folder.state_of(planned.name, planned.plan)
    return state == "diverged" or (state == "done" and folder.run(planned.name).scores.is_dir())


def read_run(study: StudyConfig, planned: PlannedRun, folder: StudyFolder) -> ImageRun:
    """Read a finished run. Raises Mistake for what is missing of it."""
    run = folder.run(planned.name)
    if folder.state_of(planned.name, planned.plan) == "diverged":
        return ImageRun(study.name, planned, {}, {}, diverged=True)
    experiment = Experiment.of_run(run).named(planned.name)
    certificate = experiment.certificate
    accuracies = {name: one["accuracy"] for name, one in certificate["concepts"].items()}
    told = {"num_images": certificate["num_images"], **accuracies}
    return ImageRun(study.name, planned, tables_of(experiment), told)


def write_kept(run: ImageRun, kept: Path = KEPT) -> None:
    """Write a run's tables in place of those that are there."""
    path = kept / run.study / run.name

    def fill(folder: Path) -> None:
        (folder / CONFIG).write_text(to_yaml(run.config), encoding="utf-8")
        for name, table in run.tables.items():
            pq.write_table(_small(table), folder / f"{name}.parquet", compression="zstd")

    if path.exists():
        remove_directory(path)
    write_directory(path, fill, certificate=dict(run.certificate), diverged=run.diverged)


def _small(table: pd.DataFrame) -> pa.Table:
    """Return a table with numbers of four bytes."""
    rows = pa.Table.from_pandas(table, preserve_index=False)
    types = {pa.float64(): pa.float32(), pa.int64(): pa.int32()}
    fields = [pa.field(field.name, types.get(field.type, field.type)) for field in rows.schema]
    return rows.cast(pa.schema(fields))


def is_kept(study: StudyConfig, planned: PlannedRun, kept: Path = KEPT) -> bool:
    """Return whether the tables of a run are kept. Raises Mistake for a folder without its
    manifest."""
    path = kept / study.name / planned.name
    if path.is_dir() and not (path / MANIFEST).is_file():
        raise Mistake(f"{path}: {MANIFEST}: missing; {REMEDY}")
    return path.is_dir()


def read_kept(study: StudyConfig, planned: PlannedRun, kept: Path = KEPT) -> ImageRun:
    """Read a kept run. Raises Mistake for one of another config, and for a damaged file."""
    path = kept / study.name / planned.name
    if RunDir(path).read_config() != planned.config:
        raise Mistake(f"{path}: is of another config than {planned.name} has in its study")
    if wrong := damage(path):
        raise Mistake(f"{path}: {wrong}; {REMEDY}")
    manifest = read_json(path / MANIFEST)
    there = [name for name in TABLES if (path / f"{name}.parquet").is_file()]
    tables = {name: compact(name, _read(path / f"{name}.parquet")) for name in there}
    return ImageRun(study.name, planned, tables, manifest["certificate"], manifest["diverged"])


def _read(path: Path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas()
