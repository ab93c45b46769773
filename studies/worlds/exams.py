"""Exam of every snapshot, for a world of any kind: what is asked and how answers are compared.

All of it is known without the files of photographs; the images themselves are in images.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from analysis.figures.run import trajectory_figure
from analysis.figures.variants import variant_path_figure
from analysis.tables.trajectory import (
    MOST_UNSURE,
    concept_trajectories,
    last_unsure,
    prompt_effect,
)
from data_gen.wording import Captioned
from diffusion.memoriser import differing
from studies.worlds.asked import Terms
from studies.worlds.intervention_config import Intervention
from studies.worlds.interventions import intervened_questions
from studies.worlds.prompt_sets import PLAIN, Questions, all_questions, prompts_of


class Exam(Protocol):
    """Exam of every snapshot. The questions of a set come one after the other, with equally many
    images each.

    Attributes:
        questions: the captions or, of bumps, the centres of sections, under PLAIN; then other sets.
        templates: how each set is written, by the name that tables give it; none of bumps.
        concepts: what is read in every image.
        image_shape: (channels, size, size).
        compared: the column of scores that tables and figures tell apart: split, or combination.
        chance: accuracy of guessing evenly, per concept and joint.
        shown: numbers of the plain questions that a sample grid shows, and what each is called.
        held_out: numbers of those that ask for what training never shows.
        identity: equal for worlds whose scores can be drawn beside each other.
    """

    @property
    def questions(self) -> Questions: ...
    @property
    def templates(self) -> Mapping[str, str]: ...
    @property
    def concepts(self) -> Sequence[str]: ...
    @property
    def image_shape(self) -> tuple[int, int, int]: ...
    @property
    def compared(self) -> str: ...
    @property
    def chance(self) -> Mapping[str, float]: ...
    @property
    def shown(self) -> Mapping[int, str]: ...
    @property
    def held_out(self) -> Sequence[int]: ...
    @property
    def identity(self) -> Any: ...

    def asked(self, count: int) -> Tensor:
        """Return (n, k): what the memoriser is asked for, of `count` images of every plain
        question. These are the number of each value, or coordinates."""

    def distance(self, shown: Tensor, asked: Tensor) -> Tensor:
        """Return (m,): how far what m images show, (m, k), is from what is asked, (k,)."""

    def figures(self, runs: Iterable[pd.DataFrame], variants: Mapping[str, str]) -> dict[str, Any]:
        """Return the figures that are drawn beside accuracy and samples.

        runs: the scores of each run. variants: the variant of each run; of one run, one.
        """

    def facts(self, scores: pd.DataFrame) -> dict[str, str]:
        """Return the facts that are said beside accuracy."""


class CaptionExam:
    """Exam of all combinations of a world that has captions, each by its caption, of sets of
    prompts, and of captions under interventions."""

    compared = "split"

    def __init__(
        self,
        world: Terms,
        prompts: Mapping[str, str],
        interventions: Sequence[Intervention] = (),
    ):
        self.world, self.prompts = world, prompts
        self.concepts, self.image_shape = world.space.names, world.image_shape
        asked = all_questions(world, prompts)
        made = intervened_questions(asked[PLAIN], interventions)
        self.questions: Questions = {**asked, **made}

    @property
    def templates(self) -> Mapping[str, str]:
        caption = " ".join(self.world.captioner.templates[0])
        made = {name: caption for name in self.questions if name != PLAIN}
        return {"captions": caption, **made, **self.prompts}

    @property
    def chance(self) -> Mapping[str, float]:
        single = {name: 1 / len(values) for name, values in self.world.space.items()}
        return {**single, "joint": 1 / len(self.world.space)}

    @property
    def shown(self) -> Mapping[int, str]:
        """Return the captions of held-out combinations; of all, if none is held out."""
        captions = self.questions[PLAIN]
        places = self.held_out or range(len(captions))
        return {i: prompts_of(captions[i], 1)[0] for i in places}

    @property
    def held_out(self) -> Sequence[int]:
        return [self.world.space.index(c) for c in self.world.split.held_out]

    @property
    def identity(self) -> Any:
        return self.world.space.values, self.world.split

    def asked(self, count: int) -> Int[Tensor, "n concepts"]:
        return value_places(self.world).repeat_interleave(count, 0)

    def distance(self, shown: Tensor, asked: Tensor) -> Tensor:
        return differing(shown, asked)

    def figures(self, runs: Iterable[pd.DataFrame], variants: Mapping[str, str]) -> dict[str, Any]:
        if not self.held_out:
            return {}
        paths = pd.concat([concept_trajectories(scores) for scores in runs], ignore_index=True)
        several = len({*variants.values()}) > 1
        figure = variant_path_figure(paths, variants) if several else trajectory_figure(paths)
        return {"trajectories": figure}

    def facts(self, scores: pd.DataFrame) -> dict[str, str]:
        effects, unsure = prompt_effect(scores), last_unsure(scores)
        told = [
            f"{concept} cannot say ({unsure[concept]:.0%} unsure)"
            if unsure[concept] > MOST_UNSURE
            else f"{concept} {effect:.2f}"
            for concept, effect in zip(map(str, effects.index), effects, strict=True)
        ]
        text = ", ".join(told) or "nothing to compare: every concept has one value"
        return {"effect of prompts, P(v | asked v) - P(v | asked another)": text}


def value_places(world: Terms | Captioned) -> Int[Tensor, "combinations concepts"]:
    """Return the place of every value of every combination."""
    return torch.tensor([world.space.value_indices(c) for c in world.space.combinations])
