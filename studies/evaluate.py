"""Sample every planned snapshot on the same combinations with the same noise, and score it."""

import io
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from classifiers.certificate import probe_name
from classifiers.probe import Probe
from classifiers.scores import read_part, score_images, write_part
from data_gen import streams
from data_gen.dataset import labelled_set
from data_gen.endings import Mistake
from data_gen.files import hash_json, whole_file
from data_gen.world import World
from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import find_snapshot, step_directory
from studies.config import Config, identity, scored_steps
from studies.run_dir import RunDir

UNREADABLE = (  # what damage to an npz may raise, wherever in the file it lies
    *(OSError, EOFError, ValueError, KeyError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)
RENDER = "render"  # `run` of true renders: the ceiling of what the probe can see


@dataclass(frozen=True)
class Plan:
    """What is generated at one snapshot; file names say all of it but the step."""

    run: str
    train_seed: int
    step: int
    images_seen: int
    weights: str
    sampler: str
    num_inference_steps: int
    guidance_scale: float
    eval_seed: int
    images_per_combination: int

    @property
    def what(self) -> str:
        return (
            f"{self.weights}-{self.sampler}{self.num_inference_steps}-g{self.guidance_scale:g}"
            f"-seed{self.eval_seed}-n{self.images_per_combination}"
        )

    def samples_file(self, run: RunDir) -> Path:
        return step_directory(run.samples, self.step) / f"{self.what}.npz"

    def scores_file(self, run: RunDir, probe: str) -> Path:
        return run.scores / f"step_{self.step:08d}-{self.what}-{probe}.parquet"


def make_plans(config: Config) -> list[Plan]:
    """One plan per scored step; the last step gets more images."""
    evaluate, steps = config.evaluate, scored_steps(config)
    return [
        Plan(
            run=config.name,
            train_seed=config.seed,
            step=step,
            images_seen=step * config.train.batch_size,
            weights=evaluate.weights,
            sampler=evaluate.sampler,
            num_inference_steps=evaluate.num_inference_steps,
            guidance_scale=evaluate.guidance_scale,
            eval_seed=evaluate.seed,
            images_per_combination=(
                evaluate.final_images_per_combination
                if step == steps[-1]
                else evaluate.images_per_combination
            ),
        )
        for step in steps
    ]


def render_file(run: RunDir, config: Config, probe: str) -> Path:
    n = config.evaluate.final_images_per_combination
    return run.scores / f"{RENDER}-seed{config.evaluate.seed}-n{n}-{probe}.parquet"


def planned_parts(run: RunDir, config: Config, probe: str) -> list[Path]:
    """All scores files of an evaluation; it is finished when all exist."""
    return [
        render_file(run, config, probe),
        *(plan.scores_file(run, probe) for plan in make_plans(config)),
    ]


def read_planned_scores(run: RunDir, config: Config, probe: str) -> pd.DataFrame:
    """The scores of an evaluation as one table. Mistake names a part that is missing."""
    parts = planned_parts(run, config, probe)
    missing = [part for part in parts if not part.is_file()]
    if missing:
        raise Mistake(f"{missing[0]}: not scored yet; run scripts/evaluate.py --run {run.path}")
    scores = pd.concat([read_part(part) for part in parts], ignore_index=True)
    renamed = scores["run"].where(scores["run"] == RENDER, config.name)
    return scores.assign(run=renamed)  # a run directory may have been renamed since


class Evaluator:
    """Evaluates one run with its probe."""

    def __init__(self, run: RunDir, config: Config, world: World, probe: Probe, certificate: Any):
        self.run, self.config, self.world, self.probe = run, config, world, probe
        self.probe_name = probe_name(certificate)
        self.facts = {"config": hash_json(identity(config)), "certificate": self.probe_name}

    def evaluate(
        self,
        progress: Callable[[int], object] = lambda images: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Sample and score what is missing; `progress` is told the images done.

        check: called before every network evaluation; raises to stop.
        """
        self.check = check
        self._score_renders()
        for plan in make_plans(self.config):
            if not plan.scores_file(self.run, self.probe_name).is_file():
                self._score(plan, self._samples(plan))
            progress(plan.images_per_combination * len(self.world.space))

    def _score_renders(self) -> None:
        path = render_file(self.run, self.config, self.probe_name)
        if path.is_file():
            return
        count = self.config.evaluate.final_images_per_combination
        seed, space = self.config.evaluate.seed, self.world.space
        data = labelled_set(self.world, seed, "render", 0, count * len(space))
        common = {
            **dict(run=RENDER, train_seed=-1, step=-1, images_seen=-1, weights="none"),
            **dict(sampler="none", num_inference_steps=-1, guidance_scale=-1.0, eval_seed=seed),
        }
        samples = [i // len(space) for i in range(len(data))]
        self._write(path, data.images, data.combination.tolist(), samples, common)

    def _samples(self, plan: Plan) -> np.ndarray:
        """uint8 (combinations, images_per_combination, h, w, 3), drawn now or read back."""
        path = plan.samples_file(self.run)
        if not path.is_file():
            save_samples(path, self._generate(plan), self.world)
        return load_samples(path)

    def _generate(self, plan: Plan) -> np.ndarray:
        directory = find_snapshot(self.run.snapshots, plan.step)
        pipeline = ConceptPipeline.load(directory, plan.weights)
        count, shape = plan.images_per_combination, pipeline.image_shape
        captions = [self.world.captioner.write(c) for c in self.world.space.combinations]
        noise = [paired_noise(plan.eval_seed, c, count, shape) for c in range(len(captions))]
        images = pipeline(
            [caption for caption in captions for _ in range(count)],
            torch.cat(noise),
            sampler=plan.sampler,
            num_inference_steps=plan.num_inference_steps,
            guidance_scale=plan.guidance_scale,
            check=self.check,
        )
        return images.view(len(captions), count, *images.shape[1:]).numpy()

    def _score(self, plan: Plan, images: np.ndarray) -> None:
        common = {
            **dict(run=plan.run, train_seed=plan.train_seed, step=plan.step),
            **dict(images_seen=plan.images_seen, weights=plan.weights, sampler=plan.sampler),
            **dict(num_inference_steps=plan.num_inference_steps, eval_seed=plan.eval_seed),
            "guidance_scale": plan.guidance_scale,
        }
        combinations = [c for c in range(len(images)) for _ in range(images.shape[1])]
        samples = [k for _ in range(len(images)) for k in range(images.shape[1])]
        flat = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2)
        path = plan.scores_file(self.run, self.probe_name)
        self._write(path, flat, combinations, samples, common)

    def _write(
        self,
        path: Path,
        images: torch.Tensor,
        combinations: list[int],
        samples: list[int],
        common: dict[str, Any],
    ) -> None:
        space, write = self.world.space, self.world.captioner.write
        values = [space.combinations[c] for c in combinations]
        rows = [
            {
                "combination": space.name(combination),
                "split": self.world.split.of(combination),
                "prompt": write(combination),
                "sample": sample,
            }
            for combination, sample in zip(values, samples, strict=True)
        ]
        targets = [dict(zip(space.names, combination, strict=True)) for combination in values]
        common = {**common, "intervention": "none", "probe": self.probe_name}
        write_part(path, score_images(self.probe, images, rows, targets, common), self.facts)


def paired_noise(
    seed: int, combination: int, count: int, shape: tuple[int, int, int]
) -> torch.Tensor:
    """x_T (count, *shape) of images 0 … count − 1 of a combination, the same at every snapshot."""
    width = torch.Size(shape).numel()
    noise = streams.normal(seed, "evaluate.noise", combination, torch.arange(count), width)
    return noise.view(count, *shape)


def save_samples(path: Path, images: np.ndarray, world: World) -> None:
    """images: uint8 (combinations, n, h, w, 3); stored flat with a label per image."""
    count = images.shape[1]
    combination = [world.space.name(c) for c in world.space.combinations for _ in range(count)]
    prompt = [world.captioner.write(c) for c in world.space.combinations for _ in range(count)]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=images.reshape(-1, *images.shape[2:]),
        combination=np.array(combination),
        prompt=np.array(prompt),
        sample=np.tile(np.arange(count), len(images)),
    )
    with whole_file(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_samples(path: Path) -> np.ndarray:
    """uint8 (combinations, n, h, w, 3). Mistake names a file that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, count = stored["images"], int(stored["sample"].max()) + 1
        return images.reshape(-1, count, *images.shape[1:])
    except UNREADABLE as error:
        raise Mistake(
            f"{path}: cannot read these samples ({str(error) or type(error).__name__}); "
            f"move the file and its scores away, scripts/evaluate.py makes both again"
        ) from None
