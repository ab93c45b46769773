"""Conditioning of a model on a world's words and images: its prompts, its conditioner, its
inputs."""

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen.bumps.config import BumpsConfig
from data_gen.dataset import Dataset
from data_gen.factors import FACTORS
from data_gen.scenes import class_tables
from data_gen.vectors import ENTRIES, class_vector, coordinates, one_hot, vector
from data_gen.wording import Captioned
from data_gen.world import World
from diffusion.conditioning import NumberConditioner, RenderingConditioner, TextConditioner
from diffusion.model_config import ModelConfig
from diffusion.prompts import (
    CoordinatePrompts,
    NumberPrompts,
    Prompts,
    TextPrompts,
    build_tokenizer,
)
from diffusion.text_encoders import build_text_encoder, fit_length, load_text_encoder
from ground import streams
from ground.endings import Mistake
from studies.worlds.exams import value_places

SEEN_RAW = {"shift": 0.0, "scale": 1.0}  # numbers as they are
SAME = 1e-6  # class means that differ by less are float32's rounding of the same number
NUMBERS = ("vector", "one_hot", "embeddings", "coordinates")  # the kinds that read no text


@dataclass(frozen=True)
class Conditioning:
    """One way of telling a model what to draw.

    Attributes:
        kind: `model.conditioning`.
        prompts: words → inputs.
        build: width of h (text encoders have one of their own) → a new conditioner that reads
            these inputs. Its weights come from the global generator: fork it.
    """

    kind: str
    prompts: Prompts
    build: Callable[[int], TextConditioner | NumberConditioner]


def make_conditioning(world: Captioned, model: ModelConfig) -> Conditioning:
    """Return how a model is told of a world, as `model.conditioning` and what goes with it say.

    Raises Mistake for numbers that cannot tell some concept, and for an encoder not to be had.
    """
    kind = model.conditioning
    if kind in NUMBERS:
        return _of_numbers(world, model)
    if kind == "pretrained":
        frozen = model.text_encoder.frozen
        encoder, tokenizer = load_text_encoder(model.text_encoder.name or "")
        fit_length(tokenizer, encoder, _longest_captions(world, tokenizer))
        return Conditioning(
            kind,
            TextPrompts(tokenizer),
            lambda width: TextConditioner(encoder if frozen else copy.deepcopy(encoder), frozen),
        )
    tokenizer = build_tokenizer(world.captioner.vocabulary, world.captioner.max_words)
    return Conditioning(
        kind,
        TextPrompts(tokenizer),
        lambda width: TextConditioner(build_text_encoder(model.widths, kind, tokenizer)),
    )


def bump_conditioning(config: BumpsConfig, rendering: float = 0.0) -> Conditioning:
    """Return the conditioning on the centre (x, y) in px, by sinusoidal encodings. The images of a
    world of bumps are told their labels as they are, and prompts are two numbers.

    rendering: as in `ModelConfig`.
    """
    spans, periodic = [(0.0, float(config.image_size_px))] * 2, [config.periodic] * 2
    prompts = CoordinatePrompts(spans, periodic)

    def build(width: int) -> NumberConditioner:
        told: dict[str, Any] = dict(spans=spans, periodic=periodic)
        if rendering == 0:
            return NumberConditioner("coordinates", width, prompts.nulls, {}, **told)
        told |= dict(size=config.image_size_px, weight=rendering)
        return RenderingConditioner("coordinates", width, prompts.nulls, {}, **told)

    return Conditioning("coordinates", prompts, build)


def condition_rows(
    world: Captioned, data: Dataset, conditioning: Conditioning
) -> tuple[Tensor, Int[Tensor, " n"]]:
    """Return what the n images of a training set are told: the inputs of the conditioner, one row
    per condition, and for each image which row is its own.

    Text is told as the captions. Numbers are those of the image as far as its caption names them:
    what it leaves out is the default, and a wrong word stands for its class mean. Shuffled captions
    shuffle the numbers with them.
    """
    if conditioning.kind not in NUMBERS:
        return conditioning.prompts.inputs(data.captions), data.caption
    order = torch.arange(len(data))
    if world.captions.shuffled:  # as data_gen.dataset.shuffled does
        order = streams.permutation(world.seed, "captions.shuffled", 0, len(data))
    layout = _Layout(world, conditioning.kind)
    rows = _image_rows(world, data, conditioning.kind)[order]
    shown = value_places(world)[data.combination[order]]
    said = _said(world, data.captions)[data.caption]
    for i, concept in enumerate(world.space.names):
        entries, means = layout.entries[concept], layout.means[concept]
        unsaid, wrong = said[:, i] < 0, (said[:, i] >= 0) & (said[:, i] != shown[:, i])
        rows[unsaid, entries] = layout.default[entries]
        rows[wrong, entries] = means[said[wrong, i]]
    return rows, torch.arange(len(data))


def numbers_seen(
    world: Captioned, data: Dataset, model: ModelConfig
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "combinations k"]]:
    """Return what the layers of a model that reads a vector or one-hot values see of every image
    of a training set, and of the caption of every combination. Raises Mistake as
    `make_conditioning` does."""
    conditioning = make_conditioning(world, model)
    rows, row = condition_rows(world, data, conditioning)
    captions = [world.captioner.write(combination) for combination in world.space.combinations]
    seen = _standardization(world, model)
    shift, scale = (torch.tensor(seen.get(key, default)) for key, default in SEEN_RAW.items())
    told = rows[row], conditioning.prompts.inputs(captions)
    return (told[0] - shift) * scale, (told[1] - shift) * scale


