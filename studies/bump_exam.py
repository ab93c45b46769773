"""What is asked of every snapshot of a model of bumps: centres of each section of its world."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from diffusers import DDPMScheduler
from jaxtyping import Float
from torch import Tensor

from analysis.centres import centre_figure, median_distances
from classifiers.scores import Row, Targets
from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.sections import sections
from data_gen.bumps.world import BumpWorld, check_leaks, draw, in_frame
from diffusion.memoriser import Memoriser
from diffusion.prompts import NULL_COORDINATE


class BumpExam:
    """Every section of the world is a group; image k of it has a centre of its own, the same at
    every snapshot, however many images there are."""

    concepts = ("x", "y")
    compared = "combination"

    def __init__(self, config: BumpsConfig, seed: int):
        self.config, self.seed, self.world = config, seed, BumpWorld(config)
        self.sections = sections(self.world)
        self.groups = tuple(section.name for section in self.sections)
        self.image_shape = (1, config.image_size_px, config.image_size_px)

    @property
    def chance(self) -> Mapping[str, float]:
        """Of centres guessed anywhere on a torus of this size; at the border of a plane less."""
        single = 2 / self.config.image_size_px
        return {"x": single, "y": single, "joint": single**2}

    @property
    def shown(self) -> Mapping[int, str]:
        first = [prompt_of(self.config, label) for label in self.labels(1)]
        return {i: f"{name}: {first[i]}" for i, name in enumerate(self.groups)}

    @property
    def held_out(self) -> Sequence[int]:
        return [i for i, section in enumerate(self.sections) if section.held_out]

    @property
    def identity(self) -> Any:
        return self.groups, self.config.image_size_px, self.config.periodic

    def labels(self, count: int) -> Float[Tensor, "n 2"]:
        """Those asked for, `count` of each section in turn."""
        return torch.cat([part.labels(self.world, self.seed, count) for part in self.sections])

    def rows(self, count: int) -> list[Row]:
        prompts = iter([prompt_of(self.config, label) for label in self.labels(count)])
        return [
            {
                "combination": section.name,
                "split": "held_out" if section.held_out else "train",
                "prompt": next(prompts),
                "sample": sample,
            }
            for section in self.sections
            for sample in range(count)
        ]

    def targets(self, count: int) -> list[Targets]:
        labels = self.labels(count)
        labels = labels.where(in_frame(self.config, labels), torch.nan)
        return [{"x": x, "y": y} for x, y in labels.tolist()]

    def renders(self, count: int) -> np.ndarray:
        images = draw(self.config, self.labels(count)).permute(0, 2, 3, 1)
        return images.unflatten(0, (len(self.groups), count)).numpy()

    def memoriser(self, schedule: DDPMScheduler) -> Memoriser:
        labels = self._training_labels()
        return Memoriser(
            draw(self.config, labels),
            labels,
            schedule.alphas_cumprod,
            schedule.config.prediction_type,
            self._distance,
        )

    def asked(self, count: int) -> Float[Tensor, "n 2"]:
        return self.labels(count)

    def training(self) -> tuple[Tensor, list[str], list[str]]:
        labels = self._training_labels()
        captions = [prompt_of(self.config, label) for label in labels]
        return draw(self.config, labels), captions, check_leaks(self.world, labels).lines()

    def figures(self, scores: pd.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
        return {"centres": centre_figure(scores, self.config.image_size_px)}

    def facts(self, scores: pd.DataFrame) -> dict[str, str]:
        medians = median_distances(scores)
        text = ", ".join(f"{section} {px:.2f}" for section, px in medians.items())
        return {"median distance from the centre asked for, px": text}

    def _training_labels(self) -> Float[Tensor, "m 2"]:
        return self.world.labels[self.world.select("train")]

    def _distance(
        self, shown: Float[Tensor, "m 2"], asked: Float[Tensor, " 2"]
    ) -> Float[Tensor, " m"]:
        """Squared, in px²; a coordinate that one names and the other does not counts as N px.

        Rounded, so that labels equally far on a tiling are equally far.
        """
        size, off = self.config.image_size_px, (shown - asked).abs()
        off = torch.minimum(off, size - off) if self.config.periodic else off
        named, wanted = in_frame(self.config, shown), in_frame(self.config, asked[None])
        off = torch.where(named & wanted, off, torch.where(named ^ wanted, float(size), 0.0))
        return off.square().sum(1).round(decimals=4)


def prompt_of(config: BumpsConfig, label: Float[Tensor, " 2"]) -> str:
    """As `CoordinatePrompts` reads it, to the last bit: "12.5 3", or "12.5 -" of a stripe."""
    shown = in_frame(config, label[None])[0].tolist()
    numbers = [np.format_float_positional(x, trim="-") for x in label.numpy()]
    return " ".join(n if s else NULL_COORDINATE for n, s in zip(numbers, shown, strict=True))
