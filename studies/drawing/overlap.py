"""Overlap of training images: how the largest linked group grows with the kept fraction."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from analysis.measures.overlap import largest_overlapping
from analysis.measures.percolation import random_ranks
from ground.endings import Mistake

KEPT = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
RUNS = 8  # random choices
MOST_IMAGES = 20_000  # pairs are compared: their number grows with the square


def overlap_lines(features: Float[Tensor, "n d"], taus: Sequence[float]) -> list[str]:
    """Lines of a table: the share of the kept images that the largest group holds, by what is kept.

    A mean over 8 random choices. Raises Mistake for fewer than 2 images, and more than 20 000.
    """
    images = len(features)
    if not 2 <= images <= MOST_IMAGES:
        raise Mistake(f"--overlap: got {images} training images, allowed 2 to {MOST_IMAGES}")
    ranks = random_ranks(RUNS, images, np.random.default_rng(0))
    counts = np.maximum(1, np.round(KEPT * images).astype(np.int64))
    head = f"largest linked group of {images} training images, as a share of those kept"
    lines = [head, "overlap above " + "".join(f"{kept:6g}" for kept in KEPT) + "  kept"]
    for tau in taus:
        largest = largest_overlapping(features.numpy(), tau, ranks, counts)
        shares = (largest / counts).mean(0)
        lines.append(f"{tau:13g} " + "".join(f"{share:6.2f}" for share in shares))
    return lines
