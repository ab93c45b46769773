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

SCENE, RENDER = "denoiser.scene", "denoiser.render"  # streams of their own, never for training
MOST_SCENES = 1 << 20  # of a combination: their numbers leave room for no more


class ShapeContrasts(Contrasts):
    """Contrasts of every combination of a world of shapes.

    Scenes of a combination are its own. Render i of every combination has the same nuisances and
    the same places within its values, so that those of two combinations differ in what is asked
    alone: what both miss cancels in their difference.
    """

    def __init__(self, world: World, seed: int, scenes: int, renders: int):
        self.world, self.seed, self.scenes = world, seed, scenes
        self.count, self.num_renders = len(world.space), renders
        self.concepts = [name for name, values in world.space.items() if len(values) > 1]
        self.renders = cache(self._renders)

    def contrast(self, place: int) -> Contrast:
        space = self.world.space
        combination = space.combinations[place]
        index = place * MOST_SCENES + torch.arange(self.scenes)
        return Contrast(
            combination=space.name(combination),
            split=self.world.split.of(combination),
            start=place,
            images=self._drawn(place, SCENE, index),
            told=self._told(combination),
            others=self._others(combination),
        )

    def _others(self, combination: Combination) -> Mapping[str, Sequence[Told]]:
        found: dict[str, Sequence[Told]] = {}
        for i, (name, values) in enumerate(self.world.space.items()):
            changed = [(*combination[:i], v, *combination[i + 1 :]) for v in values]
            others = [self._told(other) for other in changed if other != combination]
            found |= {name: others} if others else {}
        return found

    def _told(self, combination: Combination) -> Told:
        renders = self.renders(self.world.space.index(combination))
        prompt = self.world.captioner.write(combination)
        return Told([prompt] * self.scenes, partial(answer_from, renders))

    def _renders(self, place: int) -> UInt8[Tensor, "m 3 h w"]:
        return self._drawn(place, RENDER, torch.arange(self.num_renders))

    def _drawn(self, place: int, purpose: str, index: Tensor) -> UInt8[Tensor, "n 3 h w"]:
        combination = torch.full_like(index, place)
        scenes = draw_scenes(self.world, combination, self.seed, purpose, index)
        return draw(self.world, scenes, self.seed, purpose, index)
