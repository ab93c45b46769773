"""Sample every planned snapshot on the same combinations with the same noise, and score it.

On one process or several: they draw tiles side by side (units.py), and every file is the same.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from classifiers.certificate import probe_name
from classifiers.probe import Probe
from classifiers.scores import read_part, score_images, write_part
from data_gen.bumps.config import BumpsConfig
from data_gen.endings import Mistake
from data_gen.files import hash_json
from data_gen.world import World
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes
from diffusion.snapshots import find_snapshot
from studies.baselines import Draw, memorised
from studies.config import Config, identity
from studies.exams import exam_of
from studies.plans import (
    MEMORISER,
    RENDER,
    Plan,
    baseline_files,
    image_index,
    paired_noise,
    shown_plans,
)
from studies.run_dir import RunDir
from studies.samples import load_samples, save_samples, save_tile
from studies.units import Job, Tile, deal, drop_tiles, join_tiles, make_jobs, undrawn


def shown_parts(run: RunDir, config: Config, probe: str) -> list[Path]:
    """Scores files of what tables and figures show: one kind of weights, and the baselines."""
    own = [plan.scores_file(run, probe) for plan in shown_plans(config)]
    return [*baseline_files(run, config, probe).values(), *own]


def read_planned_scores(run: RunDir, config: Config, probe: str) -> pd.DataFrame:
    """The shown scores of an evaluation as one table. Mistake names a part that is missing."""
    parts = shown_parts(run, config, probe)
    missing = [part for part in parts if not part.is_file()]
    if missing:
        raise Mistake(f"{missing[0]}: not scored yet; run scripts/evaluate.py --run {run.path}")
    scores = pd.concat([read_part(part) for part in parts], ignore_index=True)
    renamed = scores["run"].where(scores["run"].isin([RENDER, MEMORISER]), config.name)
    return scores.assign(run=renamed)  # a run directory may have been renamed since


class Evaluator:
    """Evaluates one run with its probe. All processes call its methods alike."""

    def __init__(
        self,
        run: RunDir,
        config: Config,
        world: World | BumpsConfig,
        probe: Probe,
        certificate: Any,
        processes: Processes,
    ):
        self.run, self.probe, self.processes = run, probe, processes
        self.exam = exam_of(world, config.evaluate.seed)
        self.probe_name = probe_name(certificate)
        self.facts = {"config": hash_json(identity(config)), "certificate": self.probe_name}
        self.jobs = make_jobs(run, config, self.probe_name)
        self._loaded: tuple[Plan, Draw] | None = None

    def missing(self) -> list[Job]:
        """What is not scored yet, as the first process sees it."""
        return self.processes.once(lambda: [job for job in self.jobs if not job.is_scored])

    def evaluate(
        self,
        jobs: Sequence[Job],
        check: Callable[[], None] = lambda: None,
        tell: Callable[[Job], object] = lambda job: None,
    ) -> None:
        """Sample what is not drawn yet of some jobs, and score it.

        check: called before every network evaluation; raises to stop, and all processes stop.
        tell: called with every job that is scored.
        """
        rank, size, kinds = self.processes.rank, self.processes.world_size, len(self.exam.groups)
        work = self.processes.once(lambda: [(job, undrawn(job, kinds)) for job in jobs])
        total = sum(len(tile.images) for _, tiles in work for tile in tiles)
        silent = None if self.processes.is_main else True  # None: no bar but on a terminal
        with tqdm(total=total, desc="evaluate", unit="image", disable=silent) as bar:
            for step in deal(work, size):
                self.processes.each(partial(self._draw, step.tiles[rank : rank + 1], check))
                if step.whole:
                    self.processes.each(partial(self._score, step.whole[rank::size], check))
                bar.update(sum(len(tile.images) for tile in step.tiles))
                for job in step.whole:
                    tell(job)

    def _draw(self, tiles: Sequence[Tile], check: Callable[[], None]) -> None:
        for tile in tiles:
            save_tile(tile.file, self._drawer(tile.plan)(tile.images, check).numpy())

    def _drawer(self, plan: Plan) -> Draw:
        """The last one is kept: most tiles follow one of the same plan."""
        if self._loaded is None or self._loaded[0] != plan:
            memoriser = plan.run == MEMORISER
            draw = memorised(self.exam, self.run, plan) if memoriser else self._generator(plan)
            self._loaded = plan, draw
        return self._loaded[1]

    def _generator(self, plan: Plan) -> Draw:
        """Draws with the weights of a snapshot."""
        directory = find_snapshot(self.run.snapshots, plan.step)
        pipeline = ConceptPipeline.load(directory, plan.weights)
        count = plan.images_per_combination
        prompts = [row["prompt"] for row in self.exam.rows(count)]

        def draw_images(images: range, check: Callable[[], None]) -> UInt8[Tensor, "n h w c"]:
            return pipeline(
                prompts[images.start : images.stop],
                paired_noise(plan.eval_seed, images, count, pipeline.image_shape),
                index=image_index(images, count),
                seed=plan.eval_seed,
                sampler=plan.sampler,
                num_inference_steps=plan.num_inference_steps,
                guidance_scale=plan.guidance_scale,
                check=check,
            )

        return draw_images

    def _score(self, jobs: Sequence[Job], check: Callable[[], None]) -> None:
        for job in jobs:
            check()
            self._write(job, self._images(job))

    def _images(self, job: Job) -> np.ndarray:
        """uint8 (combinations, images_per_combination, h, w, c), put together or read back."""
        plan, count = job.plan, job.plan.images_per_combination
        if job.samples is None:
            return self.exam.renders(count)
        if not job.samples.is_file():
            images = join_tiles(plan, len(self.exam.groups), job.samples)
            save_samples(job.samples, images, self.exam.rows(count))
        drop_tiles(job.samples)
        return load_samples(job.samples)

    def _write(self, job: Job, images: np.ndarray) -> None:
        """Score images (combinations, n, h, w, c)."""
        rows, targets = self.exam.rows(images.shape[1]), self.exam.targets(images.shape[1])
        flat = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2)
        common = {**_common(job.plan), "intervention": "none", "probe": self.probe_name}
        write_part(job.scores, score_images(self.probe, flat, rows, targets, common), self.facts)


def _common(plan: Plan) -> Mapping[str, Any]:
    """What all images of a plan share in the scores table."""
    common = dataclasses.asdict(plan)
    del common["images_per_combination"]
    return common
