"""The world of any config, be it of an experiment or of a world alone. Imports no torch."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from data_gen.bumps.config import BumpsConfig
from data_gen.captions import CaptionConfig
from data_gen.photos.world import PhotosConfig, PhotoWorld
from data_gen.world import WorldConfig
from ground.endings import Mistake, nearest
from ground.reading import read_as, read_yaml
from studies.experiment.config import AnyWorld, Config, check_world, with_files

AnyConfig = WorldConfig | BumpsConfig | PhotosConfig


@dataclass(frozen=True)
class WorldFile:
    """One world and how it is described.

    Attributes:
        name: of the file, and of what is exported.
        question: what the world is for.
    """

    name: str
    world: AnyConfig
    question: str = ""
    captions: CaptionConfig = field(default_factory=CaptionConfig)


def read_world_file(path: Path) -> WorldFile:
    """The world of any config; what concerns training is left aside, unread."""
    data = read_yaml(path)
    wanted = [f.name for f in fields(WorldFile)]
    known = tuple(dict.fromkeys([*wanted, *(f.name for f in fields(Config))]))
    for name in data:
        if name not in known:
            hint = nearest(str(name), known)
            raise Mistake(f"{name}: unknown key{hint}; allowed: {', '.join(known)}")
    return read_as(WorldFile, {name: data[name] for name in wanted if name in data}, "")


def with_contents(config: Config) -> Config:
    """The same, but for photographs: the config says what their files hold now, so that other
    ones are another experiment."""
    if not isinstance(config.world, PhotosConfig) or config.world.contents is not None:
        return config
    contents = PhotoWorld(config.world, config.captions).contents()
    return replace(config, world=replace(config.world, contents=contents))


def build_world(file: WorldFile) -> AnyWorld:
    """The checked world; of bumps the checked config, since their labels need torch."""
    return with_files(check_world(file.world, file.captions))
