"""Linear readout of a feature from a code: ridge regression, judged on places it never saw."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy import ndarray

PENALTIES = 10.0 ** np.arange(-6, 3)  # of ridge regression, as multiples of the mean variance
FOLDS = 4
FEWEST_ROWS = 2 * FOLDS


def readout_r2(
    codes: Float[ndarray, "n d"], targets: Float[ndarray, "n k"], *, rng: np.random.Generator
) -> float:
    """R² of a linear readout of centred targets: 1 − squared error / variance, over held-out rows.

    Rows are divided into four parts at random; each is read by weights of the others, whose
    penalty is the best one on rows left out in turn. Raises ValueError for fewer than eight rows.
    """
    if len(codes) < FEWEST_ROWS:
        raise ValueError(f"got {len(codes)} rows; allowed are {FEWEST_ROWS} and more")
    order = rng.permutation(len(codes))
    ends = np.linspace(0, len(codes), FOLDS + 1).astype(int)
    error = 0.0
    for start, stop in pairwise(ends):
        held, rest = order[start:stop], np.delete(order, np.s_[start:stop])
        error += float(((_read(codes, targets, rest, held) - targets[held]) ** 2).sum())
    return 1 - error / float(((targets - targets.mean(0)) ** 2).sum())


def _read(codes: ndarray, targets: ndarray, rest: ndarray, held: ndarray) -> ndarray:
    """Targets of the rows `held`, read by weights of the rows `rest`."""
    mean, level = codes[rest].mean(0, dtype=np.float64), targets[rest].mean(0)
    own, new = codes[rest] - mean, codes[held] - mean
    values, vectors = np.linalg.eigh(own @ own.T)
    values = np.maximum(values, 0)
    scale = values.mean() or 1.0
    wanted = vectors.T @ (targets[rest] - level)
    errors = [_left_out_error(values, vectors, wanted, scale * p) for p in PENALTIES]
    penalty = scale * PENALTIES[int(np.argmin(errors))]
    weights = vectors @ (wanted / (values + penalty)[:, None])
    return new @ own.T @ weights + level


def _left_out_error(values: ndarray, vectors: ndarray, wanted: ndarray, penalty: float) -> float:
    """Squared error of each row read without itself, from one decomposition."""
    kept = 1 / (values + penalty)
    residual = vectors @ (wanted * kept[:, None])
    own = np.einsum("ni,i->n", vectors**2, kept)
    return float(((residual / own[:, None]) ** 2).sum())
