"""What is asked of every snapshot and what right answers look like, of a world of any kind."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from diffusers import DDPMScheduler
from jaxtyping import Int
from torch import Tensor

from analysis.figures import trajectory_figure
from analysis.trajectory import concept_trajectories, prompt_effect
from classifiers.scores import Row, Targets
from data_gen.bumps.config import BumpsConfig
from data_gen.dataset import labelled_set, leak_check, training_set
from data_gen.world import World
from diffusion.memoriser import Memoriser
from studies.bump_exam import BumpExam

Training = tuple[Tensor, Sequence[str], list[str]]  # uint8 (n, c, h, w), captions, leak check


class Exam(Protocol):
    """Questions come in groups of equally many images each, one group after the other.

    Attributes:
        concepts: what is read in every image.
        groups: names of the groups, the `combination` of scores.
        image_shape: (channels, size, size).
        compared: the column of scores that tables and figures tell apart: split, or combination.
        chance: accuracy of guessing evenly, per concept and joint.
        shown: the groups that a sample grid shows, and what each is called there.
        held_out: of these the ones that training never shows.
        identity: equal for worlds whose scores can be drawn beside each other.
    """

    @property
    def concepts(self) -> Sequence[str]: ...
    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def image_shape(self) -> tuple[int, int, int]: ...
    @property
    def compared(self) -> str: ...
    @property
    def chance(self) -> Mapping[str, float]: ...
    @property
    def shown(self) -> Mapping[int, str]: ...
    @property
    def held_out(self) -> Sequence[int]: ...
    @property
    def identity(self) -> Any: ...

    def rows(self, count: int) -> list[Row]:
        """Of each image, `count` of every group: combination, split, prompt and sample."""

    def targets(self, count: int) -> list[Targets]:
        """Of each image what it should show, as `score_images` takes it."""

    def renders(self, count: int) -> np.ndarray:
        """uint8 (groups, count, h, w, c), images as they should be."""

    def memoriser(self, schedule: DDPMScheduler) -> Memoriser:
        """The memoriser of the world's training images on a noise schedule."""

    def asked(self, count: int) -> Tensor:
        """Of each image what its memoriser is asked for."""

    def training(self) -> Training:
        """All training images, and what the leak check says of them."""

    def figures(self, scores: pd.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
        """What is drawn beside accuracy and samples."""

    def facts(self, scores: pd.DataFrame) -> dict[str, str]:
        """What is said beside accuracy."""


def exam_of(world: World | BumpsConfig, seed: int) -> Exam:
    """seed: of what is drawn for it, `evaluate.seed`."""
    return BumpExam(world, seed) if isinstance(world, BumpsConfig) else ShapeExam(world, seed)


class ShapeExam:
    """All combinations of a world of shapes, each by its caption."""

    compared = "split"

    def __init__(self, world: World, seed: int):
        self.world, self.seed = world, seed
        self.concepts, self.image_shape = world.space.names, world.image_shape
        self.groups = tuple(world.space.name(c) for c in world.space.combinations)

    @property
    def chance(self) -> Mapping[str, float]:
        single = {name: 1 / len(values) for name, values in self.world.space.items()}
        return {**single, "joint": 1 / len(self.groups)}

    @property
    def shown(self) -> Mapping[int, str]:
        """Held-out prompts; all, if none is held out."""
        world = self.world
        shown = world.split.held_out or world.split.train
        return {world.space.index(c): world.captioner.write(c) for c in shown}

    @property
    def held_out(self) -> Sequence[int]:
        return [self.world.space.index(c) for c in self.world.split.held_out]

    @property
    def identity(self) -> Any:
        return self.world.space.values, self.world.split

    def rows(self, count: int) -> list[Row]:
        world = self.world
        return [
            {
                "combination": name,
                "split": world.split.of(combination),
                "prompt": world.captioner.write(combination),
                "sample": sample,
            }
            for name, combination in zip(self.groups, world.space.combinations, strict=True)
            for sample in range(count)
        ]

    def targets(self, count: int) -> list[Targets]:
        combinations = self.world.space.combinations
        each = [dict(zip(self.concepts, values, strict=True)) for values in combinations]
        return [target for target in each for _ in range(count)]

    def renders(self, count: int) -> np.ndarray:
        total = count * len(self.groups)
        images = labelled_set(self.world, self.seed, "render", 0, total).images
        turns = images.permute(0, 2, 3, 1).unflatten(0, (count, len(self.groups)))
        return turns.transpose(0, 1).numpy()

    def memoriser(self, schedule: DDPMScheduler) -> Memoriser:
        data = training_set(self.world)
        alphas_cumprod, prediction = schedule.alphas_cumprod, schedule.config.prediction_type
        return Memoriser(data.images, self._places()[data.combination], alphas_cumprod, prediction)

    def asked(self, count: int) -> Int[Tensor, "n concepts"]:
        return self._places().repeat_interleave(count, 0)

    def training(self) -> Training:
        data = training_set(self.world)
        captions = [data.captions[i] for i in data.caption.tolist()]
        return data.images, captions, leak_check(self.world, data).lines()

    def figures(self, scores: pd.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
        if not self.held_out:
            return {}
        return {"trajectories": trajectory_figure(concept_trajectories(scores, rng=rng))}

    def facts(self, scores: pd.DataFrame) -> dict[str, str]:
        effects = prompt_effect(scores)
        text = ", ".join(f"{concept} {effect:.2f}" for concept, effect in effects.items())
        return {"effect of prompts, P(v | asked v) - P(v | asked another)": text}

    def _places(self) -> Int[Tensor, "combinations concepts"]:
        space = self.world.space
        return torch.tensor([space.value_indices(c) for c in space.combinations])
