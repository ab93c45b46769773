"""Moments of a world as a linear denoiser meets it, and what every concept asks of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from data_gen.concepts import Combination, ConceptSpace
from data_gen.dataset import Dataset
from diffusion.model_config import ModelConfig, TextEncoderConfig
from ground.endings import Mistake
from studies.worlds.captioned_images import CaptionedImages
from studies.worlds.images import WorldImages
from studies.worlds.kind import KindOfWorld
from studies.worlds.model_inputs import numbers_seen
from theory.linear_denoiser import Moments, gather_moments

CHUNK = 1024  # images in float64 at once
MOST_NUMBERS = 4096  # of pixels, channels and condition: half a GiB for their matrices


@dataclass(frozen=True)
class Asked:
    """What one concept asks for at n combinations.

    Attributes:
        displacement: mean image of each combination less that of the same with another value of the
            concept (the mean over several), images in [−1, 1].
        change: the same difference of what a model is told.
        shown: share of the training images that show the value of each.
    """

    displacement: Float[Tensor, "n pixels"]
    change: Float[Tensor, "n k"]
    shown: Float[Tensor, " n"]


@dataclass(frozen=True)
class WorldMoments:
    """Moments of a world's training images, told by numbers.

    Attributes:
        moments: of the images in [−1, 1] and their numbers.
        told: what these are, in words.
        combinations: names of those that are asked for: all held-out ones or, if there are none,
            all that there are.
        class_means, class_shares: of the training images of every combination that is shown.
        asked: by concept, for those with two or more values.
    """

    moments: Moments
    told: str
    combinations: Sequence[str]
    class_means: Float[Tensor, "classes pixels"]
    class_shares: Float[Tensor, " classes"]
    asked: Mapping[str, Asked]


def world_moments(world: KindOfWorld, images: WorldImages, model: ModelConfig) -> WorldMoments:
    """Take the moments of a world's training images. Raises Mistake, with the reason, for worlds
    without values, for conditions that no linear denoiser reads, and for images too large."""
    if not isinstance(images, CaptionedImages):
        raise Mistake(
            "--predict: allowed worlds of shapes and photographs; a bump's centre has no values "
            "that could be exchanged"
        )
    told, numbers = _told_by_numbers(world, model)
    space = images.world.space
    if all(len(values) < 2 for values in space.values):
        raise Mistake("--predict: world.concepts has no concept with two values or more")
    _check_size(images)
    data = images.checked_set[0]
    rows, prompts = numbers_seen(images.world, data, numbers)
    means, shares = _classes(data)
    combinations = images.world.split.held_out or space.combinations
    return WorldMoments(
        moments=gather_moments(_parts(data, rows)),
        told=told,
        combinations=[space.name(combination) for combination in combinations],
        class_means=means,
        class_shares=shares,
        asked=_asked(images, data, prompts, combinations),
    )


def _told_by_numbers(world: KindOfWorld, model: ModelConfig) -> tuple[str, ModelConfig]:
    """Return what the denoiser is told, in words, and a model that is told just that."""
    kind = model.conditioning
    if kind == "coordinates" or kind not in world.conditionings:
        allowed = ", ".join(k for k in world.conditionings if k != "coordinates")
        raise Mistake(f"model.conditioning: got {kind!r}, allowed with --predict {allowed}")
    if kind == "vector":
        return f"the vector, {model.numbers}", model
    plain = replace(model, conditioning="one_hot", text_encoder=TextEncoderConfig())
    return "one-hot values", plain


def _check_size(images: CaptionedImages) -> None:
    channels, height, width = images.world.image_shape
    numbers, largest = channels * height * width, int((MOST_NUMBERS / channels) ** 0.5)
    if numbers > MOST_NUMBERS:
        raise Mistake(
            f"world.image_size_px: got {width}, allowed with --predict up to {largest}: square "
            f"matrices of the {numbers} numbers of an image are too large"
        )


def _parts(data: Dataset, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for images, numbers in zip(data.images.split(CHUNK), rows.split(CHUNK), strict=True):
        yield images.flatten(1).double() / 127.5 - 1, numbers.double()


def _classes(data: Dataset) -> tuple[Float[Tensor, "classes pixels"], Float[Tensor, " classes"]]:
    """Return the mean image of every combination that is shown, and its share of all images."""
    shown, counts = data.combination.unique(return_counts=True)
    sums = [data.images[data.combination == i].sum(0, dtype=torch.int64) for i in shown]
    means = torch.stack(sums).flatten(1) / counts[:, None].double() / 127.5 - 1
    return means, counts.double() / len(data)


def _asked(
    images: CaptionedImages, data: Dataset, prompts: Tensor, combinations: Sequence[Combination]
) -> dict[str, Asked]:
    """Return by concept what it asks for at some combinations."""
    space = images.world.space
    told = dict(zip(space.combinations, prompts.double(), strict=True))
    mean_image = cache(lambda combination: images.mean_image(combination).flatten())
    return {
        name: Asked(
            displacement=_steps(mean_image, space, combinations, place),
            change=_steps(told.__getitem__, space, combinations, place),
            shown=_shares(data, space, combinations, place),
        )
        for place, name in enumerate(space.names)
        if len(space.values[place]) > 1
    }


def _steps(
    of: Callable[[Combination], Tensor],
    space: ConceptSpace,
    combinations: Sequence[Combination],
    place: int,
) -> Tensor:
    """Return what `of` says of every combination, less the mean of what it says with the other
    values in one place."""
    steps = []
    for combination in combinations:
        others = [
            of((*combination[:place], value, *combination[place + 1 :]))
            for value in space.values[place]
            if value != combination[place]
        ]
        steps.append(of(combination) - torch.stack(others).mean(0))
    return torch.stack(steps)


def _shares(
    data: Dataset, space: ConceptSpace, combinations: Sequence[Combination], place: int
) -> Float[Tensor, " n"]:
    """Return the share of the images that show the value that every combination has in a place."""
    value = [c[place] for c in space.combinations]
    shown = [value[i] for i in data.combination.tolist()]
    return torch.tensor([shown.count(c[place]) / len(shown) for c in combinations]).double()
