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


def leading_directions(
    part: Float[ndarray, "values d"], count: int = 2
) -> Float[ndarray, "d count"]:
    """Principal directions of a feature's part of a code, orthonormal, the largest first; zeros
    beyond those along which it varies. part: f(x), around its mean."""
    sizes, directions = np.linalg.svd(part.astype(np.float64), full_matrices=False)[1:]
    there = sizes[:count] > 1e-9 * max(sizes[0], np.finfo(np.float64).tiny)
    found = np.zeros((part.shape[1], count))
    found[:, : len(there)] = np.where(there[:, None], directions[:count], 0).T
    return found


def held_share(part: Float[ndarray, "seeds values d"], basis: Float[ndarray, "d k"]) -> float:
    """Share of a part's variance that lies within a subspace, by products of readings with
    different noise; nan where noise leaves no variance."""
    within, whole = (_crossed(own) for own in (part @ basis, part))
    return within / whole if whole > 0 else float("nan")


def _crossed(part: Float[ndarray, "seeds values d"]) -> float:
    """Sum over pairs of different seeds of the products of a part."""
    total = part.sum(0, dtype=np.float64)
    return float((total**2).sum() - (part.astype(np.float64) ** 2).sum())


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
