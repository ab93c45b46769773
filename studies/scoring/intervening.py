"""Interventions on a loaded snapshot: what its network is told in place of a prompt, and what is
asked before it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from diffusion.interventions import OtherRows, Shifted, over_prompted, with_scaled_words
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import NumberPrompts
from diffusion.snapshots import find_snapshot
from studies.experiment.config import interventions_of
from studies.run.opened import Experiment
from studies.run.plans import Plan
from studies.worlds.intervention_config import Intervention, Latent, OverPrompt, Patch, Switch
from studies.worlds.interventions import other_captions, shifted_concepts, values_of


class Intervening:
    """Interventions of one experiment."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.known = {one.name: one for one in interventions_of(experiment.config)}

    def of(self, plan: Plan) -> Intervention | None:
        """Return the intervention that a plan makes, if it makes one."""
        return self.known.get(plan.intervention)

    def told(self, model: ConceptPipeline, plan: Plan) -> ConceptPipeline:
        """Return a plan's snapshot, told of prompts as its intervention says. Raises Mistake if the
        snapshot of a patch is not there."""
        one = self.of(plan)
        if isinstance(one, OverPrompt):
            return model.told_by(self._over_prompted(model, one))
        if isinstance(one, Latent):
            return model.told_by(self._shifted(model, one))
        if isinstance(one, Patch):
            other = find_snapshot(self.experiment.run.snapshots, one.step)
            return model.told_by(ConceptPipeline.load(other, plan.weights).own_conditioner())
        return model  # guidance and switches are the pipeline's own

    def asked_before(self, plan: Plan) -> tuple[list[str], float]:
        """Return what every image of a plan is asked for first, and in which share of the steps;
        nothing, unless its intervention is a switch."""
        one, count = self.of(plan), plan.images_per_combination
        if not isinstance(one, Switch):
            return [], 0.0
        others = [self._others(question, one.concept) for question in self._questions(one)]
        return [own[k % len(own)] for own in others for k in range(count)], one.at

    def _questions(self, one: Intervention) -> Sequence[Any]:
        return self.experiment.exam.questions[one.name]

    def _others(self, question: Any, concept: str) -> list[str]:
        return other_captions(self.experiment.world.terms, question, concept)

    def _over_prompted(self, model: ConceptPipeline, one: OverPrompt) -> nn.Module:
        world, prompts = self.experiment.world.terms, model.prompts
        own: Any = model.own_conditioner()
        values = values_of(world, one.concept)
        if isinstance(prompts, NumberPrompts):
            rows = prompts.inputs([question.prompt for question in self._questions(one)])
            others = over_prompted(prompts, rows, values, one.factor, one.numbers)
            return OtherRows(own, rows, others)
        words = [word for value in values for word in world.captioner.words[value]]
        ids = model.tokenizer(words, add_special_tokens=False).input_ids
        places = torch.tensor(sorted({i for own_ids in ids for i in own_ids}))
        return with_scaled_words(own, places, one.factor or 0.0)

    @torch.no_grad()
    def _shifted(self, model: ConceptPipeline, one: Latent) -> nn.Module:
        concepts = shifted_concepts(self.experiment.world.terms, one)
        own, asked = model.own_conditioner().eval(), self._questions(one)

        def embedded(prompts: list[str]) -> Float[Tensor, "n d"]:
            return own(model.prompts.inputs(prompts).to(model.device)).h

        def shift(question: Any) -> Float[Tensor, " d"]:
            others = [self._others(question, concept) for concept in concepts]
            h = embedded([question.prompt])[0]
            return torch.stack([h - embedded(prompts).mean(0) for prompts in others]).sum(0)

        rows = model.prompts.inputs([question.prompt for question in asked])
        return Shifted(own, rows, one.alpha * torch.stack([shift(q) for q in asked]))
