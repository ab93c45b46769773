"""Base of the kinds of world whose images have captions. Imports no torch."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studies.worlds.asked import Asked, Terms, what_is_asked
from studies.worlds.intervention_config import Intervention
from studies.worlds.kind import KindOfWorld
from studies.worlds.prompt_sets import all_questions

if TYPE_CHECKING:
    from studies.worlds.exams import CaptionExam


class CaptionedWorld(KindOfWorld):
    """World whose combinations are asked for in words."""

    terms: Terms

    @classmethod
    def num_combinations(cls, settings: Any) -> int:
        return math.prod(len(concept.values) for concept in settings.concepts.values())

    def check_prompts(self, prompts: Mapping[str, str]) -> None:
        all_questions(self.terms, prompts)

    def what_is_asked(self, prompt: str) -> Asked:
        return what_is_asked(self.terms, prompt)

    def exam(
        self, prompts: Mapping[str, str], seed: int, interventions: Sequence[Intervention] = ()
    ) -> "CaptionExam":
        from studies.worlds.exams import CaptionExam

        return CaptionExam(self.terms, prompts, interventions)
