"""Subspaces that carry a feature, and how far coordinates move."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

HELD = 0.95  # of a feature's variance, by the directions that are kept


def carrying_subspace(parts: list[Float[ndarray, "values d"]]) -> Float[ndarray, "d k"]:
    """Orthonormal directions that hold 95 % of a feature's variance, over codes of several levels,
    each scaled to variance 1, so that none counts for more. parts: f(x) of each, around its mean.

    Raises ValueError where a feature varies at no level.
    """
    sizes = [float(np.sqrt((part**2).sum())) for part in parts]
    there = [part / size for part, size in zip(parts, sizes, strict=True) if size > 0]
    if not there:
        raise ValueError("got a feature that varies at no level")
    _, values, directions = np.linalg.svd(np.concatenate(there), full_matrices=False)
    shares = np.cumsum(values**2) / (values**2).sum()
    return directions[: int(np.searchsorted(shares, HELD)) + 1].T


def random_subspace(
    basis: Float[ndarray, "d k"], *, rng: np.random.Generator
) -> Float[ndarray, "d k"]:
    """A subspace of as many dimensions, turned at random."""
    return np.linalg.qr(rng.normal(size=basis.shape))[0]


def shorter_way(
    start: Float[ndarray, " n"], end: Float[ndarray, " n"], span: float | None
) -> Float[ndarray, " n"]:
    """Way from start to end; around a circle of length `span` the shorter one, None: no circle."""
    way = end - start
    return way if span is None else (way + span / 2) % span - span / 2
