"""Contrasts of a world of bumps: centres of a section, and the same half an image further along x
or along y.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.sections import Section, sections
from data_gen.bumps.world import BumpWorld, draw, in_frame
from studies.worlds.bumps.exam import prompt_of
from studies.worlds.contrasts import Contrast, Contrasts, Told, exact_answer
from studies.worlds.denoiser_config import DenoiserConfig

AXES = ("x", "y")


class BumpContrasts(Contrasts):
    """Contrasts of every section that shows bumps. A coordinate has no other value of its own: the
    one half an image away, around the edge, stands for it.

    A centre has one image, so the ideal denoiser knows it whatever the noise. Sections that name
    one coordinate or none are left out.
    """

    concepts = AXES

    def __init__(self, config: BumpsConfig, seed: int, settings: DenoiserConfig):
        self.world, self.seed, self.settings = BumpWorld(config), seed, settings
        self.sections = [
            (place, section)
            for place, section in enumerate(sections(self.world))
            if in_frame(config, self.world.labels[section.members]).all()
        ]
        self.count = len(self.sections)

    @property
    def calls(self) -> int:
        splits = (_split(section) for _, section in self.sections)
        return sum(map(self.settings.scenes_of, splits)) * (1 + len(AXES))

    def contrast(self, place: int) -> Contrast:
        start, section = self.sections[place]
        split = _split(section)
        labels = section.labels(self.world, self.seed, self.settings.scenes_of(split))
        return Contrast(
            combination=section.name,
            split=split,
            start=start,
            images=draw(self.world.config, labels),
            told=self._told(labels),
            others={name: [self._told(self._moved(labels, i))] for i, name in enumerate(AXES)},
        )

    def _moved(self, labels: Float[Tensor, "n 2"], axis: int) -> Float[Tensor, "n 2"]:
        size = self.world.config.image_size_px
        moved = labels.clone()
        moved[:, axis] = (moved[:, axis] + size / 2).remainder(size)
        return moved

    def _told(self, labels: Float[Tensor, "n 2"]) -> Told:
        config = self.world.config
        prompts: Sequence[str] = [prompt_of(config, label) for label in labels]
        images = draw(config, labels)
        return Told(prompts, lambda x_t, level: exact_answer(images))


def _split(section: Section) -> str:
    return "held_out" if section.held_out else "train"
