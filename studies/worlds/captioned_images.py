"""Base of the images of worlds with captions: training sets, tasks, rows of a contact sheet."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from classifiers.heads import Head
from data_gen.concepts import Combination
from data_gen.dataset import Dataset
from data_gen.leaks import LeakReport
from data_gen.output.preview import Row
from data_gen.photos.world import PhotoWorld
from data_gen.wording import Captioned
from data_gen.world import World
from diffusion.model_config import ModelConfig
from diffusion.training_data import TrainingData
from ground import streams
from studies.worlds.exams import value_places
from studies.worlds.images import Training, WorldImages
from studies.worlds.model_inputs import Conditioning, condition_rows, make_conditioning
from studies.worlds.tasks import Task


class CaptionedImages(WorldImages):
    """Images of a world with captions."""

    world: World | PhotoWorld

    @property
    def heads(self) -> Mapping[str, Head]:
        return dict(self.world.space.items())

    @property
    @abstractmethod
    def num_training_images(self) -> int: ...

    @property
    @abstractmethod
    def drawable(self) -> Sequence[Combination]:
        """Return the combinations of which there is an image."""

    @abstractmethod
    def training_set(self) -> Dataset: ...

    @abstractmethod
    def leak_check(self, data: Dataset) -> LeakReport:
        """Return what the leak check looked at. Raises Mistake on a leak."""

    @abstractmethod
    def combination_rows(self, shown: Sequence[Combination], length: int) -> list[Row]:
        """Return a row of images for each of some combinations."""

    @abstractmethod
    def mean_image(self, combination: Combination) -> Float[Tensor, "c h w"]:
        """Return the mean image of a combination, held out or not, in [−1, 1], float64. Raises
        Mistake if there is no image of it."""

    @cached_property
    def checked_set(self) -> tuple[Dataset, list[str]]:
        """Return the training set with the lines of its leak check. Raises Mistake on a leak."""
        data = self.training_set()
        return data, self.leak_check(data).lines()

    def training(self) -> Training:
        data, leaks = self.checked_set
        captions = [data.captions[i] for i in data.caption.tolist()]
        values = value_places(self.world)[data.combination]
        return Training(data.images, captions, values, leaks)

    def task(self, model: ModelConfig) -> Task:
        """Return captioned images, rendered or real, told as `model.conditioning` says."""
        world, conditioning = self.world, make_conditioning(self.world, model)

        def load() -> tuple[TrainingData, list[str]]:
            images, leaks = self.checked_set
            return training_data(world, images, conditioning), leaks

        shown = (
            f"{len(world.split.train)} training and {len(world.split.held_out)} held-out "
            f"combinations, {self.num_training_images} images"
        )
        return Task(shown, world.image_shape, conditioning, load)

    def rows(self, length: int, most: int) -> tuple[list[Row], str]:
        shown, total = _spread(self.drawable, most), len(self.drawable)
        of = f" ({len(shown)} of {total} combinations)" if len(shown) < total else ""
        return self.combination_rows(shown, length), of


def training_data(world: Captioned, shown: Dataset, conditioning: Conditioning) -> TrainingData:
    """Return captioned images, each under its condition."""
    inputs, row = condition_rows(world, shown, conditioning)
    names = tuple(world.space.name(combination) for combination in world.space.combinations)
    null = conditioning.prompts.inputs([""])
    return TrainingData(shown.images, torch.cat((inputs, null)), row, shown.combination, names)


def _spread(combinations: Sequence[Combination], most: int) -> list[Combination]:
    """Return at most `most` of them, at random: even steps would favour some values."""
    order = streams.permutation(0, "preview", 0, len(combinations))
    return [combinations[i] for i in order[:most].sort().values.tolist()]
