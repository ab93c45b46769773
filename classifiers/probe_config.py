"""How the probe is trained and what it must reach. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeConfig:
    """The measuring device: trained once per world, on renders of all combinations.

    Attributes:
        seed: of weights, renders and augmentation.
        steps, batch_size, learning_rate: AdamW with a cosine schedule to 0.
        width: channels of the first layer.
        noise: largest standard deviation of the added Gaussian noise, images in [0, 1].
        blur: largest share of a 3×3 binomial blur mixed in.
        gate: least clean accuracy per concept; a probe below it is refused.
    """

    seed: int = 0
    steps: int = 600
    batch_size: int = 256
    learning_rate: float = 0.003
    width: int = 32
    noise: float = 0.15
    blur: float = 1.0
    gate: float = 0.99
