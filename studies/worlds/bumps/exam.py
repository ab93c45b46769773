"""Exam of every snapshot of a model of bumps: centres of each section of its world."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from analysis.figures.centres import centre_figure
from analysis.tables.centres import median_distances
from analysis.tables.outcomes import outcome_table
from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.sections import Section, sections
from data_gen.bumps.world import EXAMPLES, BumpWorld, in_frame
from diffusion.prompts import NULL_COORDINATE
from studies.worlds.prompt_sets import PLAIN, prompts_of


@dataclass(frozen=True)
class CentreQuestion:
    """Question of one section: image k has a centre of its own, the same at every snapshot.

    Attributes:
        start: the number of the section.
        seed: of which centres are asked for.
    """

    world: BumpWorld
    section: Section
    start: int
    seed: int

    @property
    def combination(self) -> str:
        return self.section.name

    @property
    def split(self) -> str:
        return "held_out" if self.section.held_out else "train"

    def labels(self, count: int) -> Float[Tensor, "count 2"]:
        return self.section.labels(self.world, self.seed, count)

    def asked(self, count: int) -> Sequence[tuple[str, Mapping[str, float]]]:
        """Return the prompt and the targets in px of every image; a coordinate that is absent is
        nan."""
        config, labels = self.world.config, self.labels(count)
        centres = labels.where(in_frame(config, labels), torch.nan).tolist()
        return [
            (prompt_of(config, label), {"x": x, "y": y})
            for label, (x, y) in zip(labels, centres, strict=True)
        ]


class BumpExam:
    """Exam of the centres of every section. seed: `evaluate.seed`, which fixes the centres asked
    for."""

    concepts = ("x", "y")
    compared = "combination"
    templates: Mapping[str, str] = {}

    def __init__(self, config: BumpsConfig, seed: int):
        self.config, self.world = config, BumpWorld(config)
        self.centres = tuple(
            CentreQuestion(self.world, section, i, seed)
            for i, section in enumerate(sections(self.world))
        )
        self.questions = {PLAIN: self.centres}
        self.image_shape = (1, config.image_size_px, config.image_size_px)

    @property
    def chance(self) -> Mapping[str, float]:
        """Return the accuracy of guessing centres anywhere on a torus of this size; at the border
        of a plane it is less."""
        single = 2 / self.config.image_size_px
        return {"x": single, "y": single, "joint": single**2}

    @property
    def shown(self) -> Mapping[int, str]:
        """Return all sections, each with its first centre."""
        return {q.start: f"{q.combination}: {prompts_of(q, 1)[0]}" for q in self.centres}

    @property
    def held_out(self) -> Sequence[int]:
        return [question.start for question in self.centres if question.section.held_out]

    @property
    def identity(self) -> Any:
        names = [question.combination for question in self.centres]
        return names, self.config.image_size_px, self.config.periodic

    def asked(self, count: int) -> Float[Tensor, "n 2"]:
        return torch.cat([question.labels(count) for question in self.centres])

    def facts(self, scores: pd.DataFrame) -> dict[str, str]:
        medians = median_distances(scores)
        text = ", ".join(f"{section} {px:.2f}" for section, px in medians.items())
        told = {"median distance from the centre asked for, px": text}
        for row in self.outcomes(scores).to_dict("records"):
            ends = f"[{row['low']:.2f}, {row['high']:.2f}]"
            told[row["question"]] = f"{row['accuracy']:.2f} {ends}: {row['word']}"
        return told

    def outcomes(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return `outcome_table` of one run, and of how many crossings and images in all it
        learned (`crossings`, `shown`)."""
        train = self.world.example[self.world.select("train")]
        crossings = int((train == EXAMPLES.index("2d")).sum())
        found = outcome_table(scores, self.config.held_out.is_new)
        return found.assign(crossings=crossings, shown=len(train))

    def distance(
        self, shown: Float[Tensor, "m 2"], asked: Float[Tensor, " 2"]
    ) -> Float[Tensor, " m"]:
        """Return squared distances in px²; a coordinate that one names and the other does not
        counts as the image's size.

        They are rounded, so that labels equally far on a tiling are equally far.
        """
        size, off = self.config.image_size_px, (shown - asked).abs()
        off = torch.minimum(off, size - off) if self.config.periodic else off
        named, wanted = in_frame(self.config, shown), in_frame(self.config, asked[None])
        off = torch.where(named & wanted, off, torch.where(named ^ wanted, float(size), 0.0))
        return off.square().sum(1).round(decimals=4)

    def figures(self, runs: Iterable[pd.DataFrame], variants: Mapping[str, str]) -> dict[str, Any]:
        scores = pd.concat([*runs], ignore_index=True)
        return {"centres": centre_figure(scores, self.config.image_size_px)}


def prompt_of(config: BumpsConfig, label: Float[Tensor, " 2"]) -> str:
    """Return a label as `CoordinatePrompts` reads it, to the last bit: "12.5 3", or "12.5 -" of a
    stripe."""
    shown = in_frame(config, label[None])[0].tolist()
    numbers = [np.format_float_positional(x, trim="-") for x in label.numpy()]
    return " ".join(n if s else NULL_COORDINATE for n, s in zip(numbers, shown, strict=True))
