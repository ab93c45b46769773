"""Interventions of an evaluation: which combinations they ask, and what no world or model can be
asked. Imports no torch.
"""

from collections.abc import Sequence

from data_gen.factors import FACTORS
from diffusion.model_config import OWN_TEXT, ModelConfig
from ground.endings import Mistake, nearest
from studies.worlds.asked import Terms
from studies.worlds.intervention_config import (
    Guidance,
    Intervention,
    Latent,
    OverPrompt,
    Patch,
    Switch,
    file_part,
)
from studies.worlds.prompt_sets import WordQuestion, WordQuestions

KEY = "evaluate.interventions"
BY_NUMBERS = ("vector", "one_hot", "embeddings")  # conditionings whose numbers may lie anywhere


def intervened_questions(
    captions: Sequence[WordQuestion], interventions: Sequence[Intervention]
) -> WordQuestions:
    """Return by name what every intervention asks: captions as they are, of the noise that they
    have without it."""
    return {
        one.name: tuple(q for q in captions if one.of == "all" or q.split == "held_out")
        for one in interventions
    }


def other_captions(world: Terms, question: WordQuestion, concept: str) -> list[str]:
    """Return the captions of the combinations that differ from a question's in one concept, in the
    order of its values."""
    asked = question.targets
    changed = [{**asked, concept: v} for v in values_of(world, concept) if v != asked[concept]]
    return [world.captioner.write([*one.values()]) for one in changed]


def values_of(world: Terms, concept: str) -> tuple[str, ...]:
    return dict(world.space.items())[concept]


def shifted_concepts(world: Terms, latent: Latent) -> list[str]:
    """Return the concepts along which a latent shift goes."""
    several = [name for name, values in world.space.items() if len(values) > 1]
    return [*(latent.concepts or several)]


def check_interventions(
    asked: Sequence[Intervention], world: Terms, model: ModelConfig, snapshots: Sequence[int]
) -> None:
    """Raise Mistake, naming the key, for interventions that cannot be made.

    snapshots: the steps that training leaves.
    """
    seen: dict[str, int] = {}
    for i, one in enumerate(asked):
        place = f"{KEY}[{i}]"
        first = seen.setdefault(file_part(one.name), i)
        if first != i:
            raise Mistake(f"{place}: is {one.name!r}, as {KEY}[{first}]; allowed each once")
        if one.of == "held_out" and not world.split.held_out:
            raise Mistake(f"{place}.of: no combination is held out, allowed all")
        _check_concepts(place, one, world)
        if isinstance(one, OverPrompt):
            _check_over_prompt(place, one, world, model)
        if isinstance(one, Patch):
            _check_patch(place, one, model, snapshots)


def _check_concepts(place: str, one: Intervention, world: Terms) -> None:
    if isinstance(one, Guidance | Patch):
        return
    named = one.concepts if isinstance(one, Latent) else (one.concept,)
    key = "concepts" if isinstance(one, Latent) else "concept"
    several = [name for name, values in world.space.items() if len(values) > 1]
    for name in named:
        if name not in several:
            hint = nearest(name, tuple(several))
            allowed = ", ".join(several) or "none: no concept has a second value"
            raise Mistake(f"{place}.{key}: got {name!r}{hint}, allowed {allowed}")


def _check_over_prompt(place: str, one: OverPrompt, world: Terms, model: ModelConfig) -> None:
    kind = model.conditioning
    allowed = (*BY_NUMBERS, *(OWN_TEXT if one.factor is not None else ()))
    if kind not in allowed:
        key = "factor" if one.factor is not None else "numbers"
        raise Mistake(
            f"{place}.{key}: is for model.conditioning {', '.join(allowed)}; got {kind}, which "
            f"cannot be told beyond a class mean so"
        )
    count = _count_numbers(world, kind, one.concept) if one.numbers else 0
    if len(one.numbers) != count:
        raise Mistake(
            f"{place}.numbers: got {len(one.numbers)}, allowed {count}, as many as "
            f"model.conditioning: {kind} has of the concept {one.concept}"
        )


def _count_numbers(world: Terms, kind: str, concept: str) -> int:
    """Return how many numbers a condition has of a concept."""
    values = len(values_of(world, concept))
    if kind != "vector":
        return values
    return max(2, values) if concept == "shape" else FACTORS[concept].channels


def _check_patch(place: str, one: Patch, model: ModelConfig, snapshots: Sequence[int]) -> None:
    if model.conditioning == "pretrained" and model.text_encoder.frozen:
        raise Mistake(
            f"{place}: a patch changes nothing with model.text_encoder.frozen: true, whose "
            f"conditioner is the same in every snapshot; leave it out"
        )
    if one.step is not None and one.step not in snapshots:
        allowed = ", ".join(map(str, snapshots))
        raise Mistake(
            f"{place}.step: got {one.step}, allowed the snapshots of training, {allowed}; or leave "
            f"it out for the last"
        )


def tells_otherwise(one: Intervention) -> bool:
    """Return whether an intervention changes what the network answers to a prompt."""
    return not isinstance(one, Switch)
