"""Measurement of the denoiser itself: does its answer obey each word, and how far from ideal is it?

It needs neither samples nor a probe, so it sees from the first step on.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from diffusion.denoised import Level, denoised, level_at
from diffusion.pipeline import ConceptPipeline
from ground.endings import Mistake
from studies.experiment.denoiser_config import DenoiserConfig
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import MEMORISER, Plan
from studies.scoring.ideal import Ideal, ideal_of
from studies.scoring.measurements.measurement import Measurement, Subject
from studies.worlds.contrasts import Contrast, Contrasts
from studies.worlds.prompt_sets import PLAIN

DENOISER = "denoiser"
OF_THE_RUN = ("run", "train_seed", "step", "images_seen", "weights", "eval_seed")
KEY = (*OF_THE_RUN, "combination", "split", "level", "scene", "concept")


class DenoiserReadings(Measurement):
    """Readings of what a network means by x_0, beside what the ideal denoiser means.

    A row per scene, level and concept, as docs/reference/denoiser.md says. Scenes, noise and
    renders are functions of `evaluate.seed` and the world, so those of all snapshots and runs are
    pairs. The ideal denoiser is found once for all snapshots of one noise schedule.
    """

    name = table = DENOISER
    facts: Mapping[str, str] = {}

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.settings, self.seed = experiment.config.evaluate.denoiser, experiment.config.evaluate.seed
        self._known: dict[tuple[int, float], tuple[Level, Ideal]] = {}

    @cached_property
    def contrasts(self) -> Contrasts:
        settings = self.settings
        return self.experiment.images.contrasts(self.seed, settings.scenes, settings.renders)

    def measures(self, plan: Plan) -> bool:
        return plan.step >= 0 and plan.run != MEMORISER and plan.intervention == PLAIN

    def part(self, plan: Plan, run: RunDir) -> Path:
        """Return where its rows of one snapshot are kept, however that is sampled."""
        return run.table(self.table) / denoiser_part(plan, self.settings)

    def measure(self, subject: Subject) -> pd.DataFrame:
        """Return its rows. Raises Mistake for a level that the noise schedule does not reach, and
        for a network that puts out numbers that are not finite."""
        model = subject.model()
        schedule = model.scheduler.alphas_cumprod
        levels = {asked: level_at(schedule, asked) for asked in self.settings.levels}
        tables = [self._rows(model, place, levels) for place in range(self.contrasts.count)]
        own = {column: subject.common[column] for column in OF_THE_RUN}
        return pd.concat(tables, ignore_index=True).assign(**own)

    def _rows(
        self, model: ConceptPipeline, place: int, levels: Mapping[float, Level]
    ) -> pd.DataFrame:
        contrast = self.contrasts.contrast(place)
        ideals = [self._ideal(contrast, asked, level) for asked, level in levels.items()]
        said = answers(model, contrast, [*levels.values()], [ideal.x_t for ideal in ideals])
        return pd.concat(
            [
                readings(contrast, ideal, own, self.settings.renders).assign(
                    level=asked, alpha_bar=level.alpha_bar
                )
                for (asked, level), ideal, own in zip(levels.items(), ideals, said, strict=True)
            ]
        )

    def _ideal(self, contrast: Contrast, asked: float, level: Level) -> Ideal:
        """Return the ideal denoiser, found again where the schedule has moved: it may be learned."""
        key = contrast.start, asked
        if key not in self._known or self._known[key][0].alpha_bar != level.alpha_bar:
            self._known[key] = level, ideal_of(contrast, level, self.seed)
        return self._known[key][1]


def denoiser_part(plan: Plan, settings: DenoiserConfig) -> str:
    """Return the name of a part: of which snapshot, and measured how."""
    levels = "_".join(f"{level:g}" for level in settings.levels)
    return (
        f"step_{plan.step:08d}-{plan.weights}-seed{plan.eval_seed}-scenes{settings.scenes}"
        f"-renders{settings.renders}-levels{levels}-{DENOISER}.parquet"
    )


def answers(
    model: ConceptPipeline, contrast: Contrast, levels: Sequence[Level], x_t: Sequence[Tensor]
) -> list[Float[Tensor, "prompts n d"]]:
    """Return of every level what a network means by x_0, of the contrast's own prompt and then of
    every other. One call of the network for each scene, prompt and level."""
    told = [contrast.told, *(one for others in contrast.others.values() for one in others)]
    prompts = [prompt for one in told for prompt in one.prompts]
    known = list(dict.fromkeys(prompts))
    rows = dict(zip(known, model.prompts.inputs(known), strict=True))
    inputs = torch.stack([rows[prompt] for prompt in prompts])
    x_0 = denoised(
        model.denoiser(),
        model.scheduler,
        torch.cat([x.repeat(len(told), 1, 1, 1) for x in x_t]),
        torch.tensor([level.timestep for level in levels]).repeat_interleave(len(prompts)),
        inputs.repeat(len(levels), 1),
    )
    if not torch.isfinite(x_0).all():
        raise Mistake(f"{model.name_or_path}: puts out numbers that are not finite")
    return list(x_0.flatten(1).view(len(levels), len(told), len(contrast.images), -1))


def readings(
    contrast: Contrast, ideal: Ideal, said: Float[Tensor, "prompts n d"], renders: int
) -> pd.DataFrame:
    """Return a row per scene and concept; all products are means over the numbers of an image.

    said: what the network means, of the contrast's own prompt and then of every other.
    """
    own, *others = said.double()
    counts = [len(one) for one in contrast.others.values()]
    changed = torch.stack([part.mean(0) for part in torch.stack(others).split(counts)])
    moves, off = ideal.moves.double(), own - ideal.answer.double()
    numbers = own.shape[1]
    gram = torch.einsum("knd,jnd->nkj", moves, moves) / numbers
    refused = ideal.refusals(renders)
    scenes, concepts = len(own), list(contrast.others)
    columns = {
        "response": torch.einsum("knd,knd->nk", own - changed, moves) / numbers,
        "ideal_response": gram.diagonal(dim1=1, dim2=2),
        "offset": torch.einsum("nd,knd->nk", off, moves) / numbers,
        "error": off.square().mean(1, keepdim=True),
        "least_error": ideal.least_error[:, None],
        "move_error": ideal.move_errors,
        "answer_error": ideal.answer_error[:, None],
        "effective_renders": ideal.effective,
    }
    flat = {k: v.expand(scenes, len(concepts)).flatten().numpy() for k, v in columns.items()}
    table = pd.DataFrame(
        {
            "combination": contrast.combination,
            "split": contrast.split,
            "scene": torch.arange(scenes).repeat_interleave(len(concepts)).numpy(),
            "concept": concepts * scenes,
            **flat,
            "products": gram.flatten(0, 1).tolist(),
            "refused": pd.Series(refused * scenes, dtype="string"),
        }
    )
    measured = ["response", "ideal_response", "offset", "error", "products"]
    table.loc[table["refused"].notna(), measured] = None
    return table
