"""Finite-size scaling: the threshold of percolation without borders, from tori of several sizes.

In two dimensions the exponents are known: ν = 4/3 and β/ν = 5/48. R_L(λ) is the chance that a
cluster winds around a torus of L × L sites, in either direction, where each site is there with
probability λ. At the threshold it is one number for all square lattices (Pinson 1994), and λ_L,
where R_L is that number, nears the threshold as L^(−11/4) (Newman and Ziff 2000).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import betainc

from analysis.measures.intervals import Interval

WINDING = 0.690473725  # R_L at the threshold
CORRECTION = -11 / 4  # exponent of L in λ_L − λ_c
PER_NU = 3 / 4  # 1/ν
BETA_PER_NU = 5 / 48
FINE = 401  # values of λ at which R_L is computed; between them it is a line


@dataclass(frozen=True)
class Threshold:
    """Threshold λ_c with its interval over runs.

    at_size: λ_L by L, and its standard error. correction: b of λ_L = λ_c + b L^(−11/4).
    """

    estimate: float
    interval: Interval
    correction: float
    at_size: Mapping[int, tuple[float, float]]


def winding_chance(
    first: Int[ndarray, " runs"], sites: int, kept: Float[ndarray, " k"]
) -> Float[ndarray, " k"]:
    """R_L(λ) = Σ_n Binom(n; sites, λ) F(n), F the share of runs that wind with n sites or fewer.

    first: of `analysis.measures.percolation.first_windings`. kept: λ, in [0, 1].
    """
    return _chances(first, sites, kept).mean(0)


def _chances(first: ndarray, sites: int, kept: ndarray) -> ndarray:
    """P(Binom(sites, λ) ≥ first), a row per run: an incomplete beta function."""
    n = np.minimum(first, sites)[:, None]
    return np.where(first[:, None] <= sites, betainc(n, sites - n + 1, kept), 0.0)


def finite_size_threshold(
    first: Mapping[int, Int[ndarray, " runs"]],
    *,
    rng: np.random.Generator,
    num_draws: int = 499,
    confidence: float = 0.95,
) -> Threshold:
    """Threshold by weighted least squares of λ_L = λ_c + b L^(−11/4).

    first: first windings of runs by L, on tori of L × L sites. Errors and interval: the runs of
    each L are redrawn. Raises ValueError for fewer than two sizes, through which there is no line,
    and fewer than two runs of one.
    """
    if len(first) < 2 or min(map(len, first.values())) < 2:
        raise ValueError("first: allowed are two and more sizes, each with two and more runs")
    draws = np.column_stack([_at_winding(f, size**2, rng, num_draws) for size, f in first.items()])
    errors = draws[1:].std(0)
    columns = np.stack([np.ones(len(first)), np.array([*first]) ** CORRECTION], 1)
    (estimates, corrections), *_ = np.linalg.lstsq(columns / errors[:, None], (draws / errors).T)
    low, high = np.quantile(estimates[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    at_size = {s: (float(x), float(e)) for s, x, e in zip(first, draws[0], errors, strict=True)}
    interval = Interval(float(low), float(high))
    return Threshold(float(estimates[0]), interval, float(corrections[0]), at_size)


def _at_winding(
    first: ndarray, sites: int, rng: np.random.Generator, num_draws: int
) -> Float[ndarray, " draws"]:
    """λ_L of the runs, then of redrawn ones."""
    runs, margin = len(first), 3 / np.sqrt(sites)  # six standard deviations at most
    low, high = max(0.0, first.min() / sites - margin), min(1.0, first.max() / sites + margin)
    grid = np.linspace(low, high, FINE)
    redrawn = rng.multinomial(runs, np.full(runs, 1 / runs), num_draws)
    weights = np.concatenate([np.ones((1, runs)), redrawn]) / runs
    curves = weights @ _chances(first, sites, grid)
    return np.array([np.interp(WINDING, curve, grid) for curve in curves])


def collapse_gaps(
    curves: Mapping[int, tuple[Float[ndarray, " k"], Float[ndarray, " k"]]], threshold: float
) -> dict[int, float]:
    """How far the curve of each size lies from the others, where all should be one.

    Of L × L sites, (share of the largest cluster) · L^(5/48) is one function of
    (λ − λ_c) · L^(3/4). Returns of each size the largest distance from the mean of the other
    sizes' curves, as a share of the height of its own, where they all reach.

    curves: by L, ascending λ and the share of all sites that the largest cluster holds. Raises
    ValueError for fewer than two sizes, and if one reaches nowhere where the others do.
    """
    if len(curves) < 2:
        raise ValueError("curves: allowed are two and more sizes")
    scaled = {
        size: ((kept - threshold) * size**PER_NU, share * size**BETA_PER_NU)
        for size, (kept, share) in curves.items()
    }
    return {size: _gap(scaled, size) for size in curves}


def _gap(scaled: Mapping[int, tuple[ndarray, ndarray]], left_out: int) -> float:
    x, y = scaled[left_out]
    others = [curve for size, curve in scaled.items() if size != left_out]
    reached = (x >= max(o[0].min() for o in others)) & (x <= min(o[0].max() for o in others))
    if not reached.any():
        raise ValueError(f"curves: size {left_out} reaches nowhere where the others do")
    mean = np.mean([np.interp(x[reached], *other) for other in others], 0)
    return float(np.abs(y[reached] - mean).max() / y.max())
