"""Evaluation of planned snapshots: sample them on the same combinations and noise, score the
images.

Probe and oracle score them. Several processes draw tiles side by side (units.py), and every file is
the same as that of one.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes
from diffusion.snapshots import find_snapshot, snapshot_hash
from ground.endings import Mistake
from ground.files import hash_json
from studies.experiment.identity import identity
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import MEMORISER, Plan
from studies.run.provenance import SNAPSHOT, standing_lines
from studies.run.samples import read_samples_file, save_samples, save_tile
from studies.scoring.baselines import Draw, memorised
from studies.scoring.intervening import Intervening
from studies.scoring.measurements.measurement import Subject
from studies.scoring.measurements.registry import measurements_of
from studies.scoring.noise import image_index, paired_noise
from studies.scoring.units import (
    Job,
    Tile,
    deal,
    drop_tiles,
    join_tiles,
    make_jobs,
    undrawn,
    unscored,
)
from studies.worlds.prompt_sets import prompts_of, rows_of


class Evaluator:
    """Evaluation of one experiment with all its measurements. All processes call its methods
    alike."""

    def __init__(self, experiment: Experiment, processes: Processes):
        self.experiment, self.run, self.processes = experiment, experiment.run, processes
        self.exam, self.images = experiment.exam, experiment.images
        self.probe = experiment.probe.to(processes.device)
        self.identity = hash_json(identity(experiment.config))
        self.measurements = {m.name: m for m in measurements_of(experiment)}
        self.jobs = make_jobs(experiment)
        self.questions, self.intervening = self.exam.questions, Intervening(experiment)
        self._loaded: tuple[Plan, Draw, str | None] | None = None

    def missing(self) -> list[Job]:
        """Return what is not scored yet, as the first process sees it."""
        return self.processes.once(lambda: unscored(self.jobs))

    def standings(self) -> list[str]:
        """Return what to say of planned scores and samples that are not of the weights that are
        there, or do not say of which they are; a line per kind."""
        found = [(job.plan.step, how) for job in self.jobs for how in job.standings()]
        return standing_lines(found)

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
        """Return how many combinations or, of a set, prompts a job asks."""
        return len(self.questions[job.plan.intervention])

    def _draw(self, tiles: Sequence[Tile], check: Callable[[], None]) -> None:
        for tile in tiles:
            draw, snapshot = self._drawer(tile.plan)
            save_tile(tile.file, draw(tile.images, check).numpy(), snapshot)

    def _drawer(self, plan: Plan) -> tuple[Draw, str | None]:
        """Return what draws a plan, with the hash of the snapshot that it was loaded from, if it
        needs one. The last one is kept while its snapshot stays: most tiles follow one of the same
        plan."""
        directory = plan.snapshot(self.run)
        now = snapshot_hash(directory) if directory else None
        if self._loaded is None or (self._loaded[0], self._loaded[2]) != (plan, now):
            draw = self._memoriser(plan) if plan.run == MEMORISER else self._generator(plan)
            if directory and snapshot_hash(directory) != now:
                raise Mistake(f"{directory}: was written again meanwhile; the same command goes on")
            self._loaded = plan, draw, now
        return self._loaded[1:]

    def _memoriser(self, plan: Plan) -> Draw:
        return memorised(self.experiment, plan, self.processes.device)

    def _generator(self, plan: Plan) -> Draw:
        """Return what draws with the weights of a snapshot, as the plan's intervention says."""
        pipeline = self.intervening.told(load_model(self.run, plan), plan)
        count, asked = plan.images_per_combination, self.questions[plan.intervention]
        starts = [question.start for question in asked]
        prompts = [prompt for question in asked for prompt in prompts_of(question, count)]
        before, switch_at = self.intervening.asked_before(plan)

        def draw_images(images: range, check: Callable[[], None]) -> UInt8[Tensor, "n h w c"]:
            part = slice(images.start, images.stop)
            return pipeline(
                prompts[part],
                paired_noise(plan.eval_seed, images, count, pipeline.image_shape, starts),
                index=image_index(images, count, starts),
                seed=plan.eval_seed,
                sampler=plan.sampler,
                num_inference_steps=plan.num_inference_steps,
                guidance_scale=plan.guidance_scale,
                before=before[part] if before else None,
                switch_at=switch_at,
                check=check,
            )

        return draw_images

    def _score(self, jobs: Sequence[Job], check: Callable[[], None]) -> None:
        for job in jobs:
            check()
            self._write(job, *self._images(job))

    def _images(self, job: Job) -> tuple[Sequence[np.ndarray], str | None]:
        """Return per question uint8 (n, h, w, c), put together or read back, and the hash of the
        snapshot that they were drawn from."""
        plan = job.plan
        if job.samples is None:
            return self.images.originals(plan.eval_seed, plan.images_per_combination), None
        if job.is_drawn():
            images, snapshot = read_samples_file(job.samples)
        else:
            images, snapshot = join_tiles(plan, self._kinds(job), job.samples)
            save_samples(job.samples, images, self.questions[plan.intervention], snapshot)
        drop_tiles(job.samples)
        return list(images), snapshot

    def _write(self, job: Job, images: Sequence[np.ndarray], snapshot: str | None) -> None:
        """Measure images (n, h, w, c) of every question, in all ways of the job."""
        subject = self._subject(job.plan, images)
        origin = {"config": self.identity, **({SNAPSHOT: snapshot} if snapshot else {})}
        for name, part in job.parts.items():
            measurement = self.measurements[name]
            rows = measurement.measure(subject)
            measurement.write(part, rows, {**origin, **measurement.facts})

    def _subject(self, plan: Plan, images: Sequence[np.ndarray]) -> Subject:
        asked = [*zip(self.questions[plan.intervention], map(len, images), strict=True)]
        return Subject(
            plan=plan,
            images=torch.from_numpy(np.concatenate(images)).permute(0, 3, 1, 2),
            rows=[row for question, count in asked for row in rows_of(question, count)],
            targets=[target for question, n in asked for _, target in question.asked(n)],
            common=_common(plan),
            model=partial(load_model, self.run, plan),
        )


def load_model(run: RunDir, plan: Plan) -> ConceptPipeline:
    """Return the model that draws a plan. Raises Mistake if none does."""
    if plan.step < 0 or plan.run == MEMORISER:
        raise Mistake(f"{plan.run}: has no model to measure")
    return ConceptPipeline.load(find_snapshot(run.snapshots, plan.step), plan.weights)


def _common(plan: Plan) -> Mapping[str, Any]:
    """Return what all images of a plan share in the scores table."""
    common = dataclasses.asdict(plan)
    del common["images_per_combination"]
    return common
