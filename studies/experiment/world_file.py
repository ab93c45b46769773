"""World of any config, be it of an experiment or of a world alone. Imports no torch."""

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

from data_gen.captions import CaptionConfig
from diffusion.model_config import ModelConfig
from ground.endings import Mistake, nearest
from ground.reading import check_finite, read_as, read_yaml
from studies.experiment.config import Config
from studies.worlds.kind import KindOfWorld
from studies.worlds.registry import AnySettings, world_of


@dataclass(frozen=True)
class WorldFile:
    """One world and how it is described, checked when it is made. Raises Mistake, naming the key.

    Attributes:
        name: of the file, and of what is exported.
        question: what the world is for.
    """

    name: str
    world: AnySettings
    question: str = ""
    captions: CaptionConfig = field(default_factory=CaptionConfig)

    def __post_init__(self) -> None:
        check_finite(asdict(self))
        _ = self.terms

    @cached_property
    def terms(self) -> KindOfWorld:
        """Return the checked world, as far as its config tells."""
        return world_of(self.world, self.captions)


def read_model(path: Path) -> ModelConfig:
    """Read the section `model` of any config; without one, it is the default. Raises Mistake,
    naming the key."""
    return read_as(ModelConfig, read_yaml(path).get("model", {}), "model")


def read_world_file(path: Path) -> WorldFile:
    """Read the world of any config; what concerns training is left aside, unread."""
    data = read_yaml(path)
    wanted = [f.name for f in fields(WorldFile)]
    known = tuple(dict.fromkeys([*wanted, *(f.name for f in fields(Config))]))
    for name in data:
        if name not in known:
            hint = nearest(str(name), known)
            raise Mistake(f"{name}: unknown key{hint}; allowed: {', '.join(known)}")
    return read_as(WorldFile, {name: data[name] for name in wanted if name in data}, "")
