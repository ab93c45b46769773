"""Prompts → images and what the probe sees in them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from classifiers.probe import Probe
from data_gen.bumps.config import BumpsConfig
from data_gen.files import whole_file
from data_gen.world import World
from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import find_snapshot
from studies.config import EvaluateConfig
from studies.probing import load_run_probe
from studies.run_dir import RunDir

GAP_PX, CELL_PX = 4, 96


@dataclass(frozen=True)
class Reading:
    """What the probe sees in one image: per concept its value and the probability of it."""

    prompt: str
    values: dict[str, str]
    probabilities: dict[str, float]
    asked: dict[str, str]

    @property
    def right(self) -> bool:
        """True if every concept the prompt names is read as asked."""
        return all(self.values[concept] == value for concept, value in self.asked.items())

    def line(self) -> str:
        seen = ", ".join(
            f"{concept} {value} ({self.probabilities[concept]:.2f})"
            for concept, value in self.values.items()
        )
        return f"{self.prompt}: {seen}{'' if self.right else '  <- not as asked'}"


def generate(
    run: RunDir,
    world: World | BumpsConfig,
    prompts: Sequence[str],
    settings: EvaluateConfig,
    *,
    step: int | None,
    num_images: int,
) -> tuple[np.ndarray, list[Reading], str]:
    """`num_images` of each prompt: uint8 (n, h, w, 3), a reading of each, the snapshot's name.

    Of bumps, uint8 (n, h, w, 1). There are no readings where there is no probe: of bumps, and of
    runs that were trained alone. Raises Mistake for a prompt that cannot be read; an unknown or
    contradictory word before anything is loaded.
    """
    probe = None
    if isinstance(world, World):
        asked = {prompt: world.captioner.parse(prompt) for prompt in prompts}
        probe = load_run_probe(run, world)[0] if run.probe.is_symlink() else None
    directory = find_snapshot(run.snapshots, step)
    pipeline = ConceptPipeline.load(directory, settings.weights)
    repeated = [prompt for prompt in prompts for _ in range(num_images)]
    images = pipeline(
        repeated,
        seed=settings.seed,
        sampler=settings.sampler,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
    )
    readings = read(probe, images, repeated, asked) if probe is not None else []
    return images.numpy(), readings, directory.name


def read(
    probe: Probe, images: torch.Tensor, prompts: Sequence[str], asked: Mapping[str, dict[str, str]]
) -> list[Reading]:
    """What the probe sees in images, uint8 (n, h, w, 3), of n prompts that name what is asked."""
    seen = probe.read(images.permute(0, 3, 1, 2)).probabilities
    return [
        Reading(
            prompt=prompt,
            values={c: probe.values[c][int(p[i].argmax())] for c, p in seen.items()},
            probabilities={c: float(p[i].max()) for c, p in seen.items()},
            asked=asked[prompt],
        )
        for i, prompt in enumerate(prompts)
    ]


def save_grid(path: Path, images: np.ndarray, columns: int | None = None) -> None:
    """A PNG of uint8 (n, h, w, c) side by side, enlarged with sharp pixels; gray if c is 1."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    cell = CELL_PX + GAP_PX
    mode = "L" if images.shape[-1] == 1 else "RGB"
    grid = Image.new(mode, (columns * cell + GAP_PX, rows * cell + GAP_PX), "white")
    for i, image in enumerate(images):
        pixels = image[:, :, 0] if mode == "L" else image
        enlarged = Image.fromarray(pixels).resize((CELL_PX, CELL_PX), Image.Resampling.NEAREST)
        grid.paste(enlarged, (GAP_PX + i % columns * cell, GAP_PX + i // columns * cell))
    with whole_file(path) as temporary:
        grid.save(temporary, format="PNG")
