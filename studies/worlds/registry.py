"""Registry of the kinds of world. A new one is a folder beside this file and a line in KINDS."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, Union

from data_gen.captions import CaptionConfig
from studies.worlds.bumps.kind import Bumps
from studies.worlds.kind import KindOfWorld, WorldSettings
from studies.worlds.photos.kind import Photos
from studies.worlds.shapes.kind import Shapes

KINDS: Mapping[str, type[KindOfWorld]] = {"shapes": Shapes, "bumps": Bumps, "photos": Photos}

if TYPE_CHECKING:
    AnySettings: TypeAlias = WorldSettings
else:  # what a config may hold; the first kind is that of a config that names none
    AnySettings = Union[tuple(kind.settings for kind in KINDS.values())]  # noqa: UP007


def world_of(settings: AnySettings, captions: CaptionConfig) -> KindOfWorld:
    """Return the checked world of two sections of a config. Raises Mistake, naming the key."""
    return KINDS[settings.kind](settings, captions)
