"""Sprites of a report: as many small images as a page has room for, in one PNG."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

MOST_PIXELS = 560_000  # of all sprites together: about 1.1 MB as PNG in the page
MOST_IMAGES, MOST_COMBINATIONS, MOST_PX = 12, 48, 32  # per combination; rows; side of a sprite


@dataclass(frozen=True)
class Thinned:
    """What of the images is shown: `combinations`, `steps` and `images` of each; a sprite is a
    factor smaller than its image. notes say what was left out."""

    combinations: Sequence[str]
    steps: Sequence[int]
    images: int
    factor: int
    notes: Sequence[str]


def thin(
    combinations: Sequence[str],
    splits: Mapping[str, str],
    steps: Sequence[int],
    images: int,
    side: int,
    views: int,
    there: int = MOST_IMAGES,
) -> Thinned:
    """Choose what is shown of `images` of `side` px per combination, step and view. views: of all
    runs of the page. there: of the images, those that were kept.

    Beyond MOST_COMBINATIONS those that are held out come first. Of images there are at least one,
    and at most MOST_IMAGES; where one of every step does not fit, steps are thinned, but never the
    first and the last.
    """
    held_out = [c for c in combinations if splits[c] != "train"]
    kept = {*[*held_out, *(c for c in combinations if c not in held_out)][:MOST_COMBINATIONS]}
    chosen = [c for c in combinations if c in kept]
    factor = math.ceil(side / MOST_PX)
    sprite = (side // factor) ** 2
    room = max(2, MOST_PIXELS // (views * len(chosen) * sprite))  # steps × images
    count = min(max(1, room // len(steps)), there, images, MOST_IMAGES)
    places = np.linspace(0, len(steps) - 1, min(len(steps), room // count)).round().astype(int)
    notes = [
        (len(chosen) < len(combinations), f"{len(chosen)} of {len(combinations)} combinations are "
         "shown, held-out ones first; curves of a split are of all."),
        (count < images, f"{count} of {images} images of each combination are shown; every number "
         "is of all."),
        (len(places) < len(steps), f"Images of {len(places)} of {len(steps)} snapshots are shown, "
         "the one before stands for those between; every number is of all."),
        (factor > 1, f"Images are shown at 1/{factor} of their width."),
    ]  # fmt: skip
    said = [text for is_so, text in notes if is_so]
    return Thinned(chosen, [steps[i] for i in np.unique(places)], count, factor, said)


def sheet(
    samples: Callable[[int], np.ndarray], thinned: Thinned, combinations: Sequence[str]
) -> bytes:
    """PNG of all sprites: a row per step, in it the images of one combination after another.

    samples: returns the images of a step, uint8 (combinations, n, H, W, 3), of all combinations.
    """
    places = [[*combinations].index(c) for c in thinned.combinations]
    strips = [
        _strip(_smaller(samples(step)[places, : thinned.images], thinned.factor))
        for step in thinned.steps
    ]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(strips)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _smaller(images: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of factor × factor pixels; what is left at an edge is cut off."""
    height, width = (side // factor for side in images.shape[2:4])
    cut = images[:, :, : height * factor, : width * factor]
    squares = cut.reshape(*images.shape[:2], height, factor, width, factor, 3)
    return squares.mean(axis=(3, 5)).round().astype(np.uint8)


def _strip(images: np.ndarray) -> np.ndarray:
    """uint8 (H, combinations · n · W, 3) of (combinations, n, H, W, 3); colors are rounded to 32
    levels each, which takes a third off the PNG."""
    height, width = images.shape[2:4]
    flat = images.reshape(-1, height, width, 3)
    return (flat.transpose(1, 0, 2, 3).reshape(height, -1, 3) & 0xF8) | 4
