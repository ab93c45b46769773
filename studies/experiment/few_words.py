"""Config of an experiment from a few words, such as "star, cross x orange, purple, hold out star
purple". Imports no torch."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_gen.factors import FACTORS
from data_gen.places import color_of, mean_of
from ground.endings import Mistake, nearest, refuse
from studies.experiment.config import SMALL_PROBE, are_few

EXAMPLE = "'star, cross x orange, purple, hold out star purple'"
HOLD_OUT = re.compile(r"[\s,;.]*\bhold(?:ing)?\s+out\b|[\s,;.]*\bheld\s+out\b", re.IGNORECASE)
TIMES = re.compile(r"(?:^|\s)[x×](?:\s|$)")
COLOR = "color"
CONCEPTS = {name: f for name, f in FACTORS.items() if not f.channels or f.signal is not None}
JITTER = {"color": 0.04, "size": 0.04}  # of the demo; others as the signal says
FEW = 8  # combinations, which half the demo's steps are enough to draw
RECIPE = """\
model: {{size: nano, conditioning: captions}}
train:
  max_steps: {steps}
  batch_size: 32
  learning_rate: 0.002
  learning_rate_decay: linear   # as the demo; none where the question is when a concept is learned
  warmup_steps: 100
  cond_dropout: 0.1
  ema_decay: 0.99
  snapshots: "{kept}"
  state_every: 200
evaluate:
  sampler: sde-dpmsolver++
  num_inference_steps: 8
  images_per_combination: 16
  final_images_per_combination: {images}
  snapshots: "{scored}"
"""
SHORT = RECIPE.format(steps=1000, kept="0, linear:8", scored="0, linear:8", images=128)
LONG = RECIPE.format(
    steps=2000,
    kept="0, pow2, linear:16",
    scored="0, 625, 875, 1125, 1375, linear:8",
    images=64,
)
PROBE = f"probe: {{steps: {SMALL_PROBE['steps']}, width: {SMALL_PROBE['width']}}}\n"


@dataclass(frozen=True)
class Wanted:
    """What a few words ask for.

    Attributes:
        concepts: name → values.
        held_out: sets of combinations, in the words of world.held_out.
    """

    concepts: Mapping[str, tuple[str, ...]]
    held_out: tuple[str, ...] = ()

    @property
    def combinations(self) -> int:
        return math.prod(map(len, self.concepts.values()))

    @property
    def question(self) -> str:
        if self.held_out:
            hidden = " and ".join(self.held_out)
            return f"Does a small model compose {hidden}, which it never saw together?"
        return f"Which does a small model learn first: {' or '.join(self.concepts)}?"


def read_wanted(text: str) -> Wanted:
    """Read groups of values with x between them and, after "hold out", sets with commas between
    them. Raises Mistake, with an example, for what cannot be read."""
    world, *hidden = HOLD_OUT.split(text.lower())
    groups = [_words(group) for group in TIMES.split(world)]
    if len(hidden) > 1 or not all(groups):
        raise Mistake(f"words: got {text!r}, allowed such as {EXAMPLE}")
    refuse(line for group in groups for line in _unknown(group))
    concepts: dict[str, tuple[str, ...]] = {}
    for group in groups:
        name = _concept_of(group)
        if name in concepts:
            raise Mistake(f"words: {name} is there twice, allowed once; {EXAMPLE}")
        concepts[name] = tuple(dict.fromkeys(group))
    sets = re.split(r"[,;]|\band\b", hidden[0]) if hidden else []
    return Wanted(concepts, tuple(" ".join(words) for one in sets if (words := one.split())))


def _words(group: str) -> list[str]:
    return [word for word in re.split(r"[\s,;]+", group) if word and word != "and"]


def _home(word: str) -> str | None:
    """Return the concept that a value belongs to; None if there is none."""
    own = (name for name, factor in CONCEPTS.items() if word in factor.words)
    return next(own, COLOR if color_of(word) else None)


def _unknown(group: Sequence[str]) -> list[str]:
    known = tuple(word for factor in CONCEPTS.values() for word in factor.words)
    return [
        f"words: unknown value {word!r}{nearest(word, known, most=3)}; known are colors of the web "
        f"and {', '.join(known)}"
        for word in group
        if _home(word) is None
    ]


def _concept_of(group: Sequence[str]) -> str:
    names = dict.fromkeys(name for word in group if (name := _home(word)))
    if len(names) > 1:
        first = ", ".join(group)
        raise Mistake(
            f"words: {first!r} are values of {' and '.join(names)}; write x between concepts, such "
            f"as {EXAMPLE}"
        )
    return next(iter(names))


def config_text(wanted: Wanted, name: str, command: str, cost: str) -> str:
    """Return the YAML of an experiment, headed by its question, its command and its cost."""
    lines = [
        f"# Question: {wanted.question[0].lower()}{wanted.question[1:]}",
        f"# Command:  {command}   |   {cost}",
        f"name: {name}",
        f'question: "{wanted.question}"',
        "world:",
        "  concepts:",
        *(f"    {name}: {_concept_text(name, values)}" for name, values in wanted.concepts.items()),
        f"  num_images: {4096 if wanted.combinations <= FEW else 16384}",
        *_held_out_lines(wanted.held_out),
    ]
    probe = PROBE if are_few([*wanted.concepts.values()]) else ""
    return "\n".join(lines) + "\n" + (SHORT if wanted.combinations <= FEW else LONG) + probe


def _held_out_lines(held_out: Sequence[str]) -> list[str]:
    if not held_out:
        return []
    return ["  held_out:  # all combinations with these values", *(f"    - {s}" for s in held_out)]


def _concept_text(name: str, values: Sequence[str]) -> str:
    """Return a concept as YAML has it: with all that says how far apart its values lie."""
    factor, listed = FACTORS[name], f"[{', '.join(values)}]"
    if not factor.channels:
        return listed
    signal = factor.signal or 0.0
    jitter = JITTER.get(name, signal * factor.jitter_share)
    placed = {word: mean_of(word, factor, signal) for word in values if word not in factor.words}
    dials = {"values": listed, "signal": f"{signal:g}", "jitter": f"{jitter:g}"}
    if len(placed) == len(values):
        del dials["signal"]
    if placed:
        dials["spans"] = f"{{{', '.join(f'{word}: {span}' for word, span in placed.items())}}}"
    return f"{{{', '.join(f'{key}: {text}' for key, text in dials.items())}}}"
