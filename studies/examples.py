"""Examples: finished runs made small enough to be kept beside the code, and laid out again.

An example has what figures and report are made from, and no weights:

    config.yaml  env.json  certificate.json    the probe's certificate, not the probe
    metrics.jsonl  timings.jsonl               of the former, some rows
    scores.parquet  denoiser.parquet  copies.parquet    a file a table; `part`: where a row belongs
    samples/step_00000025/*.npz                few images of each combination; of the last step all
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from classifiers.scores import read_facts, write_part
from ground.endings import Mistake
from ground.files import (
    MANIFEST,
    append_rows,
    damage,
    hash_file,
    read_json,
    read_rows,
    whole_file,
    write_directory,
    write_json,
    write_text,
)
from studies.experiment.config import Config, to_yaml
from studies.run.directory import RunDir
from studies.run.measured import COPIES, DENOISER, copies_parts, denoiser_parts
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.run.provenance import ORACLE
from studies.run.results import planned, read_samples
from studies.run.samples import save_samples
from studies.run.tables import write_rows
from studies.worlds.prompt_sets import PLAIN

IMAGES = 4  # of each combination, that are kept of every snapshot but the last
MOST_ROWS = 120  # of metrics, about, that are kept
ORIGIN = ".example.json"  # in a run directory: of which example it was laid out
CERTIFICATE, METRICS, TIMINGS, ENVIRONMENT = (
    *("certificate.json", "metrics.jsonl"),
    *("timings.jsonl", "env.json"),
)
OF_THE_FILE = ("pandas", "schema_version", "sha256", "ARROW:schema")  # metadata, no facts of a part
TABLES: Mapping[str, Callable[[Path, Any, Mapping[str, str]], None]] = {
    "scores": write_part,
    DENOISER: write_rows,
    COPIES: write_rows,
}


def write_example(run: RunDir, folder: Path) -> None:
    """Write a run as an example, called as the folder is; what stands there already is moved aside.

    Other prompts and interventions are left out. Raises Mistake for a run that is not evaluated to
    its end.
    """
    experiment = Experiment.of_run(run)
    kept = experiment.changed(_small(experiment.config, folder.name))
    parts = {name: [*own] for name, own in _parts(kept).items()}
    missing = next((part for own in parts.values() for part in own if not part.is_file()), None)
    if missing is not None:
        raise Mistake(f"{missing}: is missing; scripts/run.py makes it")
    write_directory(folder, lambda new: _fill(new, kept, parts))


def _small(config: Config, name: str) -> Config:
    times = math.ceil(config.train.max_steps / MOST_ROWS / config.train.log_every)
    train = replace(config.train, log_every=times * config.train.log_every)
    evaluate = replace(config.evaluate, prompts={}, interventions=(), both_weights=False)
    return replace(config, name=name, train=train, evaluate=evaluate)


def _parts(experiment: Experiment) -> dict[str, Iterable[Path]]:
    """Return the parts of each table that figures and report are made from."""
    config, run = experiment.config, experiment.run
    instruments = [experiment.probe_name, *([ORACLE] if experiment.asks_the_oracle else [])]
    return {
        "scores": [plan.part(run, name) for plan in planned(config) for name in instruments],
        DENOISER: denoiser_parts(config, run).values(),
        COPIES: copies_parts(config, run).values(),
    }


def _fill(folder: Path, experiment: Experiment, parts: Mapping[str, list[Path]]) -> None:
    config, run = experiment.config, experiment.run
    write_text(folder / "config.yaml", to_yaml(config))
    write_json(folder / CERTIFICATE, experiment.certificate)
    write_json(folder / ENVIRONMENT, read_json(run.path / ENVIRONMENT))
    shutil.copy(run.path / TIMINGS, folder / TIMINGS)
    rows = read_rows(run.path / METRICS)
    append_rows(folder / METRICS, [r for r in rows if r["step"] % config.train.log_every == 0])
    for name, own in parts.items():
        if own:
            _join(own, folder / f"{name}.parquet")
    asked, plans = experiment.exam.questions[PLAIN], shown_plans(config)
    for plan in plans:
        images, count = read_samples(run, plan), IMAGES if plan != plans[-1] else None
        snapshot = read_facts(plan.part(run, experiment.probe_name)).get("snapshot")
        path = plan.samples_file(RunDir(folder))
        save_samples(path, images[:, :count], asked, snapshot)


def _join(parts: list[Path], path: Path) -> None:
    """Write parts of a table as one file: `part` is the name of each row's, `facts` what was told
    of it."""
    table = pa.concat_tables(map(_with_origin, parts), promote_options="permissive")
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    words = [name for name in table.schema.names if name not in floats]
    with whole_file(path) as temporary:  # numbers alike lie together: half as large
        pq.write_table(
            *(table, temporary),
            compression="zstd",
            compression_level=19,
            use_dictionary=words,  # type: ignore[arg-type]  # its stubs know only yes and no
            use_byte_stream_split=floats,  # type: ignore[arg-type]
        )


def _with_origin(part: Path) -> pa.Table:
    rows, facts = pq.read_table(part).replace_schema_metadata(None), read_facts(part)
    own = {key: text for key, text in facts.items() if key not in OF_THE_FILE}
    told = {"part": part.name, "facts": json.dumps(own)}
    for name, text in told.items():
        rows = rows.append_column(name, pa.repeat(text, len(rows)))
    return rows


def lay_out(folder: Path, runs: Path) -> RunDir:
    """Return the run directory of an example in a folder of runs; it is made if it is not there.

    Raises Mistake for a folder that is no example, and where another run has the name.
    """
    wrong = damage(folder)
    if wrong:
        raise Mistake(f"{folder}: no whole example ({wrong}); scripts/example.py writes one")
    run, origin = RunDir(runs / RunDir(folder).read_config().name), hash_file(folder / MANIFEST)
    if not run.path.exists():
        _lay_out(folder, run, origin)
    note = run.path / ORIGIN
    if not note.is_file() or read_json(note) != {"example": origin}:
        raise Mistake(f"{run.path}: is another run than the example; move it away, or use --runs")
    return run


def _lay_out(folder: Path, run: RunDir, origin: str) -> None:
    new = RunDir(run.path.with_name(f".{run.path.name}.{os.getpid()}.tmp"))
    shutil.rmtree(new.path, ignore_errors=True)
    try:
        shutil.copytree(folder / "samples", new.samples)
        for name in ("config.yaml", ENVIRONMENT, METRICS, TIMINGS):
            shutil.copy(folder / name, new.path / name)
        hidden = new.path / ".probe"  # a link, as every run's probe is: another may replace it
        certificate = read_json(folder / CERTIFICATE)
        write_directory(hidden, lambda path: write_json(path / CERTIFICATE, certificate))
        new.probe.symlink_to(hidden.name, target_is_directory=True)
        for name, write in TABLES.items():
            for part, rows, facts in _apart(folder / f"{name}.parquet"):
                write(new.table(name) / part, rows, facts)
        write_json(new.path / "status.json", {w: {"state": "done"} for w in ("train", "evaluate")})
        write_json(new.path / ORIGIN, {"example": origin})
        os.replace(new.path, run.path)
    finally:
        shutil.rmtree(new.path, ignore_errors=True)


def _apart(path: Path) -> Iterator[tuple[str, Any, Mapping[str, str]]]:
    """Yield (name, rows, facts) of every part that `_join` has put into a file, if it is there."""
    if path.is_file():
        for (part, facts), rows in pd.read_parquet(path).groupby(["part", "facts"], sort=False):
            own = rows.drop(columns=["part", "facts"]).reset_index(drop=True)
            yield str(part), own, json.loads(str(facts))
