"""What an evaluation asks at every snapshot: the captions of all combinations, and other prompts.

A set of prompts is a template over the concepts, such as "a {color} {shape} AND a {size} {shape}",
which every combination fills in with its values. Imports no torch.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from data_gen.captions import check_words
from data_gen.concepts import Combination
from data_gen.endings import Mistake
from data_gen.world import World
from diffusion.composition import Composition, parse_composition
from studies.asked import Values, what_is_asked

PLAIN = "none"  # what the column `intervention` of scores calls the captions
RESERVED_SETS = (PLAIN, "captions")
EXAMPLE = "'a {color} {shape} AND a {size} {shape}'"


@dataclass(frozen=True)
class Question:
    """One prompt, and what its images are scored against.

    Attributes:
        targets: the asked value of every concept that is asked for, in the order of the concepts.
        split: train or held_out; partial, if some concept is not asked for.
        start: number of the combination whose noise its images start from: that which wrote the
            prompt, the first if several write it.
    """

    prompt: str
    targets: Values
    split: str
    start: int

    @property
    def combination(self) -> str:
        """Its name; of a partial prompt, its asked values."""
        return " ".join(self.targets.values())


Questions = Mapping[str, tuple[Question, ...]]  # by the name of their set


def all_questions(world: World, prompts: Mapping[str, str]) -> Questions:
    """Of the captions, under PLAIN, and then of every set: name → template.

    Raises Mistake for names that are taken or cannot be part of a file's name, and as `ask` does.
    """
    for name in prompts:
        if not re.fullmatch(r"[A-Za-z]\w{0,39}", name, re.ASCII) or name in RESERVED_SETS:
            raise Mistake(
                f"evaluate.prompts: got the name {name!r}, allowed a letter and up to 39 letters, "
                f"digits and _, but not {' or '.join(RESERVED_SETS)}, which are the plain captions"
            )
    sets = {name: ask(world, name, template) for name, template in prompts.items()}
    return {PLAIN: _captions(world), **sets}


def ask(world: World, name: str, template: str) -> tuple[Question, ...]:
    """The prompts of one set, each once, in the order of the combinations that write them.

    Raises Mistake for words and slots that the captions do not know, a term without a slot, a
    template that asks for nothing, and NOT of what is asked for.
    """
    try:
        terms, starts = _read_template(world, template), dict[str, int]()
        for start, combination in enumerate(world.space.combinations):
            starts.setdefault(_fill(world, terms, combination), start)
        return tuple(_question(world, prompt, start) for prompt, start in starts.items())
    except Mistake as mistake:
        raise Mistake(f"evaluate.prompts.{name}: {mistake}") from None


def rows_per_step(prompt: str, guidance_scale: float) -> int:
    """What a prompt asks the network for at one time: its terms and the null, or one of them."""
    weights = [guidance_scale * weight for _, weight in parse_composition(prompt).terms]
    return 1 if weights == [1.0] or not any(weights) else len(weights) + 1


def _captions(world: World) -> tuple[Question, ...]:
    names = world.space.names
    return tuple(
        Question(
            prompt=world.captioner.write(combination),
            targets=dict(zip(names, combination, strict=True)),
            split=world.split.of(combination),
            start=start,
        )
        for start, combination in enumerate(world.space.combinations)
    )


def _read_template(world: World, template: str) -> Composition:
    terms = parse_composition(template)
    for term in terms.prompts:
        words = term.split()
        check_words(world.space, words, repr(term))
        slots = [word for word in words if word[0] == "{"]
        if not slots or len(slots) > len({*slots}):
            raise Mistake(f"{term!r} must hold one slot or more, each once, such as {EXAMPLE}")
    return terms


def _fill(world: World, terms: Composition, combination: Combination) -> str:
    texts = (world.captioner.fill(term.split(), combination) for term in terms.prompts)
    return str(Composition(tuple(texts), terms.weights))


def _question(world: World, prompt: str, start: int) -> Question:
    asked, names = what_is_asked(world, prompt), world.space.names
    wanted = {concept: value for term in asked.wanted for concept, value in term.items()}
    targets = {name: wanted[name] for name in names if name in wanted}
    if not targets:
        raise Mistake(f"{prompt!r} asks for nothing, allowed such as {EXAMPLE}")
    if any(term.items() <= targets.items() for term in asked.unwanted):
        raise Mistake(f"{prompt!r} takes away with NOT what it asks for")
    whole = len(targets) == len(names)
    split = world.split.of(tuple(targets.values())) if whole else "partial"
    return Question(prompt, targets, split, start)