class _Layout:
    """Layout of rows of k numbers of one kind: where they say what of a world.

    Attributes:
        entries: concept → its places in a row.
        means: concept → float32 (values, entries), the numbers at the class mean of each value.
        spans: lowest and highest of each of the k numbers, for coordinates.
        default: float32 (k,), the row of a prompt that says nothing.
    """

    def __init__(self, world: Captioned, kind: str):
        widths = _widths(world, kind)
        ends = dict(zip(widths, itertools.accumulate(widths.values()), strict=True))
        self.entries = {n: slice(ends[n] - widths[n], ends[n]) for n in world.space.names}
        rows, places = _class_rows(world, kind), value_places(world).unbind(dim=1)
        self.means = {
            name: torch.stack([rows[place == v][0] for v in place.unique()])[:, self.entries[name]]
            for name, place in zip(world.space.names, places, strict=True)
        }
        numbers = {n: w for n, w in widths.items() if kind == "coordinates"}
        self.spans = [
            (FACTORS[n].low, FACTORS[n].high) for n, w in numbers.items() for _ in range(w)
        ]
        self.default = torch.zeros(rows.shape[1])
        if self.spans:  # what is not said lies outside of its span
            self.default = torch.tensor([2 * low - high for low, high in self.spans])

    def words(self, world: Captioned) -> dict[str, dict[str, float]]:
        """Return what every word of the captions sets, as `NumberPrompts` takes it."""
        words: dict[str, dict[str, float]] = {filler: {} for filler in world.captioner.fillers}
        for name, values in world.space.items():
            places = range(len(self.default))[self.entries[name]]
            for value, mean in zip(values, self.means[name].tolist(), strict=True):
                said = {str(i): number for i, number in zip(places, mean, strict=True)}
                words.update(dict.fromkeys(world.captioner.words[value], said))
        return words


def _of_numbers(world: Captioned, model: ModelConfig) -> Conditioning:
    kind = model.conditioning
    layout, seen = _Layout(world, kind), _standardization(world, model)
    default, words = layout.default.tolist(), layout.words(world)
    counts = [len(values) for values in world.space.values]
    return Conditioning(
        kind,
        NumberPrompts(default, words),
        lambda width: NumberConditioner(
            kind, width, default, words, counts=counts, spans=layout.spans, **seen
        ),
    )


def _standardization(world: Captioned, model: ModelConfig) -> dict[str, list[float]]:
    """Return shift and scale of every number, as `model.numbers` says; nothing of raw ones. An
    entry that is the same in all class means is shifted alone."""
    if model.numbers == "raw":
        return {}
    rows = _class_rows(world, model.conditioning).double()
    deviation, mean = torch.std_mean(rows, dim=0, correction=0)
    same = deviation < SAME
    scale = model.numbers_scale / torch.where(same, 1.0, deviation)
    return {"shift": mean.tolist(), "scale": torch.where(same, 1.0, scale).tolist()}


def _widths(world: Captioned, kind: str) -> dict[str, int]:
    """Return how many numbers every factor has, in the order of a row. Mistake names a concept that
    has none."""
    counts = {name: len(values) for name, values in world.space.items()}
    widths = counts
    if kind == "coordinates":
        widths = {name: FACTORS[name].channels for name in counts}
    if kind == "vector":
        others = {name: FACTORS[name].channels for name in ENTRIES}
        widths = {"shape": max(2, counts.get("shape", 0)), **others}
        widths |= {name: 0 for name in counts if name not in widths}  # no entry in the paper
    for name, count in counts.items():
        if count > 1 and not widths[name]:
            raise Mistake(
                f"model.conditioning: {kind} has no number for the concept {name}; allowed "
                f"one_hot, embeddings, captions, captions_contextual, pretrained"
            )
    return widths


def _class_rows(world: Captioned, kind: str) -> Float[Tensor, "combinations k"]:
    """Return the rows at the class means of every combination."""
    if kind == "vector" and isinstance(world, World):
        return class_vector(world)
    if kind == "coordinates" and isinstance(world, World):
        tables = class_tables(world)
        return torch.cat([tables[n][0] for n in world.space.names if FACTORS[n].channels], dim=1)
    return one_hot(world.space, torch.arange(len(world.space)))


def _image_rows(world: Captioned, data: Dataset, kind: str) -> Float[Tensor, "n k"]:
    if kind == "vector" and isinstance(world, World):
        return vector(world, data)
    if kind == "coordinates" and isinstance(world, World):
        return coordinates(world, data)
    return one_hot(world.space, data.combination)


def _said(world: Captioned, captions: Sequence[str]) -> Int[Tensor, "captions concepts"]:
    """Return the place of the value that a caption names for each concept; −1: none."""
    said = [world.captioner.parse(caption) for caption in captions]
    return torch.tensor(
        [
            [
                values.index(named[name]) if name in named else -1
                for name, values in world.space.items()
            ]
            for named in said
        ]
    )


def _longest_captions(world: Captioned, tokenizer: Any) -> list[str]:
    """Return a caption of every template, with the words of most tokens."""

    def longest(values: Sequence[str]) -> str:
        words = [word for value in values for word in world.captioner.words[value]]
        return max(words, key=lambda word: len(tokenizer(word).input_ids))

    words = [longest(values) for values in world.space.values]
    return [world.captioner.write(words, i) for i in range(len(world.captioner.templates))]
