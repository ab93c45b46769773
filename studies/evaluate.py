"""Sample every planned snapshot on the same combinations with the same noise, and score it.

On one process or several: they draw tiles side by side (units.py), and every file is the same.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from data_gen.endings import Mistake
from data_gen.files import hash_json
from data_gen.world import World
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes
from diffusion.snapshots import find_snapshot
from studies.baselines import Draw, memorised, true_renders
from studies.config import Config, identity
from studies.plans import (
    MEMORISER,
    RENDER,
    Plan,
    image_index,
    memoriser_plan,
    paired_noise,
    render_plan,
    shown_plans,
)
from studies.prompt_sets import all_questions
from studies.run_dir import RunDir
from studies.samples import load_samples, save_samples, save_tile
from studies.units import Job, Tile, deal, drop_tiles, join_tiles, make_jobs, undrawn


def read_planned_scores(run: RunDir, config: Config, probe: str) -> pd.DataFrame:
    """All that tables and figures show: one kind of weights, and the baselines. Mistake names a
    part that is missing."""
    plans = [render_plan(config), memoriser_plan(config), *shown_plans(config)]
    return read_scores(run, config, plans, probe)


def read_scores(run: RunDir, config: Config, plans: Sequence[Plan], probe: str) -> pd.DataFrame:
    """The scores of some plans as one table. Mistake names a part that is missing."""
    parts = [plan.scores_file(run, probe) for plan in plans]
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
        world: World,
        probe: Probe,
        certificate: Any,
        processes: Processes,
    ):
        self.run, self.world, self.probe, self.processes = run, world, probe, processes
        self.probe_name = probe_name(certificate)
        self.facts = {"config": hash_json(identity(config)), "certificate": self.probe_name}
        self.jobs = make_jobs(run, config, self.probe_name)
        self.questions = all_questions(world, config.evaluate.prompts)
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
        rank, size = self.processes.rank, self.processes.world_size
        work = self.processes.once(lambda: [(job, undrawn(job, self._kinds(job))) for job in jobs])
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

    def _kinds(self, job: Job) -> int:
        """How many prompts it asks."""
        return len(self.questions[job.plan.intervention])

    def _draw(self, tiles: Sequence[Tile], check: Callable[[], None]) -> None:
        for tile in tiles:
            save_tile(tile.file, self._drawer(tile.plan)(tile.images, check).numpy())

    def _drawer(self, plan: Plan) -> Draw:
        """The last one is kept: most tiles follow one of the same plan."""
        if self._loaded is None or self._loaded[0] != plan:
            memoriser = plan.run == MEMORISER
            draw = memorised(self.world, self.run, plan) if memoriser else self._generator(plan)
            self._loaded = plan, draw
        return self._loaded[1]

    def _generator(self, plan: Plan) -> Draw:
        """Draws with the weights of a snapshot."""
        directory = find_snapshot(self.run.snapshots, plan.step)
        pipeline = ConceptPipeline.load(directory, plan.weights)
        count = plan.images_per_combination
        asked = self.questions[plan.intervention]
        starts = [question.start for question in asked]

        def draw_images(images: range, check: Callable[[], None]) -> UInt8[Tensor, "n h w c"]:
            return pipeline(
                [asked[number // count].prompt for number in images],
                paired_noise(plan.eval_seed, images, count, pipeline.image_shape, starts),
                index=image_index(images, count, starts),
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
        """uint8 (prompts, images_per_combination, h, w, 3), put together or read back."""
        plan = job.plan
        if job.samples is None:
            return true_renders(self.world, plan.eval_seed, plan.images_per_combination)
        if not job.samples.is_file():
            images = join_tiles(plan, self._kinds(job), job.samples)
            save_samples(job.samples, images, self.questions[plan.intervention])
        drop_tiles(job.samples)
        return load_samples(job.samples)

    def _write(self, job: Job, images: np.ndarray) -> None:
        """Score images (prompts, n, h, w, 3)."""
        asked = self.questions[job.plan.intervention]
        each = [(question, k) for question in asked for k in range(images.shape[1])]
        rows = [
            {
                "combination": question.combination,
                "split": question.split,
                "prompt": question.prompt,
                "sample": sample,
            }
            for question, sample in each
        ]
        targets = [question.targets for question, _ in each]
        flat = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2)
        common = {**_common(job.plan), "probe": self.probe_name}
        write_part(job.scores, score_images(self.probe, flat, rows, targets, common), self.facts)


def _common(plan: Plan) -> Mapping[str, Any]:
    """What all images of a plan share in the scores table."""
    common = dataclasses.asdict(plan)
    del common["images_per_combination"]
    return common
