"""Checks of origins: are samples, scores and the sampler's certificate of the weights that are
there?"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from classifiers.scores import read_facts
from ground.endings import Mistake
from studies.run.directory import RunDir
from studies.run.provenance import SNAPSHOT, STALE, Standing, snapshot_at, standing
from studies.run.samples import recorded_snapshot
from studies.scoring.sampler_certificate import other_weights
from studies.verify.remarks import Remark, Remarks
from studies.verify.weight_checks import Hashes

STEP = re.compile(r"[-/]step_?(\d+)[-/.]")  # in the path of samples and scores
OLDER: Mapping[Standing, str] = {
    "unbound": "do not say of which weights they are, as an older version left them; "
    "scripts/evaluate.py draws again",
    "kept": "do not say of which weights they are, as an older version left them, and their "
    "snapshots are thinned out",
}


def origins(run: RunDir, hashes: Hashes, certificate: Mapping[str, Any]) -> Remarks:
    """Yield remarks on samples, scores and the sampler's certificate that are of other weights, or
    do not say of which.

    hashes: its whole snapshots and those that are thinned out; others are no measure. certificate:
    sampler_certificate.json, or nothing.
    """
    found: dict[Standing, list[Path]] = {}
    for path, recorded, snapshot in _drawn(run):
        if snapshot in hashes:
            found.setdefault(standing(recorded, snapshot), []).append(path)
    for path in found.get("stale", []):
        yield Remark("stale", path, STALE)
    for how, what in OLDER.items():
        if how in found:
            yield Remark("note", run.path, f"{len(found[how])} samples and scores {what}")
    yield from _certificate(run, hashes, certificate)


def _drawn(run: RunDir) -> Iterator[tuple[Path, str | None, Path]]:
    """Yield samples and parts of scores and other tables that come from a snapshot, with the hash
    that they hold; without those that cannot be read, which are named elsewhere."""
    readers = {
        path: reader
        for parts, reader in (
            (run.samples.glob("*/[!.]*.npz"), recorded_snapshot),
            (
                run.path.glob("*.parquet/[!.]*.parquet"),
                lambda path: read_facts(path).get(SNAPSHOT),
            ),
        )
        for path in sorted(parts)
    }
    for path, reader in readers.items():
        step = STEP.search(f"/{path.relative_to(run.path)}")
        snapshot = snapshot_at(run.snapshots, int(step[1])) if step else None
        if snapshot:
            with suppress(Mistake):
                yield path, reader(path), snapshot


def _certificate(run: RunDir, hashes: Hashes, certificate: Mapping[str, Any]) -> Remarks:
    steps = other_weights(run, certificate) if "joint_accuracy" in certificate else []
    whole = [step for step in steps if snapshot_at(run.snapshots, step) in hashes]
    if whole:
        where = ", ".join(map(str, whole))
        level: Any = "stale" if SNAPSHOT in certificate else "note"
        what = f"is not said to be of the weights of steps {where}; "
        yield Remark(level, run.sampler_certificate, what + "--certify-sampler renews it")


def hidden_hashes(run: RunDir) -> Remarks:
    """Yield a remark on what older versions have left among the scores, where some readers stumble
    over it."""
    hidden = [*run.scores.glob(".*.sha256")]
    if hidden:
        what = f"{len(hidden)} hidden hashes of an older version; scripts/evaluate.py moves them"
        yield Remark("note", run.scores, f"{what} into the parts")
