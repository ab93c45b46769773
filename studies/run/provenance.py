"""Provenance of samples and scores: whether they belong to the weights that are there.

Samples, tiles, parts of the scores and the sampler's certificate hold the hash of the snapshot that
they come from. A snapshot may be written again with other bits: by a training that was killed and
goes on with other threads or on a GPU. Then they are of weights that the run does not have any
more, and nothing is read off them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from classifiers.scores import read_facts
from diffusion.snapshots import THINNED, snapshot_hash, step_directory

ORACLE = "oracle"  # its name in the `probe` column of scores
VERSIONS = {ORACLE: "2"}  # of measurements: raise one when it reads otherwise
SNAPSHOT = "snapshot"  # what the hash is called in each of them
OUTDATED = "read by another version of the oracle; scripts/evaluate.py reads again"
STALE = "of other weights than its snapshot has now; scripts/evaluate.py draws again"
UNBOUND = "does not say of which weights it is; scripts/evaluate.py draws again"
Standing = Literal["current", "stale", "unbound", "kept"]
SAID: Mapping[Standing, str] = {
    "stale": "what was drawn is of other weights than the snapshots have now; it is drawn again",
    "unbound": "what was drawn does not say of which weights it is, as an older version left it; "
    "it is drawn again",
    "kept": "what was drawn does not say of which weights it is, as an older version left it; "
    "their snapshots are thinned out, so it stays",
}


def snapshot_at(snapshots: Path, step: int) -> Path | None:
    """Return the directory of the snapshot of a step; None of step -1, which is that of what needs
    none."""
    return step_directory(snapshots, step) if step >= 0 else None


def standing(recorded: str | None, snapshot: Path | None) -> Standing:
    """Return how what was made from a snapshot (None: from none) stands to it.

    recorded: the hash that it holds, if it holds one.

    Returns "stale" if it was made from other weights; of what holds no hash "unbound", or "kept" if
    the weights are thinned out, so that it cannot be made again; else "current", also where the
    snapshot is not there at all, as in a copy without snapshots.
    """
    there = snapshot_hash(snapshot) if snapshot else None
    if snapshot is None or there in (None, recorded):
        return "current"
    if recorded is not None:
        return "stale"
    return "kept" if (snapshot / THINNED).is_file() else "unbound"


def belongs(recorded: str | None, snapshot: Path | None) -> bool:
    """Return whether what holds this hash may be read as the snapshot's."""
    return standing(recorded, snapshot) in ("current", "kept")


def part_standing(part: Path, snapshot: Path | None) -> Standing:
    """Return how a part of the scores that is there stands to its snapshot. Mistake names one that
    cannot be read."""
    return standing(read_facts(part).get(SNAPSHOT), snapshot)


def is_scored(part: Path, snapshot: Path | None) -> bool:
    """Return whether a part is there, of the weights that are there, and not outdated. Mistake
    names one that cannot be read."""
    return part.is_file() and not why_not(part, snapshot)


def why_not(part: Path, snapshot: Path | None) -> str:
    """Return why a part that is there must not be read, on one line, or nothing. Mistake names one
    that cannot be read."""
    return why_not_by(read_facts(part), snapshot)


def why_not_by(facts: Mapping[str, str], snapshot: Path | None) -> str:
    """Return why a part with these facts must not be read, on one line, or nothing."""
    if _are_outdated(facts):
        return OUTDATED
    return why(standing(facts.get(SNAPSHOT), snapshot))


def why(how: Standing) -> str:
    """Return why a file that stands so must not be read, on one line; nothing of what may be
    read."""
    return {"stale": STALE, "unbound": UNBOUND}.get(how, "")


def is_outdated(part: Path) -> bool:
    """Return whether another version of a measurement has made a part. Mistake names one that
    cannot be read."""
    return _are_outdated(read_facts(part))


def _are_outdated(facts: Mapping[str, str]) -> bool:
    return any(facts.get(name, version) != version for name, version in VERSIONS.items())


def standing_lines(found: Iterable[tuple[int, Standing]]) -> list[str]:
    """Return what to say of files, as (step, standing): a line for each standing but "current"."""
    steps: dict[Standing, set[int]] = {how: set() for how in SAID}
    for step, how in found:
        if how != "current":
            steps[how].add(step)
    return [
        f"steps {', '.join(map(str, sorted(own)))}: {SAID[how]}"
        for how, own in steps.items()
        if own
    ]
