"""Worlds of Gaussian bumps and stripes, as an experiment sees them. Imports no torch."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_gen.bumps.config import BumpsConfig, check_bumps
from data_gen.captions import CaptionConfig
from ground.endings import Mistake
from studies.worlds.condition_grid import ConditionGrid, Feature
from studies.worlds.intervention_config import Intervention
from studies.worlds.kind import Facts, KindOfWorld

if TYPE_CHECKING:
    from torch import Tensor

    from studies.worlds.bumps.exam import BumpExam
    from studies.worlds.bumps.images import BumpImages

LOOKS = ("kind", "image_size_px", "image", "sigma_x", "sigma_y", "polarity", "periodic")


class Bumps(KindOfWorld):
    """World of Gaussian bumps, or of crossed stripes. Its labels need torch; its terms are the
    config."""

    settings = BumpsConfig
    conditionings = ("coordinates",)
    why = "the labels of bumps are numbers, not words"
    originals = "true renders"
    has_words = False

    terms: BumpsConfig

    def __init__(self, settings: BumpsConfig, captions: CaptionConfig):
        check_bumps(settings)
        if captions != CaptionConfig():
            raise Mistake("captions: worlds of bumps have none; leave the section out")
        self.terms = settings

    @classmethod
    def num_combinations(cls, settings: BumpsConfig) -> int:
        return 1

    @property
    def looks(self) -> Mapping[str, Any]:
        fields = dataclasses.asdict(self.terms)
        return {**{name: fields[name] for name in LOOKS}, "nulls": self.terms.has_nulls}

    def check_prompts(self, prompts: Mapping[str, str]) -> None:
        if prompts:
            wrong = "worlds of bumps have no words to ask by; leave them out"
            raise Mistake(f"evaluate.prompts: {wrong}")

    def what_is_asked(self, prompt: str) -> None:
        return None

    def condition_grid(self, places: int) -> ConditionGrid:
        """Return centres, evenly over the frame, from its corner on a torus, else half a place
        inside."""
        size, periodic = self.terms.image_size_px, self.terms.periodic
        along = [(i + (0 if periodic else 0.5)) * size / places for i in range(places)]
        features = tuple(
            Feature(name, along, "circle" if periodic else "arc", float(size))
            for name in ("x", "y")
        )
        return ConditionGrid(features, tuple(f"{x:.9g} {y:.9g}" for x in along for y in along))

    def exam(
        self, prompts: Mapping[str, str], seed: int, interventions: Sequence[Intervention] = ()
    ) -> "BumpExam":
        from studies.worlds.bumps.exam import BumpExam

        return BumpExam(self.terms, seed)

    def images(self, opened: BumpsConfig) -> "BumpImages":
        from studies.worlds.bumps.images import BumpImages

        return BumpImages(opened)

    def oracle_reader(self) -> "Callable[[Tensor], Sequence[Facts]]":
        from studies.worlds.bumps.probing import oracle_reader

        return oracle_reader(self.terms)
