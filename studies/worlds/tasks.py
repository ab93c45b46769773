"""Task of a model: what it is to learn of a world, of whatever kind."""

from collections.abc import Callable
from dataclasses import dataclass

from diffusion.training_data import TrainingData
from studies.worlds.model_inputs import Conditioning


@dataclass(frozen=True)
class Task:
    """Task of a model: what it is to learn of a world, and how it is told.

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
