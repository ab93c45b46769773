"""From a config to what a trainer takes: a new model, and data with its conditions."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.world import EXAMPLES, SPLITS, BumpWorld, check_leaks, draw
from data_gen.dataset import Dataset
from data_gen.photos.world import PhotoWorld
from data_gen.wording import Captioned
from data_gen.world import World
from diffusion.model import DiffusionModel, build_model
from diffusion.model_config import ModelConfig
from diffusion.training_data import TrainingData
from studies.experiment.config import Config, scored_world
from studies.worlds.kinds import captioned_images_of
from studies.worlds.model_inputs import (
    Conditioning,
    bump_conditioning,
    condition_rows,
    make_conditioning,
)


@dataclass(frozen=True)
class Task:
    """What a model is to learn of a world, of whatever kind.

    Attributes:
        shown: how much training shows, and how much it does not, in words.
        image_shape: (channels, size, size).
        conditioning: how the model is told what to draw.
        load: draws the training data; returns them with the lines of their leak check. Raises
            Mistake on a leak.
    """

    shown: str
    image_shape: tuple[int, int, int]
    conditioning: Conditioning
    load: Callable[[], tuple[TrainingData, list[str]]]


def task_of(config: Config) -> Task:
    """Raises Mistake for a text encoder that is not to be had, numbers that tell too little,
    bumps of which nothing is left to train on, and photographs that are not as their table says."""
    world = scored_world(config)
    if isinstance(world, BumpsConfig):
        return bump_task(BumpWorld(world))
    return captioned_task(world, config.model)


def new_model(config: Config, task: Task) -> DiffusionModel:
    build = task.conditioning.build
    return build_model(config.model, config.objective, build, task.image_shape, config.seed)


def captioned_task(world: World | PhotoWorld, model: ModelConfig) -> Task:
    """Captioned images, rendered or real, told as `model.conditioning` says."""
    source, encoder = captioned_images_of(world), model.text_encoder
    conditioning = make_conditioning(
        world, model.conditioning, model.widths, encoder.name, encoder.frozen
    )

    def load() -> tuple[TrainingData, list[str]]:
        images = source.training_set()
        leaks = source.leak_check(images).lines()
        return training_data(world, images, conditioning), leaks

    shown = (
        f"{len(world.split.train)} training and {len(world.split.held_out)} held-out "
        f"combinations, {source.num_training_images} images"
    )
    return Task(shown, world.image_shape, conditioning, load)


def training_data(world: Captioned, shown: Dataset, conditioning: Conditioning) -> TrainingData:
    """Captioned images, each under its condition."""
    inputs, row = condition_rows(world, shown, conditioning)
    names = tuple(world.space.name(combination) for combination in world.space.combinations)
    null = conditioning.prompts.inputs([""])
    return TrainingData(shown.images, torch.cat((inputs, null)), row, shown.combination, names)


def bump_task(world: BumpWorld) -> Task:
    """One gray image of every training label, told its coordinates."""
    size, conditioning = world.config.image_size_px, bump_conditioning(world.config)
    index = world.select("train")

    def load() -> tuple[TrainingData, list[str]]:
        labels = world.labels[index]
        leaks = check_leaks(world, labels).lines()
        inputs = torch.cat((labels, conditioning.prompts.inputs([""])))
        images, row = draw(world.config, labels), torch.arange(len(labels))
        return TrainingData(images, inputs, row, world.example[index], EXAMPLES), leaks

    counts = zip(SPLITS, world.split.bincount().tolist(), strict=False)
    shown = "labels " + ", ".join(f"{name} {count}" for name, count in counts if count)
    return Task(f"{shown}; an image each", (1, size, size), conditioning, load)
