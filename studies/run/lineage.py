"""Lineage of a fine-tuned run: its source's snapshot, config and own lineage."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from diffusion.fine_tuning import Source
from diffusion.snapshots import find_snapshot, snapshot_hash, step_directory
from ground.endings import Mistake
from ground.files import read_json, write_json
from studies.experiment.config import Config
from studies.experiment.identity import identity
from studies.run.directory import RunDir


def find_source(config: Config) -> Source | None:
    """Return the snapshot that training starts from; None: new weights. Raises Mistake if it is not
    there."""
    init = config.train.init_from
    if init.run is None:
        return None
    try:
        RunDir(Path(init.run)).read_config()
        return Source(find_snapshot(Path(init.run) / "snapshots", init.step), init.weights)
    except Mistake as mistake:
        raise Mistake(f"train.init_from: {mistake}") from None


def with_recorded_source(config: Config, run: RunDir) -> Config:
    """Return the config with its source named as the run has it, if it is the same snapshot by
    whatever path: where a run lies is not part of an experiment. Raises Mistake if the name now
    stands for another snapshot."""
    init = config.train.init_from
    if init.run is None or not run.lineage.is_file() or not run.has_begun():
        return config
    recorded = _read_lineage(run)
    found = snapshot_hash(step_directory(Path(init.run) / "snapshots", init.step or 0))
    if found == recorded["sha256"]:
        init = replace(init, run=recorded["run"])
        return replace(config, train=replace(config.train, init_from=init))
    if found and (init.run, init.step) == (recorded["run"], recorded["step"]):
        raise Mistake(
            f"train.init_from.run: {init.run}: its snapshot of step {init.step} is not the one "
            f"that {run.path} started from; restore it, or choose another --name"
        )
    return config


def _read_lineage(run: RunDir) -> dict[str, Any]:
    lineage = read_json(run.lineage)
    if not isinstance(lineage, dict) or not {"run", "step", "sha256"} <= lineage.keys():
        raise Mistake(f"{run.lineage}: does not say what the run started from; restore it")
    return lineage


def record_lineage(run: RunDir, config: Config, source: Source) -> None:
    """Write lineage.json: the snapshot with the hash of its manifest, how it was trained, and from
    what."""
    ancestor = RunDir(source.directory.parent.parent)
    before = read_json(ancestor.lineage) if ancestor.lineage.is_file() else None
    lineage = {
        "run": str(config.train.init_from.run),
        "step": config.train.init_from.step,
        "weights": source.weights,
        "sha256": snapshot_hash(source.directory),
        "config": identity(ancestor.read_config()),
        "lineage": before,
    }
    write_json(run.lineage, lineage)
