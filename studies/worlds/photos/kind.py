"""Worlds of photographs, as an experiment sees them. Imports no torch."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_gen.captions import CaptionConfig
from data_gen.photos.world import PhotosConfig, PhotoTerms, PhotoWorld
from studies.worlds.captioned import CaptionedWorld
from studies.worlds.kind import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from studies.worlds.photos.images import PhotoImages

PLACES = ("folder", "table", "file_column")
SHOWN = (*PLACES, "validation", "held_out", "at_most")  # what else differs, picks other images


class Photos(CaptionedWorld):
    """World of photographs, with a table of what they show."""

    settings = PhotosConfig
    conditionings = ("one_hot", "embeddings", "captions", "captions_contextual", "pretrained")
    why = "photographs have words, but no numbers"
    originals = "real images"
    uneven = True
    has_renderer = False
    places = PLACES

    terms: PhotoTerms

    def __init__(self, settings: PhotosConfig, captions: CaptionConfig):
        self.terms = PhotoTerms(settings, captions)

    @property
    def looks(self) -> Mapping[str, Any]:
        fields = dataclasses.asdict(self.terms.config)
        return {key: value for key, value in fields.items() if key not in SHOWN}

    def with_files(self) -> PhotoWorld:
        return PhotoWorld(self.terms.config, self.terms.captions)

    def images(self, opened: PhotoWorld) -> "PhotoImages":
        from studies.worlds.photos.images import PhotoImages

        return PhotoImages(opened)

    def oracle_reader(self) -> "Callable[[Tensor], Sequence[Facts]]":
        return lambda images: []  # no renderer draws photographs
