"""Contrasts of a world of shapes: fresh renders of a combination, and of those one concept away."""

from collections.abc import Mapping, Sequence
from functools import cache, partial

import torch
from jaxtyping import UInt8
from torch import Tensor

from data_gen.concepts import Combination
from data_gen.render import draw
from data_gen.scenes import draw_scenes
from data_gen.world import World
from studies.worlds.contrasts import Contrast, Contrasts, Told, answer_from
from studies.worlds.denoiser_config import MOST_SCENES, DenoiserConfig

SCENE, RENDER = "denoiser.scene", "denoiser.render"  # streams of their own, never for training


class ShapeContrasts(Contrasts):
    """Contrasts of every combination of a world of shapes.

    Scenes of a combination are its own. Render i of every combination has the same nuisances and
    the same places within its values, so that those of two combinations differ in what is asked
    alone: what both miss cancels in their difference.
    """

    def __init__(self, world: World, seed: int, settings: DenoiserConfig):
        self.world, self.seed, self.settings = world, seed, settings
        self.count = len(world.space)
        self.concepts = [name for name, values in world.space.items() if len(values) > 1]
        self.renders = cache(self._renders)

    @property
    def calls(self) -> int:
        others = sum(len(values) - 1 for _, values in self.world.space.items())
        splits = map(self.world.split.of, self.world.space.combinations)
        return sum(map(self.settings.scenes_of, splits)) * (1 + others)

    def contrast(self, place: int) -> Contrast:
        combination = self.world.space.combinations[place]
        split = self.world.split.of(combination)
        count = self.settings.scenes_of(split)
        return Contrast(
            combination=self.world.space.name(combination),
            split=split,
            start=place,
            images=self._drawn(place, SCENE, place * MOST_SCENES + torch.arange(count)),
            told=self._told(combination, count),
            others={
                name: [self._told(other, count) for other in others]
                for name, others in self._changed(combination).items()
                if others
            },
        )

    def _changed(self, combination: Combination) -> Mapping[str, Sequence[Combination]]:
        """Return, by concept, the combinations that differ in that one alone."""
        return {
            name: [
                (*combination[:i], value, *combination[i + 1 :])
                for value in values
                if value != combination[i]
            ]
            for i, (name, values) in enumerate(self.world.space.items())
        }

    def _told(self, combination: Combination, count: int) -> Told:
        renders = self.renders(self.world.space.index(combination))
        prompt = self.world.captioner.write(combination)
        return Told([prompt] * count, partial(answer_from, renders))

    def _renders(self, place: int) -> UInt8[Tensor, "m 3 h w"]:
        return self._drawn(place, RENDER, torch.arange(self.settings.renders))

    def _drawn(self, place: int, purpose: str, index: Tensor) -> UInt8[Tensor, "n 3 h w"]:
        combination = torch.full_like(index, place)
        scenes = draw_scenes(self.world, combination, self.seed, purpose, index)
        return draw(self.world, scenes, self.seed, purpose, index)
