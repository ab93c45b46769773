"""Values that a prompt, or a composition of prompts, asks to see. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import ConceptSpace
from data_gen.splits import Split
from diffusion.composition import Composition, parse_composition

Values = Mapping[str, str]  # concept → value


class Terms(Protocol):
    """World with captions, as far as its config tells."""

    space: ConceptSpace
    split: Split
    captions: CaptionConfig
    captioner: Captioner

    @property
    def image_shape(self) -> tuple[int, int, int]: ...


@dataclass(frozen=True)
class Asked:
    """Values that a prompt asks to see. wanted: by concept, of every term; unwanted: those of every
    NOT."""

    wanted: tuple[Values, ...]
    unwanted: tuple[Values, ...] = ()

    def is_seen_in(self, values: Values) -> bool:
        """Return whether every term is there whole, and no NOT is."""
        return all(_shows(values, term) for term in self.wanted) and not any(
            _shows(values, term) for term in self.unwanted
        )


def what_is_asked(world: Terms, prompt: str) -> Asked:
    """Return what a prompt asks to see; terms of weight 0 ask for nothing. Raises Mistake for a
    prompt that cannot be read."""
    composition = parse_composition(prompt)
    read = {text: world.captioner.parse(text) for text in composition.prompts}
    wanted = tuple(read[text] for text, weight in composition.terms if weight > 0)
    return Asked(wanted, tuple(read[text] for text, weight in composition.terms if weight < 0))


def told(world: Terms, prompt: str) -> str:
    """Return a prompt, or a composition of prompts, in words of the world's captions, as the model
    is told it. Raises Mistake for a composition that cannot be read."""
    composition = parse_composition(prompt)
    own = tuple(world.captioner.told(text) for text in composition.prompts)
    same = own == composition.prompts
    return prompt if same else str(Composition(own, composition.weights))


def _shows(values: Values, term: Values) -> bool:
    return all(values[concept] == value for concept, value in term.items())
