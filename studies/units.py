"""How the work of an evaluation is divided: parts of the scores, tiles of their images, rounds.

A tile is what the network draws at once, the same bits whatever is drawn beside it: who draws which
tile, and in which of several attempts, changes nothing. Tiles wait in a folder beside the samples
file that they make, until all of them are there.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from diffusion.sampling import TILE
from studies.config import Config
from studies.plans import (
    MEMORISER,
    RENDER,
    Plan,
    baseline_files,
    make_plans,
    memorised_file,
    memoriser_plan,
    render_plan,
)
from studies.prompt_sets import PLAIN
from studies.run_dir import RunDir
from studies.samples import load_tile


@dataclass(frozen=True)
class Job:
    """One part of the scores: what is drawn for it, and its files.

    samples: None of true renders, which are drawn again whenever they are scored.
    """

    plan: Plan
    scores: Path
    samples: Path | None

    @property
    def is_scored(self) -> bool:
        return self.scores.is_file()

    def line(self) -> str:
        """What was scored, for a line of progress."""
        plan = self.plan
        if plan.weights == "none":
            return plan.run
        prompts = "" if plan.intervention == PLAIN else f", {plan.intervention}"
        return f"step {plan.step}, {plan.weights}{prompts}"


@dataclass(frozen=True)
class Tile:
    """The numbers of those of a plan's images that are drawn at once, and where they go."""

    plan: Plan
    images: range
    samples: Path

    @property
    def file(self) -> Path:
        return tiles_folder(self.samples) / f"{self.images.start}-{self.images.stop}.npz"


@dataclass(frozen=True)
class Round:
    """What the processes do side by side: first each draws its tile, then they score whole jobs."""

    tiles: Sequence[Tile]
    whole: Sequence[Job]


def make_jobs(run: RunDir, config: Config, probe: str) -> list[Job]:
    """All that is planned: true renders, the snapshots in their order, the memoriser."""
    baselines = baseline_files(run, config, probe)
    plans = make_plans(config)
    return [
        Job(render_plan(config), baselines[RENDER], None),
        *(Job(plan, plan.scores_file(run, probe), plan.samples_file(run)) for plan in plans),
        Job(memoriser_plan(config), baselines[MEMORISER], memorised_file(run, config)),
    ]


def undrawn(job: Job, prompts: int) -> list[Tile]:
    """The tiles that are still to be drawn before a job can be scored."""
    if job.samples is None or job.samples.is_file():
        return []
    there = {path.name for path in tiles_folder(job.samples).glob("*.npz")}
    return [tile for tile in _tiles(job.plan, prompts, job.samples) if tile.file.name not in there]


def deal(work: Sequence[tuple[Job, Sequence[Tile]]], processes: int) -> list[Round]:
    """Rounds of one tile per process. Jobs whose tiles are drawn wait until there is one for every
    process, or nothing left to draw."""
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


def join_tiles(plan: Plan, prompts: int, samples: Path) -> np.ndarray:
    """uint8 (prompts, images_per_combination, h, w, 3). Mistake names a damaged tile."""
    parts = [load_tile(tile.file) for tile in _tiles(plan, prompts, samples)]
    images = np.concatenate(parts)
    return images.reshape(prompts, plan.images_per_combination, *images.shape[1:])


def drop_tiles(samples: Path) -> None:
    """Once they are joined; a killed process may have dropped some of them before."""
    shutil.rmtree(tiles_folder(samples), ignore_errors=True)


def tiles_folder(samples: Path) -> Path:
    return samples.with_suffix(".tiles")


def _tiles(plan: Plan, prompts: int, samples: Path) -> list[Tile]:
    total = plan.images_per_combination * prompts
    starts = range(0, total, TILE)
    return [Tile(plan, range(start, min(start + TILE, total)), samples) for start in starts]
