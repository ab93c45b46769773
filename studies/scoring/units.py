"""Units of the work of an evaluation: parts of the scores, tiles of their images, rounds.

A tile is what the network draws at once, the same bits whatever is drawn beside it: who draws which
tile, and in which of several attempts, changes nothing. Tiles wait in a folder beside the samples
file that they make, until all of them are there.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from diffusion.sampling import TILE
from ground.endings import Mistake
from studies.experiment.config import interventions_of
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import (
    Plan,
    make_plans,
    memorised_file,
    memoriser_plan,
    render_plan,
)
from studies.run.provenance import Standing, belongs, is_scored, part_standing, standing
from studies.run.samples import load_tile, recorded_snapshot
from studies.scoring.measurements.registry import measurements_of
from studies.worlds.intervention_config import Patch
from studies.worlds.prompt_sets import PLAIN


@dataclass(frozen=True)
class Job:
    """Images that are drawn once, and the parts of the scores that are read off them.

    parts: name of a measurement → its part.
    samples: None of true renders, which are drawn again whenever they are scored.
    snapshot: what it is drawn from; None of what needs none.
    also: another step, whose snapshot must be there too: of a patch.
    """

    plan: Plan
    parts: Mapping[str, Path]
    samples: Path | None
    snapshot: Path | None
    also: int | None = None

    def is_drawn(self) -> bool:
        """Return whether the samples are there, and of the weights that are there. Mistake names a
        file that cannot be read."""
        return self.samples is not None and _is_of(self.samples, self.snapshot)

    def standings(self) -> list[Standing]:
        """Return how those of the job's samples and parts that are there stand to its snapshot."""
        own = [part_standing(p, self.snapshot) for p in self.parts.values() if p.is_file()]
        if self.samples is not None and self.samples.is_file():
            own.append(standing(recorded_snapshot(self.samples), self.snapshot))
        return own

    def line(self) -> str:
        """Return what was scored, for a line of progress."""
        plan = self.plan
        if plan.weights == "none":
            return plan.run
        prompts = "" if plan.intervention == PLAIN else f", {plan.intervention}"
        return f"step {plan.step}, {plan.weights}{prompts}"


@dataclass(frozen=True)
class Tile:
    """Images of a plan that are drawn at once, by their numbers, and where they go."""

    plan: Plan
    images: range
    samples: Path

    @property
    def file(self) -> Path:
        return tiles_folder(self.samples) / f"{self.images.start}-{self.images.stop}.npz"


@dataclass(frozen=True)
class Round:
    """Round of work that processes do side by side: first each draws its tile, then they score
    whole jobs."""

    tiles: Sequence[Tile]
    whole: Sequence[Job]


def make_jobs(experiment: Experiment) -> list[Job]:
    """Return the jobs of all that is planned: true renders, the snapshots in their order, the
    memoriser."""
    run, config, asked = experiment.run, experiment.config, measurements_of(experiment)
    patches = {one.name: one.step for one in interventions_of(config) if isinstance(one, Patch)}

    def job(plan: Plan, samples: Path | None) -> Job:
        parts = {m.name: m.part(plan, run) for m in asked if m.measures(plan)}
        return Job(plan, parts, samples, plan.snapshot(run), patches.get(plan.intervention))

    return [
        job(render_plan(config), None),
        *(job(plan, plan.samples_file(run)) for plan in make_plans(config)),
        job(memoriser_plan(config), memorised_file(run, config)),
    ]


def unscored(jobs: Iterable[Job]) -> list[Job]:
    """Return what is left to do: the jobs of which a part is not scored yet, with such parts
    alone."""
    left = [(job, _missing_parts(job)) for job in jobs]
    return [replace(job, parts=parts) for job, parts in left if parts]


def _missing_parts(job: Job) -> Mapping[str, Path]:
    """Return the parts that are not scored yet: all of them where the samples are of other weights,
    since what was read off such is not known."""
    if job.samples is not None and job.samples.is_file() and not job.is_drawn():
        return job.parts
    return {n: p for n, p in job.parts.items() if not is_scored(p, job.snapshot)}


def count_parts(jobs: Iterable[Job]) -> int:
    return sum(len(job.parts) for job in jobs)


def snapshot_job(plan: Plan, run: RunDir, probe: str) -> Job:
    """Return the job of what one probe reads in the images of a plan."""
    parts = {probe: plan.part(run, probe)}
    return Job(plan, parts, plan.samples_file(run), plan.snapshot(run))


def undrawn(job: Job, prompts: int) -> list[Tile]:
    """Return the tiles that are still to be drawn before a job can be scored. Mistake names a file
    that cannot be read."""
    if job.samples is None or job.is_drawn():
        return []
    tiles = _tiles(job.plan, prompts, job.samples)
    return [tile for tile in tiles if not _is_of(tile.file, job.snapshot)]


def _is_of(drawn: Path, snapshot: Path | None) -> bool:
    """Return whether samples or a tile are there, and may be read as a snapshot's."""
    return drawn.is_file() and belongs(recorded_snapshot(drawn), snapshot)


def deal(work: Sequence[tuple[Job, Sequence[Tile]]], processes: int) -> list[Round]:
    """Return rounds of one tile per process. Jobs whose tiles are drawn wait until there is one for
    every process, or nothing left to draw."""
    tiles = [tile for _, own in work for tile in own]
    ends = list(accumulate(len(own) for _, own in work))
    rounds, scored = [], 0
    for start in range(0, max(len(tiles), 1), processes):
        chunk = tiles[start : start + processes]
        whole = sum(end <= start + len(chunk) for end in ends)
        if start + len(chunk) < len(tiles):
            whole -= (whole - scored) % processes
        rounds.append(Round(chunk, [job for job, _ in work[scored:whole]]))
        scored = whole
    return rounds


def join_tiles(plan: Plan, prompts: int, samples: Path) -> tuple[np.ndarray, str | None]:
    """Return the images of all tiles, uint8 (prompts, images_per_combination, h, w, c), and the
    hash of the snapshot that they were drawn from. Mistake names a damaged tile, and tiles of
    several snapshots."""
    files = [tile.file for tile in _tiles(plan, prompts, samples)]
    images = np.concatenate([load_tile(file) for file in files])
    snapshot, *others = {recorded_snapshot(file) for file in files}
    if others:
        raise Mistake(
            f"{tiles_folder(samples)}: the snapshot was written again while it was drawn; "
            f"the same command draws what is missing"
        )
    return images.reshape(prompts, plan.images_per_combination, *images.shape[1:]), snapshot


def drop_tiles(samples: Path) -> None:
    """Remove tiles once they are joined; a killed process may have removed some of them before."""
    shutil.rmtree(tiles_folder(samples), ignore_errors=True)


def tiles_folder(samples: Path) -> Path:
    return samples.with_suffix(".tiles")


def _tiles(plan: Plan, prompts: int, samples: Path) -> list[Tile]:
    total = plan.images_per_combination * prompts
    starts = range(0, total, TILE)
    return [Tile(plan, range(start, min(start + TILE, total)), samples) for start in starts]


def planned_parts(experiment: Experiment) -> list[Path]:
    """Return all parts of an evaluation; it is finished when all are there."""
    jobs = make_jobs(experiment)
    names = dict.fromkeys(name for job in jobs for name in job.parts)
    return [job.parts[name] for name in names for job in jobs if name in job.parts]
