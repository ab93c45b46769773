"""AND and NOT of prompts (Liu et al. 2022, arXiv:2206.01714), and how they are written.

Imports no torch.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from data_gen.reserved import AND, NOT
from ground.endings import Mistake
from ground.text import composed

MOST_WEIGHT = 1000.0
EXAMPLE = "'a red circle:2 AND NOT a small circle:0.5'"


@dataclass(frozen=True)
class Composition:
    """What a step predicts: null + guidance_scale · Σ_i weights_i (prompts_i − null).

    A plain prompt is one term of weight 1; a negative weight is NOT. Raises Mistake for no term,
    for as many weights as prompts are not, and for a weight that is no number of at most 1000.
    """

    prompts: tuple[str, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.prompts or len(self.prompts) != len(self.weights):
            got = f"{len(self.prompts)} prompts and {len(self.weights)} weights"
            raise Mistake(f"composition: got {got}, allowed one weight for each of 1 or more")
        for weight in self.weights:
            if not abs(weight) <= MOST_WEIGHT:  # nan too
                allowed = f"-{MOST_WEIGHT:g} to {MOST_WEIGHT:g}"
                raise Mistake(f"composition: got weight {weight}, allowed {allowed}")

    @property
    def terms(self) -> tuple[tuple[str, float], ...]:
        """The prompts that count, with their weights."""
        pairs = zip(self.prompts, self.weights, strict=True)
        return tuple((prompt, weight) for prompt, weight in pairs if weight != 0)

    def __str__(self) -> str:
        """As `parse_composition` reads it."""
        pairs = zip(self.prompts, self.weights, strict=True)
        return f" {AND} ".join(_write(prompt, weight) for prompt, weight in pairs)


def compose(asked: str | Composition) -> Composition:
    return parse_composition(asked) if isinstance(asked, str) else asked


def needs_null(composition: Composition, guidance_scale: float) -> bool:
    """Return True if images depend on the null condition; False for one prompt of weight 1 in
    all."""
    weights = [guidance_scale * weight for _, weight in composition.terms]
    return weights != [1.0] or not composition.terms[0][0].strip()


def parse_composition(text: str) -> Composition:
    """Read a text such as 'a circle AND NOT a red circle:0.5': terms of weight 1 and −.5.

    AND and NOT in capitals, as words of their own; after a term a colon and its weight, 0 or more.
    Text without any of these is a plain prompt, "" too. Accents are composed (Unicode NFC), as
    words of captions are. Raises Mistake with an example.
    """
    text = composed(text)
    if ":" not in text and not {AND, NOT} & {*text.split()}:
        return Composition((text,), (1.0,))
    terms = re.split(rf"(?:^|\s+){AND}(?=\s|$)", text)
    prompts, weights = zip(*(_read(term, text) for term in terms), strict=True)
    return Composition(prompts, weights)


def add_terms(text: str, also: Sequence[str], never: Sequence[str]) -> str:
    """Write `text` AND each of `also` AND NOT each of `never`, checked."""
    written = f" {AND} ".join([text, *also, *(f"{NOT} {term}" for term in never)])
    return str(parse_composition(written))


def _read(term: str, text: str) -> tuple[str, float]:
    words = term.split()
    sign = -1.0 if words[:1] == [NOT] else 1.0
    prompt, colon, number = " ".join(words[sign < 0 :]).rpartition(":")
    if not colon:
        prompt, number = number, "1"
    if not prompt.strip():
        raise Mistake(f"prompt {text!r}: a term is empty, allowed such as {EXAMPLE}")
    if NOT in prompt.split():
        raise Mistake(f"prompt {text!r}: {NOT} stands once, at the head of a term: {EXAMPLE}")
    return prompt.strip(), sign * _weight(number, text)


def _weight(number: str, text: str) -> float:
    try:
        weight = float(number.rstrip(".,;!? "))  # of a sentence
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= MOST_WEIGHT:
        raise Mistake(
            f"prompt {text!r}: got weight {number.strip()!r}, allowed 0 to {MOST_WEIGHT:g} "
            f"({NOT} makes it negative), such as {EXAMPLE}"
        )
    return weight


def _write(prompt: str, weight: float) -> str:
    size = abs(weight)
    short = f"{size:g}" if float(f"{size:g}") == size else repr(size)
    negated = f"{NOT} " if weight < 0 else ""
    return f"{negated}{prompt}" if size == 1 else f"{negated}{prompt}:{short}"
