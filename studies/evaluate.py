"""Sample every planned snapshot on the same combinations with the same noise, and score it."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from classifiers.certificate import probe_name
from classifiers.probe import Probe
from classifiers.scores import read_part, score_images, write_part
from data_gen.endings import Mistake
from data_gen.files import hash_json
from data_gen.world import World
from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import find_snapshot
from studies.baselines import memorised, true_renders
from studies.config import Config, identity
from studies.plans import (
    MEMORISER,
    RENDER,
    Plan,
    baseline_files,
    image_index,
    make_plans,
    memorised_file,
    memoriser_plan,
    paired_noise,
    planned_parts,
)
from studies.run_dir import RunDir
from studies.samples import load_samples, save_samples


def read_planned_scores(run: RunDir, config: Config, probe: str) -> pd.DataFrame:
    """The scores of an evaluation as one table. Mistake names a part that is missing."""
    parts = planned_parts(run, config, probe)
    missing = [part for part in parts if not part.is_file()]
    if missing:
        raise Mistake(f"{missing[0]}: not scored yet; run scripts/evaluate.py --run {run.path}")
    scores = pd.concat([read_part(part) for part in parts], ignore_index=True)
    renamed = scores["run"].where(scores["run"].isin([RENDER, MEMORISER]), config.name)
    return scores.assign(run=renamed)  # a run directory may have been renamed since


class Evaluator:
    """Evaluates one run with its probe."""

    def __init__(self, run: RunDir, config: Config, world: World, probe: Probe, certificate: Any):
        self.run, self.config, self.world, self.probe = run, config, world, probe
        self.probe_name = probe_name(certificate)
        self.facts = {"config": hash_json(identity(config)), "certificate": self.probe_name}

    @property
    def num_images(self) -> int:
        """All that is generated, the memoriser's images too."""
        counts = [plan.images_per_combination for plan in make_plans(self.config)]
        return (sum(counts) + counts[-1]) * len(self.world.space)

    def evaluate(
        self,
        progress: Callable[[int], object] = lambda images: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Sample and score what is missing; `progress` is told the images done.

        check: called before every network evaluation; raises to stop.
        """
        plans = make_plans(self.config)
        baselines = baseline_files(self.run, self.config, self.probe_name)
        self._score_renders(baselines[RENDER], plans[-1])
        for plan in plans:
            path = plan.scores_file(self.run, self.probe_name)
            if not path.is_file():
                images = self._samples(plan.samples_file(self.run), self._generate, plan, check)
                self._write(path, images, _common(plan))
            progress(plan.images_per_combination * len(self.world.space))
        self._score_memoriser(baselines[MEMORISER], check)
        progress(plans[-1].images_per_combination * len(self.world.space))

    def _score_renders(self, path: Path, plan: Plan) -> None:
        if not path.is_file():
            images = true_renders(self.world, plan.eval_seed, plan.images_per_combination)
            settings = {
                **dict(run=RENDER, train_seed=-1, step=-1, images_seen=-1, weights="none"),
                **dict(sampler="none", num_inference_steps=-1, guidance_scale=-1.0),
            }
            self._write(path, images, {**_common(plan), **settings})

    def _score_memoriser(self, path: Path, check: Callable[[], None]) -> None:
        if not path.is_file():
            plan, samples = memoriser_plan(self.config), memorised_file(self.run, self.config)
            images = self._samples(samples, self._memorise, plan, check)
            self._write(path, images, _common(plan))

    def _samples(
        self,
        path: Path,
        draw: Callable[[Plan, Callable[[], None]], np.ndarray],
        plan: Plan,
        check: Callable[[], None],
    ) -> np.ndarray:
        """uint8 (combinations, images_per_combination, h, w, 3), drawn now or read back."""
        if not path.is_file():
            save_samples(path, draw(plan, check), self.world)
        return load_samples(path)

    def _memorise(self, plan: Plan, check: Callable[[], None]) -> np.ndarray:
        return memorised(self.world, self.run, plan, check)

    def _generate(self, plan: Plan, check: Callable[[], None]) -> np.ndarray:
        directory = find_snapshot(self.run.snapshots, plan.step)
        pipeline = ConceptPipeline.load(directory, plan.weights)
        count, kinds = plan.images_per_combination, len(self.world.space)
        captions = [self.world.captioner.write(c) for c in self.world.space.combinations]
        images = pipeline(
            [caption for caption in captions for _ in range(count)],
            paired_noise(plan.eval_seed, kinds, count, pipeline.image_shape),
            index=image_index(kinds, count),
            seed=plan.eval_seed,
            sampler=plan.sampler,
            num_inference_steps=plan.num_inference_steps,
            guidance_scale=plan.guidance_scale,
            check=check,
        )
        return images.unflatten(0, (kinds, count)).numpy()

    def _write(self, path: Path, images: np.ndarray, common: Mapping[str, Any]) -> None:
        """Score images (combinations, n, h, w, 3)."""
        space, captioner = self.world.space, self.world.captioner
        each = [(c, k) for c in space.combinations for k in range(images.shape[1])]
        rows = [
            {
                "combination": space.name(combination),
                "split": self.world.split.of(combination),
                "prompt": captioner.write(combination),
                "sample": sample,
            }
            for combination, sample in each
        ]
        targets = [dict(zip(space.names, combination, strict=True)) for combination, _ in each]
        flat = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2)
        common = {**common, "intervention": "none", "probe": self.probe_name}
        write_part(path, score_images(self.probe, flat, rows, targets, common), self.facts)


def _common(plan: Plan) -> dict[str, Any]:
    """What all images of a plan share in the scores table."""
    common = dataclasses.asdict(plan)
    del common["images_per_combination"]
    return common
