"""Images drawn from prompts at one or more snapshots, and what probe and oracle see in them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tqdm import tqdm

from classifiers.probe import Probe
from diffusion.composition import parse_composition
from diffusion.pipeline import ConceptPipeline
from diffusion.precision import allow_tf32
from diffusion.sampling import TILE
from diffusion.snapshots import (
    complete_steps,
    find_snapshot,
    step_directory,
    step_of,
    thinned_steps,
)
from ground.endings import Mistake
from studies.experiment.config import EvaluateConfig
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.worlds.asked import Asked


@dataclass(frozen=True)
class Reading:
    """Reading of one image by the probe: per concept the probability of every value.

    unsure: the image is like no scene that the probe knows; the rest means nothing.
    """

    prompt: str
    probabilities: Mapping[str, Mapping[str, float]]
    asked: Asked
    unsure: bool

    @property
    def values(self) -> dict[str, str]:
        """Return the most probable value of each concept."""
        return {c: max(p, key=lambda value: p[value]) for c, p in self.probabilities.items()}

    @property
    def right(self) -> bool:
        """Return whether the probe is sure, and reads every concept as the prompt asks, and nothing
        as NOT asked."""
        return not self.unsure and self.asked.is_seen_in(self.values)

    def line(self) -> str:
        seen = ", ".join(
            f"{concept} {value} ({self.probabilities[concept][value]:.2f})"
            for concept, value in self.values.items()
        )
        remark = "  <- unsure: no scene" if self.unsure else "  <- not as asked"
        return f"{self.prompt}: {seen}{'' if self.right else remark}"

    def facts(self) -> dict[str, Any]:
        concepts = {
            concept: {"value": value, "probabilities": dict(self.probabilities[concept])}
            for concept, value in self.values.items()
        }
        return {"as_asked": self.right, "unsure": self.unsure, "concepts": concepts}


@dataclass(frozen=True)
class Drawn:
    """Images drawn at one snapshot, with what probe and oracle read in them.

    Attributes:
        images: uint8 (prompts, images of each, h, w, c); c is 1 of bumps.
        readings: of the images in turn; none where there is no probe.
        oracle: what the oracle sees in each in turn: per concept its value, null where it is
            unsure; of bumps `centre_px`, null where there is no bump; none of photographs.
    """

    step: int
    images: np.ndarray
    readings: Sequence[Reading]
    oracle: Sequence[Mapping[str, Any]]


def chosen_steps(run: RunDir, steps: Sequence[int] | Literal["all"] | None) -> list[int]:
    """Return the steps of snapshots, in order: those given, all complete ones ("all"), or the last
    (None).

    Raises Mistake if one of them is not there.
    """
    if steps == "all":
        thinned = thinned_steps(run.snapshots)
        steps = [step for step in complete_steps(run.snapshots) if step not in thinned]
        if not steps:
            raise Mistake(f"steps: no complete snapshot in {run.snapshots}; train the run first")
    if steps is None:
        return [step_of(find_snapshot(run.snapshots, None))]
    for step in steps:
        find_snapshot(run.snapshots, int(step))
    return sorted({int(step) for step in steps})


def draw(
    experiment: Experiment, prompts: Sequence[str], *, steps: Sequence[int], num_images: int
) -> list[Drawn]:
    """Draw `num_images` of each prompt at each step, as `evaluate` of the config says. Image k
    starts from the same noise everywhere.

    There are no readings where prompts are numbers, which the oracle alone reads here, and none of
    runs that were trained alone. Raises Mistake for a prompt that cannot be read; for an unknown or
    contradictory word before anything is loaded.
    """
    world, run, settings = experiment.world, experiment.run, experiment.config.evaluate
    asked = {p: found for p in prompts if (found := world.what_is_asked(p))}
    oracle = world.oracle_reader()
    probe = experiment.probe if world.has_words and run.probe.is_symlink() else None
    repeated = [prompt for prompt in prompts for _ in range(num_images)]
    drawings = []
    with tqdm(total=len(steps) * len(repeated), unit="image", disable=None) as bar:
        for step in steps:
            allow_tf32(experiment.config.train.tf32)
            pipeline = ConceptPipeline.load(find_snapshot(run.snapshots, step), settings.weights)
            images = _draw(pipeline, repeated, num_images, settings, bar.update)
            readings = read(probe, images, repeated, asked) if probe is not None else []
            seen = oracle(images)
            images = images.unflatten(0, (-1, num_images)).numpy()
            drawings.append(Drawn(step, images, readings, seen))
    return drawings


def _draw(
    pipeline: ConceptPipeline,
    prompts: Sequence[str],
    num_images: int,
    settings: EvaluateConfig,
    progress: Callable[[int], object],
) -> torch.Tensor:
    """Draw a network call's worth at once, so that long work shows its progress."""
    index, drawn = torch.arange(len(prompts)) % num_images, []
    for places in torch.arange(len(prompts)).split(TILE):
        images = pipeline(
            [prompts[i] for i in places],
            index=index[places],
            seed=settings.seed,
            sampler=settings.sampler,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
        )
        drawn.append(images)
        progress(len(images))
    return torch.cat(drawn)


def read(
    probe: Probe, images: torch.Tensor, prompts: Sequence[str], asked: Mapping[str, Asked]
) -> list[Reading]:
    """Return what the probe sees in images, uint8 (n, h, w, 3), of n prompts that name what is
    asked."""
    seen = probe.read(images.permute(0, 3, 1, 2))
    return [
        Reading(
            prompt=prompt,
            probabilities={
                concept: dict(zip(probe.values[concept], p[i].tolist(), strict=True))
                for concept, p in seen.probabilities.items()
            },
            asked=asked[prompt],
            unsure=bool(seen.unsure[i]),
        )
        for i, prompt in enumerate(prompts)
    ]


def summary(drawn: Drawn) -> str:
    """Return a line such as 'step_00000512: 12 of 16 as asked'."""
    right, count = sum(reading.right for reading in drawn.readings), len(drawn.readings)
    read = f"{right} of {count} as asked" if count else "no probe has read them"
    return f"{step_directory(Path(), drawn.step).name}: {read}"


def records(drawn: Drawn, prompts: Sequence[str], settings: EvaluateConfig) -> list[dict[str, Any]]:
    """Return what there is to know of every image, as JSON has it."""
    count = drawn.images.shape[1]
    common = {
        **dict(step=drawn.step, weights=settings.weights, sampler=settings.sampler),
        **dict(num_inference_steps=settings.num_inference_steps, seed=settings.seed),
        "guidance_scale": settings.guidance_scale,
    }
    return [
        {
            "prompt": prompt,
            "terms": _terms(prompt),
            **common,
            "index": k,
            "readings": _readings(drawn, i * count + k),
        }
        for i, prompt in enumerate(prompts)
        for k in range(count)
    ]


def _readings(drawn: Drawn, i: int) -> dict[str, Any]:
    probe = {"probe": drawn.readings[i].facts()} if drawn.readings else {}
    return {**probe, **({"oracle": drawn.oracle[i]} if drawn.oracle else {})}


def _terms(prompt: str) -> list[dict[str, Any]]:
    composition = parse_composition(prompt)
    pairs = zip(composition.prompts, composition.weights, strict=True)
    return [{"prompt": text, "weight": weight} for text, weight in pairs]
