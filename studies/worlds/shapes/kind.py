"""Worlds of rendered shapes, as an experiment sees them. Imports no torch."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_gen.captions import CaptionConfig
from data_gen.world import World, WorldConfig
from studies.worlds.captioned import CaptionedWorld
from studies.worlds.kind import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from studies.worlds.shapes.images import ShapeImages

SHOWN = (  # fields that say which images there are, not what one looks like
    *("seed", "num_images", "validation", "held_out", "held_out_ranges"),
    *("frequencies", "correlations", "exact_counts"),
)


class Shapes(CaptionedWorld):
    """World of rendered shapes."""

    settings = WorldConfig
    conditionings = (
        *("vector", "one_hot", "embeddings", "coordinates"),
        *("captions", "captions_contextual", "pretrained"),
    )
    why = ""
    originals = "true renders"
    has_oracle = True

    terms: World

    def __init__(self, settings: WorldConfig, captions: CaptionConfig):
        self.terms = World(settings, captions)

    @property
    def looks(self) -> Mapping[str, Any]:
        fields = dataclasses.asdict(self.terms.config)
        return {key: value for key, value in fields.items() if key not in SHOWN}

    def images(self, opened: World) -> "ShapeImages":
        from studies.worlds.shapes.images import ShapeImages

        return ShapeImages(opened)

    def oracle_reader(self) -> "Callable[[Tensor], Sequence[Facts]]":
        from studies.worlds.shapes.oracle import oracle_reader

        return oracle_reader(self.terms)
