"""Places for values that no table has: what to write under `spans`. Imports no torch.

Names of colors are those of the web (CSS), as Pillow knows them.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from data_gen.factors import Factor
from ground.endings import nearest

if TYPE_CHECKING:
    from data_gen.concepts import Concept

DIGITS = 2  # of a written place: a hundredth is 2.6 of 255 levels
GREYISH = 0.2  # from grey, where the colors of the table lie .8 and more
NAMED = 2  # nearest names that are told


def color_of(word: str) -> tuple[float, ...] | None:
    """RGB in [0, 1] of a color of the web; None if there is none of this name."""
    from PIL import ImageColor

    if word not in ImageColor.colormap:
        return None
    return tuple(channel / 255 for channel in ImageColor.getrgb(word)[:3])


def mean_of(word: str, factor: Factor, signal: float) -> list[float] | None:
    """Mean of a color by its name, as far from the middle as the signal takes the table's colors;
    None if the factor is no color, or the name that of none."""
    color = color_of(word) if factor.channels == 3 else None
    if color is None:
        return None
    return [round(factor.centre + (c - 0.5) * signal, DIGITS) for c in color]


def what_is_near(word: str, factor: Factor, known: tuple[str, ...]) -> str:
    """Hint at the known names that are spelled or, of colors, look most alike; '' if none is."""
    spelled, color = nearest(word, known), mean_of(word, factor, 1.0)
    if spelled or color is None:
        return spelled
    hue = _hue([2 * (c - factor.centre) for c in color])
    hues = {name: _hue([*map(float, own)]) for name, own in factor.words.items()}
    alike = {name: sum(map(operator.mul, hue, own)) for name, own in hues.items()}
    return f" (nearest: {', '.join(sorted(alike, key=lambda name: -alike[name])[:NAMED])})"


def _hue(direction: Sequence[float]) -> list[float]:
    """A direction from grey, of length 1 and without its brightness; of greys their brightness."""
    mean = sum(direction) / len(direction)
    colored = [channel - mean for channel in direction]
    length = math.hypot(*colored)
    return [c / length for c in colored] if length > GREYISH else [mean / len(direction)] * 3


def how_to_place(name: str, factor: Factor, concept: "Concept", unknown: tuple[str, ...]) -> str:
    """The line of a config that gives each unknown value of a concept a place of its own."""
    signal = concept.signal or 0.0
    spans = {**concept.spans, **{word: mean_of(word, factor, signal) for word in unknown}}
    if set(concept.values) <= set(spans):  # a signal would do nothing
        jitter = signal * factor.jitter_share if concept.jitter is None else concept.jitter
        dials = {"jitter": f"{jitter:.3g}"}
    else:
        dials = {"signal": f"{signal:g}"}
        dials |= {} if concept.jitter is None else {"jitter": f"{concept.jitter:g}"}
    return f"{name}: {{{_entries(concept.values, dials, spans, factor)}}}"


def _entries(
    values: tuple[str, ...], dials: Mapping[str, str], spans: Mapping, factor: Factor
) -> str:
    placed = ", ".join(f"{word}: {_span(span, factor)}" for word, span in spans.items())
    written = {"values": f"[{', '.join(values)}]", **dials, "spans": f"{{{placed}}}"}
    return ", ".join(f"{key}: {text}" for key, text in written.items())


def _span(span: list[float] | None, factor: Factor) -> str:
    """A place as YAML has it; of one that is not known, what is to be filled in."""
    if span is None:
        channels = ("R", "G", "B") if factor.channels == 3 else ("MEAN",)
        return f"[{', '.join(channels)}]"
    return f"[{', '.join(f'{number:g}' for number in span)}]"
