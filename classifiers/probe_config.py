"""How the probe is trained and what it must reach. Imports no torch."""

from dataclasses import dataclass

from ground.endings import Mistake, refuse


@dataclass(frozen=True)
class ProbeConfig:
    """The measuring device: trained once per world, on renders of all combinations.

    A file of a small world, of renders of at most 16 px, 24 combinations and 4 values of a concept,
    that gives no `steps` has 300, and without `width` 16, as the demo's.

    Attributes:
        seed: of weights, renders and augmentation.
        steps, batch_size, learning_rate: AdamW with a cosine schedule to 0.
        width: channels of the first layer.
        noise: largest standard deviation of the added Gaussian noise, images in [0, 1].
        blur: largest share of a 3×3 binomial blur mixed in.
        unsure_rate: share of renders, half of them blurred and noisy as in training, that may be
            taken for no scene.
        certificate_images: renders it is certified on, as many again to learn what scenes look
            like, and to set the limit of that; of real images at most so many.
        gate: least clean accuracy per concept; a probe below it is refused. The default is for
            renders.
    """

    seed: int = 0
    steps: int = 600
    batch_size: int = 256
    learning_rate: float = 0.003
    width: int = 32
    noise: float = 0.15
    blur: float = 1.0
    unsure_rate: float = 0.01
    certificate_images: int = 2048
    gate: float = 0.99

    def __post_init__(self) -> None:
        check_probe(self)


def check_probe(config: ProbeConfig) -> None:
    """Check the range of every number. Raises Mistake."""
    ranges = (
        ("steps", 2, 10**7),
        ("batch_size", 2, 2**20),
        ("learning_rate", 0, 10),
        ("width", 8, 4096),
        ("noise", 0, 10),
        ("blur", 0, 1),
        ("unsure_rate", 1e-6, 0.5),
        ("certificate_images", 64, 2**20),
        ("gate", 0, 1),
    )
    refuse(
        f"probe.{key}: got {getattr(config, key)}, allowed {low} to {high}"
        for key, low, high in ranges
        if not low <= getattr(config, key) <= high
    )
    if config.width % 8:
        raise Mistake(f"probe.width: got {config.width}, allowed multiples of 8")
