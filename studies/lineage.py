"""What a fine-tuned run comes from: its source's snapshot, config and own lineage."""

from pathlib import Path

from data_gen.endings import Mistake
from data_gen.files import MANIFEST, hash_file, read_json, write_json
from diffusion.fine_tuning import Source
from diffusion.snapshots import find_snapshot
from studies.config import Config, identity
from studies.run_dir import RunDir


def find_source(config: Config) -> Source | None:
    """The snapshot that training starts from; None: new weights. Mistake if it is not there."""
    init = config.train.init_from
    if init.run is None:
        return None
    try:
        RunDir(Path(init.run)).read_config()
        return Source(find_snapshot(Path(init.run) / "snapshots", init.step), init.weights)
    except Mistake as mistake:
        raise Mistake(f"train.init_from: {mistake}") from None


def record_lineage(run: RunDir, config: Config, source: Source) -> None:
    """lineage.json: the snapshot with the hash of its manifest, how it was trained, from what."""
    ancestor = RunDir(source.directory.parent.parent)
    before = read_json(ancestor.lineage) if ancestor.lineage.is_file() else None
    lineage = {
        "run": str(config.train.init_from.run),
        "step": config.train.init_from.step,
        "weights": source.weights,
        "sha256": hash_file(source.directory / MANIFEST),
        "config": identity(ancestor.read_config()),
        "lineage": before,
    }
    write_json(run.lineage, lineage)
