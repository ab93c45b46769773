"""Base of the kinds of world whose images have captions. Imports no torch."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ground.endings import Mistake
from studies.worlds.asked import Asked, Terms, told, what_is_asked
from studies.worlds.condition_grid import ConditionGrid, Feature
from studies.worlds.intervention_config import Intervention
from studies.worlds.kind import KindOfWorld
from studies.worlds.prompt_sets import all_questions

if TYPE_CHECKING:
    from studies.worlds.exams import CaptionExam

MOST_NAMED = 12  # combinations in a line


class CaptionedWorld(KindOfWorld):
    """World whose combinations are asked for in words."""

    terms: Terms

    @classmethod
    def num_combinations(cls, settings: Any) -> int:
        return math.prod(len(concept.values) for concept in settings.concepts.values())

    def check_prompts(self, prompts: Mapping[str, str]) -> None:
        all_questions(self.terms, prompts)

    def held_out_lines(self) -> list[str]:
        space, held_out = self.terms.space, self.terms.split.held_out
        if not held_out:
            return []
        named = ", ".join(map(space.name, held_out[:MOST_NAMED]))
        more = f" and {len(held_out) - MOST_NAMED} more" if len(held_out) > MOST_NAMED else ""
        return [f"held out: {len(held_out)} of {len(space)} combinations: {named}{more}"]

    def what_is_asked(self, prompt: str) -> Asked:
        return what_is_asked(self.terms, prompt)

    def told(self, prompt: str) -> str:
        return told(self.terms, prompt)

    def condition_grid(self, places: int) -> ConditionGrid:
        varied = tuple(
            Feature(name, values, "values")
            for name, values in self.terms.space.items()
            if len(values) > 1
        )
        if len(varied) < 2:
            raise Mistake("--run: got a world of one concept, allowed two or more that vary")
        captions = map(self.terms.captioner.write, self.terms.space.combinations)
        return ConditionGrid(varied, tuple(captions))

    def exam(
        self, prompts: Mapping[str, str], seed: int, interventions: Sequence[Intervention] = ()
    ) -> "CaptionExam":
        from studies.worlds.exams import CaptionExam

        return CaptionExam(self.terms, prompts, interventions)
