"""How the probe is trained and what it must reach. Imports no torch."""

from dataclasses import dataclass

from ground.endings import Mistake, refuse


@dataclass(frozen=True)
class ProbeConfig:
    """The measuring device: trained once per world, on renders of all combinations.

    A file of a small world, of renders of at most 16 px, 24 combinations and 4 values of a concept,
    that gives no `steps` has 300, and without `width` 16, as the demo's. Where shapes are drawn at
    28 px or more, `steps` is the most: training stops at the first of `cycle_ends` at which fresh
    renders show that it is enough.

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


LEAST_PX = 14  # of a side, once it is folded
CYCLES = 4


def folding(image_size_px: int) -> int:
    """Return into how many pixels a side each pixel that the probe reads is folded: the largest
    power of two that divides the side and leaves LEAST_PX."""
    fold = 1
    while image_size_px % (2 * fold) == 0 and image_size_px // (2 * fold) >= LEAST_PX:
        fold *= 2
    return fold


def cycle_ends(steps: int) -> tuple[int, ...]:
    """Return the steps at which a training that may stop early is looked at.

    At each, the learning rate has come down to 0. It starts again for a cycle of twice the length
    (warm restarts, Loshchilov and Hutter 2017, arXiv:1608.03983); the last cycle ends at `steps`.
    """
    ends = (round(steps * (2**k - 1) / (2**CYCLES - 1)) for k in range(1, CYCLES + 1))
    return tuple(dict.fromkeys(max(end, 1) for end in ends))


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
