"""Measurement of the denoiser itself: does its answer obey each word, and how far from ideal is it?

It needs neither samples nor a probe, so it sees from the first step on. Under an intervention the
scenes' own prompt is told as that says, and the changed prompts as ever: what the intervention adds
to the answer is seen in units of what the word ideally adds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from diffusion.denoised import Level, denoised, level_at
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import NULL_PROMPT
from diffusion.snapshots import snapshot_hash
from ground.endings import Mistake
from studies.run.directory import RunDir
from studies.run.measured import DENOISER, denoiser_part
from studies.run.opened import Experiment
from studies.run.plans import MEMORISER, Plan
from studies.scoring.ideal import Ideal, ideal_of
from studies.scoring.intervening import Intervening
from studies.scoring.measurements.measurement import Measurement, Subject
from studies.worlds.contrasts import Contrast, Contrasts, Told
from studies.worlds.intervention_config import Guidance
from studies.worlds.interventions import tells_otherwise
from studies.worlds.prompt_sets import PLAIN

OF_THE_RUN = ("run", "train_seed", "step", "images_seen", "weights", "eval_seed", "intervention")
KEY = (*OF_THE_RUN, "combination", "split", "level", "scene", "concept")


@dataclass(frozen=True)
class View:
    """View of a contrast at one level. asked: the level as the config has it."""

    contrast: Contrast
    asked: float
    level: Level
    ideal: Ideal

    @property
    def changed(self) -> list[Told]:
        """Return what is told with each concept changed."""
        return [one for others in self.contrast.others.values() for one in others]

    @property
    def key(self) -> tuple[int, float]:
        return self.contrast.start, self.asked


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
        self.settings, self.seed = (
            experiment.config.evaluate.denoiser,
            experiment.config.evaluate.seed,
        )
        self.intervening = Intervening(experiment)
        self._known: dict[tuple[int, float], tuple[Level, Ideal]] = {}
        self._changed: dict[tuple[int, float], Tensor] = {}  # answers to changed prompts,
        self._changed_of: tuple[str | None, str] | None = None  # of these weights

    @cached_property
    def every(self) -> Contrasts:
        """Return the contrasts of all questions, none of them drawn yet."""
        return self.experiment.images.contrasts(self.seed, self.settings)

    @cached_property
    def contrasts(self) -> Sequence[Contrast]:
        return [self.every.contrast(place) for place in range(self.every.count)]

    def measures(self, plan: Plan) -> bool:
        made = self.intervening.of(plan)
        asked = plan.intervention == PLAIN or (made is not None and tells_otherwise(made))
        return plan.step >= 0 and plan.run != MEMORISER and asked

    def part(self, plan: Plan, run: RunDir) -> Path:
        """Return where its rows of one snapshot are kept, however that is sampled."""
        return run.table(self.table) / denoiser_part(plan, self.settings)

    def measure(self, subject: Subject) -> pd.DataFrame:
        """Return its rows. Raises Mistake for a level that the noise schedule does not reach, and
        for a network that puts out numbers that are not finite."""
        model, plan = subject.model(), subject.plan
        schedule = model.scheduler.alphas_cumprod
        levels = {asked: level_at(schedule, asked) for asked in self.settings.levels}
        views = [
            View(contrast, asked, level, self._ideal(contrast, asked, level))
            for contrast in self._asked(plan)
            for asked, level in levels.items()
        ]
        said = zip(
            views,
            self._own_answers(model, plan, views),
            self._changed_answers(model, plan, views),
            strict=True,
        )
        tables = [
            readings(view, torch.cat((own, changed)), self.settings.renders)
            for view, own, changed in said
        ]
        own = {column: subject.common[column] for column in OF_THE_RUN}
        return pd.concat(tables, ignore_index=True).assign(**own)

    def _asked(self, plan: Plan) -> list[Contrast]:
        """Return the contrasts of the combinations that a plan asks for."""
        asked = {q.combination for q in self.experiment.exam.questions[plan.intervention]}
        return [one for one in self.contrasts if one.combination in asked]

    def _own_answers(
        self, model: ConceptPipeline, plan: Plan, views: Sequence[View]
    ) -> list[Float[Tensor, "1 n d"]]:
        """Return what the network means, told the scenes' own prompts as the plan says."""
        made, told = self.intervening.of(plan), [[view.contrast.told.prompts] for view in views]
        own = answers(self.intervening.told(model, plan), views, told)
        if not isinstance(made, Guidance):
            return own
        nulls = answers(model, views, [[[NULL_PROMPT] * len(one)] for (one,) in told])
        return [n + made.scale * (one - n) for one, n in zip(own, nulls, strict=True)]

    def _changed_answers(
        self, model: ConceptPipeline, plan: Plan, views: Sequence[View]
    ) -> list[Float[Tensor, "prompts n d"]]:
        """Return what the network means, told the prompts with a concept changed; of one snapshot
        it is asked once."""
        directory = plan.snapshot(self.experiment.run)
        weights = snapshot_hash(directory) if directory else None, plan.weights
        if weights[0] is None or weights != self._changed_of:
            self._changed_of, self._changed = weights, {}
        new = [view for view in views if view.key not in self._changed]
        if new:
            found = answers(model, new, [[told.prompts for told in v.changed] for v in new])
            self._changed |= {v.key: said for v, said in zip(new, found, strict=True)}
        return [self._changed[view.key] for view in views]

    def _ideal(self, contrast: Contrast, asked: float, level: Level) -> Ideal:
        """Return the ideal denoiser, found again where the schedule, if learned, has moved."""
        key = contrast.start, asked
        if key not in self._known or self._known[key][0].alpha_bar != level.alpha_bar:
            self._known[key] = level, ideal_of(contrast, level, self.seed)
        return self._known[key][1]


def answers(
    model: ConceptPipeline, views: Sequence[View], told: Sequence[Sequence[Sequence[str]]]
) -> list[Float[Tensor, "prompts n d"]]:
    """Return of every view what a network means by x_0. One call of the network for each scene,
    prompt and level.

    told: of every view the ways in which it is told, each a prompt for every scene.
    """
    prompts = [prompt for ways in told for way in ways for prompt in way]
    counts = [sum(map(len, ways)) for ways in told]
    pairs = [*zip(views, told, counts, strict=True)]
    known = list(dict.fromkeys(prompts))
    place = {prompt: i for i, prompt in enumerate(known)}
    x_0 = denoised(
        model.denoiser(),
        model.scheduler,
        torch.cat([view.ideal.x_t.repeat(len(ways), 1, 1, 1) for view, ways, _ in pairs]),
        torch.cat([torch.full((count,), view.level.timestep) for view, _, count in pairs]),
        model.prompts.inputs(known)[[place[prompt] for prompt in prompts]],
    )
    if not torch.isfinite(x_0).all():
        raise Mistake(f"{model.name_or_path}: puts out numbers that are not finite")
    parts = x_0.flatten(1).split(counts)
    return [part.unflatten(0, (len(ways), -1)) for part, ways in zip(parts, told, strict=True)]


def readings(view: View, said: Float[Tensor, "prompts n d"], renders: int) -> pd.DataFrame:
    """Return a row per scene and concept; all products are means over the numbers of an image.

    said: what the network means, told the scenes' own prompt and then every other.
    """
    contrast, ideal = view.contrast, view.ideal
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
            "level": view.asked,
            "alpha_bar": view.level.alpha_bar,
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
