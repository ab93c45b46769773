"""Config of interventions: ways to ask a model for what a prompt may not get. Imports no torch.

Each has a name, which is the column `intervention` of scores and says all of it.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ground.endings import Mistake

MOST = 1000.0  # of a factor, an alpha or a scale
Asked = Literal["held_out", "all"]


@dataclass(frozen=True, kw_only=True)
class OverPrompt:
    """Over-prompt: a concept is told beyond its class mean (arXiv:2406.19370).

    Attributes:
        kind: what is done, as above.
        concept: which one is told otherwise.
        factor: of vectors, one-hot values and embeddings, the numbers that are told are mean of all
            values + factor × (class mean − mean of all values); of captions, what the embedding
            of the concept's word is multiplied by. 1 changes nothing.
        numbers: what is told of the concept instead, as they are; of vectors, one-hot values and
            embeddings.
        of: combinations that are asked so.
    """

    kind: Literal["over_prompt"] = "over_prompt"
    concept: str
    factor: float | None = None
    numbers: tuple[float, ...] = ()
    of: Asked = "held_out"

    def __post_init__(self) -> None:
        if (self.factor is None) == (not self.numbers):
            raise Mistake("factor: give either a factor or numbers")
        _check_size("factor", self.factor or 0.0)

    @property
    def name(self) -> str:
        numbers = f"=({','.join(map(_short, self.numbers))})"
        how = numbers if self.factor is None else f" x{_short(self.factor)}"
        return _named(f"over-prompt {self.concept}{how}", self.of)


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Linear shift of the condition's embedding: h' = h + alpha · Σ (h − mean of h with another
    value of the concept), over some concepts (arXiv:2406.19370). Tokens stay as they are.

    Attributes:
        kind: what is done, as above.
        alpha: how far.
        concepts: along which ones; none: all that have several values.
        of: combinations that are asked so.
    """

    kind: Literal["latent"] = "latent"
    alpha: float
    concepts: tuple[str, ...] = ()
    of: Asked = "held_out"

    def __post_init__(self) -> None:
        _check_size("alpha", self.alpha)
        if len({*self.concepts}) < len(self.concepts):
            raise Mistake(f"concepts: got {', '.join(self.concepts)}, allowed each once")

    @property
    def name(self) -> str:
        along = ",".join(self.concepts) or "all"
        return _named(f"latent {along} {_short(self.alpha)}", self.of)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Patch: the conditioner of another snapshot, of the same weights, in place of its own.

    Attributes:
        kind: what is done, as above.
        step: of the snapshot whose conditioner is taken; null: the last.
        of: combinations that are asked so.
    """

    kind: Literal["patch"] = "patch"
    step: int | None = None
    of: Asked = "held_out"

    @property
    def name(self) -> str:
        which = "the last step" if self.step is None else f"step {self.step}"
        return _named(f"conditioner of {which}", self.of)


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Guidance of another scale than the evaluation's.

    Attributes:
        kind: what is done, as above.
        scale: as `evaluate.guidance_scale`.
        of: combinations that are asked so.
    """

    kind: Literal["guidance"] = "guidance"
    scale: float
    of: Asked = "held_out"

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= MOST:
            raise Mistake(f"scale: got {self.scale:g}, allowed 0 to {MOST:g}")

    @property
    def name(self) -> str:
        return _named(f"guidance {_short(self.scale)}", self.of)


@dataclass(frozen=True, kw_only=True)
class Switch:
    """Switch of the prompt in the middle of sampling: the image begins as one of another
    combination, whose concept is changed, and is asked for as itself from then on.

    Attributes:
        kind: what is done, as above.
        concept: which one is changed; images begin with its other values, each in turn.
        at: share of the sampling steps that the other prompt gets, 0 to 1; 0 is the plain prompt.
        of: combinations that are asked so.
    """

    kind: Literal["switch"] = "switch"
    concept: str
    at: float
    of: Asked = "held_out"

    def __post_init__(self) -> None:
        if not 0 <= self.at <= 1:
            raise Mistake(f"at: got {self.at:g}, allowed 0 to 1")

    @property
    def name(self) -> str:
        return _named(f"switch {self.concept} at {_short(self.at)}", self.of)


Intervention = OverPrompt | Latent | Patch | Guidance | Switch


def file_part(name: str) -> str:
    """Return an intervention's name as it stands in names of files. That of a set of prompts is
    itself; every other one has a +, which no set has."""
    return re.sub(r"[^\w.-]+", "+", name).strip("+")


def _check_size(key: str, number: float) -> None:
    if not abs(number) <= MOST:  # nan too
        raise Mistake(f"{key}: got {number:g}, allowed -{MOST:g} to {MOST:g}")


def _named(name: str, asked: Asked) -> str:
    return name if asked == "held_out" else f"{name}, of all"


def _short(number: float) -> str:
    """Return a number as short as it can be read back."""
    text = f"{number:g}"
    return text if float(text) == number else repr(number)
