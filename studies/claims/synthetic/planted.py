"""Planted paths: chances at checkpoints, and images that are right with them by lasting luck."""

import numpy as np
from scipy.stats import norm

from analysis.measures.cross_fitted import CrossFittedSwing, cross_fitted_swing


def planted_curves(checkpoints: int) -> dict[str, np.ndarray]:
    """Return the chances of a flat path, of one that rises and of one that dips, (checkpoints,)."""
    x = np.linspace(0, 1, checkpoints)
    return {
        "flat .5": np.full(checkpoints, 0.5),
        "rising": 1 / (1 + np.exp(-12 * (x - 0.5))),
        "dip .4": 0.9 - 0.4 * np.exp(-((x - 0.5) ** 2) / 0.02),
    }


def paired_images(
    curve: np.ndarray, count: int, correlation: float, rng: np.random.Generator
) -> np.ndarray:
    """Return which images are right, 0 or 1, (checkpoints, count): with the chances of a curve, by
    luck that is AR(1) in time, with this correlation from one checkpoint to the next."""
    z = rng.normal(size=(len(curve), count))
    for j in range(1, len(curve)):
        z[j] = correlation * z[j - 1] + np.sqrt(1 - correlation**2) * z[j]
    return np.asarray(z < norm.ppf(curve)[:, None], dtype=np.float64)


def planted_swings(
    curve: np.ndarray, runs: int, count: int, correlation: float, rng: np.random.Generator
) -> list[CrossFittedSwing]:
    """Return the cross-fitted swing of each of so many runs along one curve."""
    drawn = (paired_images(curve, count, correlation, rng) for _ in range(runs))
    return [cross_fitted_swing(right, np.ones_like(right), rng=rng) for right in drawn]
