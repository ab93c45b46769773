"""Questions of an evaluation at every snapshot: the captions of all combinations, and other
prompts.

A set of prompts is a template over the concepts, such as "a {color} {shape} AND a {size} {shape}",
which every combination fills in with its values. Imports no torch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from data_gen.captions import check_words
from data_gen.concepts import Combination
from diffusion.composition import Composition, parse_composition
from ground.endings import Mistake
from studies.worlds.asked import Terms, Values, what_is_asked

PLAIN = "none"  # what the column `intervention` of scores calls the captions
RESERVED_SETS = (PLAIN, "captions")
EXAMPLE = "'a {color} {shape} AND a {size} {shape}'"


class Question(Protocol):
    """Question of one combination, or section of bumps: what its images are asked to show.

    Attributes:
        combination: its name in scores.
        split: train, or held_out; partial, if some concept is not asked for.
        start: number of the combination, or section, whose noise its images start from.
    """

    @property
    def combination(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def start(self) -> int: ...

    def asked(self, count: int) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return, of images 0 … count − 1, the prompt and, as `score_images` takes them, the
        targets. Those of an image are the same whatever the count is."""


Questions = Mapping[str, Sequence[Question]]  # by the name of their set


def prompts_of(question: Question, count: int) -> list[str]:
    return [prompt for prompt, _ in question.asked(count)]


def rows_of(question: Question, count: int) -> list[dict[str, Any]]:
    """Return what differs between a question's images in scores, but for the targets."""
    own = {"combination": question.combination, "split": question.split}
    prompts = enumerate(prompts_of(question, count))
    return [{**own, "prompt": prompt, "sample": sample} for sample, prompt in prompts]


@dataclass(frozen=True)
class WordQuestion:
    """One prompt, and what all of its images are scored against.

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
        """Return the name of the combination; of a partial prompt, its asked values."""
        return " ".join(self.targets.values())

    def asked(self, count: int) -> Sequence[tuple[str, Values]]:
        return [(self.prompt, self.targets)] * count


WordQuestions = Mapping[str, tuple[WordQuestion, ...]]


def all_questions(world: Terms, prompts: Mapping[str, str]) -> WordQuestions:
    """Return the questions of the captions, under PLAIN, and then of every set, by name.

    prompts: name → template. Raises Mistake for names that are taken or cannot be part of a file's
    name, and as `ask` does.
    """
    for name in prompts:
        if not re.fullmatch(r"[A-Za-z]\w{0,39}", name, re.ASCII) or name in RESERVED_SETS:
            raise Mistake(
                f"evaluate.prompts: got the name {name!r}, allowed a letter and up to 39 letters, "
                f"digits and _, but not {' or '.join(RESERVED_SETS)}, which are the plain captions"
            )
    sets = {name: ask(world, name, template) for name, template in prompts.items()}
    return {PLAIN: _captions(world), **sets}


def ask(world: Terms, name: str, template: str) -> tuple[WordQuestion, ...]:
    """Return the prompts of one set, each once, in the order of the combinations that write them.

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
    """Return how many rows a prompt asks the network for at one time: its terms and the null, or
    one of them."""
    weights = [guidance_scale * weight for _, weight in parse_composition(prompt).terms]
    return 1 if weights == [1.0] or not any(weights) else len(weights) + 1


def _captions(world: Terms) -> tuple[WordQuestion, ...]:
    names = world.space.names
    return tuple(
        WordQuestion(
            prompt=world.captioner.write(combination),
            targets=dict(zip(names, combination, strict=True)),
            split=world.split.of(combination),
            start=start,
        )
        for start, combination in enumerate(world.space.combinations)
    )


def _read_template(world: Terms, template: str) -> Composition:
    terms = parse_composition(template)
    for term in terms.prompts:
        words = term.split()
        check_words(world.space, words, repr(term))
        slots = [word for word in words if word[0] == "{"]
        if not slots or len(slots) > len({*slots}):
            raise Mistake(f"{term!r} must hold one slot or more, each once, such as {EXAMPLE}")
    return terms


def _fill(world: Terms, terms: Composition, combination: Combination) -> str:
    texts = (world.captioner.fill(term.split(), combination) for term in terms.prompts)
    return str(Composition(tuple(texts), terms.weights))


def _question(world: Terms, prompt: str, start: int) -> WordQuestion:
    asked, names = what_is_asked(world, prompt), world.space.names
    wanted = {concept: value for term in asked.wanted for concept, value in term.items()}
    targets = {name: wanted[name] for name in names if name in wanted}
    if not targets:
        raise Mistake(f"{prompt!r} asks for nothing, allowed such as {EXAMPLE}")
    if any(term.items() <= targets.items() for term in asked.unwanted):
        raise Mistake(f"{prompt!r} takes away with NOT what it asks for")
    whole = len(targets) == len(names)
    split = world.split.of(tuple(targets.values())) if whole else "partial"
    return WordQuestion(prompt, targets, split, start)
