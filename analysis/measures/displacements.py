"""Displacements of a code: do steps along one feature leave the other alone, and stay parallel?

With r(x, y) the mean activation, all steps finite, between random places of the grid:

    x against y     |cos| of r(x', y) − r(x, y) and r(x, y') − r(x, y)           0: orthogonal
    x along y       cos of r(x', y) − r(x, y) and r(x', y') − r(x, y')            1: parallel
    y along x       the same with x and y exchanged
    x against x     |cos| of two steps along x between four different values      0: as one-hot
    y against y     the same along y

Between neighbours any smooth orthogonal parametrization looks orthogonal; so steps are not short.
Products are of readings with different noise, which adds nothing to them on average.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

AGAINST = ("x against y", "x against x", "y against y")
ALONG = ("x along y", "y along x")
VALUES_FOR_TWO_STEPS = 4  # of a feature


def cross_gram(codes: Float[ndarray, "seeds x y d"]) -> Float[ndarray, "n n"]:
    """Products of all places of the grid, mean over pairs of different seeds, around the mean of
    the code; places in the order x · y, y fastest. float64."""
    seeds = len(codes)
    flat = codes.reshape(seeds, -1, codes.shape[-1]).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    total = flat.sum(0)
    own = np.einsum("and,amd->nm", flat, flat, optimize=True)
    return (total @ total.T - own) / (seeds * (seeds - 1))


def spectrum(codes: Float[ndarray, "seeds x y d"], count: int = 15) -> Float[ndarray, " count"]:
    """Variances along the first principal components, cross-validated over noise seeds, as shares
    of all there is; those of noise scatter around 0."""
    gram = cross_gram(codes)
    values = np.linalg.eigvalsh(gram)[::-1][:count]
    return np.pad(values / np.trace(gram), (0, count - len(values)))


def displacements(
    codes: Float[ndarray, "seeds x y d"], *, rng: np.random.Generator, pairs: int = 2000
) -> Mapping[str, Float[ndarray, " pairs"]]:
    """Cosines of random pairs of steps, by the names above; those with less than four values of a
    feature have no steps against its own. nan where noise leaves a step no length.

    The same shape of grid and generator give the same steps.
    """
    gram, (x, y) = cross_gram(codes), codes.shape[1:3]
    place = np.arange(x * y).reshape(x, y)
    xs, ys = _different(x, 2, pairs, rng), _different(y, 2, pairs, rng)
    corner, beyond = place[xs[0], ys[0]], place[xs[1], ys[1]]
    along_x, along_y = place[xs[1], ys[0]], place[xs[0], ys[1]]
    found = {
        "x against y": np.abs(_cosines(gram, (corner, along_x), (corner, along_y))),
        "x along y": _cosines(gram, (corner, along_x), (along_y, beyond)),
        "y along x": _cosines(gram, (corner, along_y), (along_x, beyond)),
    }
    for name, count, grid in (("x against x", x, place), ("y against y", y, place.T)):
        if count >= VALUES_FOR_TWO_STEPS:
            found[name] = _against_itself(gram, grid, pairs, rng)
    return found


def _against_itself(
    gram: Float[ndarray, "n n"], place: Int[ndarray, "a b"], pairs: int, rng: np.random.Generator
) -> Float[ndarray, " pairs"]:
    values = _different(place.shape[0], VALUES_FOR_TWO_STEPS, pairs, rng)
    start, end, second_start, second_end = place[values, rng.integers(place.shape[1], size=pairs)]
    return np.abs(_cosines(gram, (start, end), (second_start, second_end)))


def _different(
    count: int, values: int, pairs: int, rng: np.random.Generator
) -> Int[ndarray, "values pairs"]:
    """Draw different values of a feature for every pair."""
    return rng.random((pairs, count)).argsort(1)[:, :values].T


def _cosines(
    gram: Float[ndarray, "n n"],
    first: tuple[Int[ndarray, " pairs"], Int[ndarray, " pairs"]],
    second: tuple[Int[ndarray, " pairs"], Int[ndarray, " pairs"]],
) -> Float[ndarray, " pairs"]:
    squares = _product(gram, first, first) * _product(gram, second, second)
    short = (_product(gram, first, first) <= 0) | (_product(gram, second, second) <= 0)
    return _product(gram, first, second) / np.sqrt(np.where(short, np.nan, squares))


def _product(gram: ndarray, first: tuple, second: tuple) -> Float[ndarray, " pairs"]:
    """Products of two steps, each from its first place to its second."""
    (i, j), (k, m) = first, second
    return gram[j, m] - gram[j, k] - gram[i, m] + gram[i, k]
