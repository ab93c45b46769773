"""From a config to what a trainer takes: a new model, and data with its conditions."""

import torch

from data_gen.dataset import Dataset
from data_gen.world import World
from diffusion.model import DiffusionModel, build_model
from diffusion.training_data import TrainingData
from studies.conditions import Conditioning, condition_rows, make_conditioning
from studies.config import Config

CHANNELS = 3


def conditioning_of(config: Config, world: World) -> Conditioning:
    """Raises Mistake for a text encoder that is not to be had, and numbers that tell too little."""
    model = config.model
    encoder = model.text_encoder
    return make_conditioning(world, model.conditioning, model.widths, encoder.name, encoder.frozen)


def new_model(config: Config, conditioning: Conditioning) -> DiffusionModel:
    shape = (CHANNELS, config.world.image_size_px, config.world.image_size_px)
    return build_model(config.model, config.objective, conditioning.build, shape, config.seed)


def training_data(world: World, shown: Dataset, conditioning: Conditioning) -> TrainingData:
    """The world's images, each under its condition."""
    inputs, row = condition_rows(world, shown, conditioning)
    names = tuple(world.space.name(combination) for combination in world.space.combinations)
    null = conditioning.prompts.inputs([""])
    return TrainingData(shown.images, torch.cat((inputs, null)), row, shown.combination, names)
