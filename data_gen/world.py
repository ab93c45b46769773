"""The config of a world and what follows from it without drawing anything. Imports no torch."""

from dataclasses import dataclass, field

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import Concept, ConceptSpace, check_concepts
from data_gen.endings import Mistake
from data_gen.splits import Split, make_split


@dataclass(frozen=True)
class WorldConfig:
    """One synthetic world. Lengths are in half-frames: the image spans [−1, 1] in x and y.

    Attributes:
        seed: of the scenes; runs with another training seed share the world.
        image_size_px: height and width.
        concepts: the axes of concept space, each with its values.
        num_images: training images.
        held_out: combinations training never shows, such as "circle blue small".
        position: centres are uniform in [−position, position]².
        background: channels of the grey-white background are uniform in [background, 1].
    """

    concepts: dict[str, Concept] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()
    seed: int = 0
    image_size_px: int = 16
    num_images: int = 16384
    position: float = 0.3
    background: float = 0.9


class World:
    """Concept space, split and captioner of one config, checked."""

    def __init__(self, config: WorldConfig, captions: CaptionConfig | None = None):
        check_concepts(config.concepts)
        _check_numbers(config)
        self.config = config
        self.space = ConceptSpace(config.concepts)
        self.split: Split = make_split(self.space, config.held_out)
        self.captions = captions or CaptionConfig()
        self.captioner = Captioner(self.space, self.captions)


def _check_numbers(config: WorldConfig) -> None:
    """Ranges of the plain fields: (key, value, lowest, highest)."""
    for key, value, low, high in (
        ("image_size_px", config.image_size_px, 8, 512),
        ("num_images", config.num_images, 1, 2**31),
        ("position", config.position, 0, 1),
        ("background", config.background, 0, 1),
    ):
        if not low <= value <= high:
            raise Mistake(f"world.{key}: got {value}, allowed {low} to {high}")
