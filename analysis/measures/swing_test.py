"""Test of whether runs swing by: rise where they should only fall. The unit of evidence is a run.

Whatever non-increasing curve lies beneath, noise rises most where it is flat: the null is the
largest rise of the runs' noise alone. Noise of a run may be correlated in time as it likes, for
whole curves are flipped or redrawn.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from analysis.measures.dynamics import largest_rise

FEWEST = 4  # runs; of two or three flat ones 7 to 11 % would be called rising at a level of 5 %
FEW = 8  # runs; 2^7 sign patterns resolve no better than multinomial weights, which are safer


class SwingTest(NamedTuple):
    """Result of `mean_swing_test`. rise: D, the largest rise of the runs' mean, from `start` to
    `end`. relative: D as a share of that mean's first value, NaN where this is not above 0. p: how
    often the null rises as much."""

    rise: float
    relative: float
    start: int
    end: int
    p: float


def mean_swing_test(
    curves: Float[ndarray, "runs times"], *, rng: np.random.Generator, num_draws: int = 9999
) -> SwingTest:
    """Does the mean over runs of a curve that should only fall (a loss, minus a coordinate) rise?

    D against D of the runs' deviations under random signs (8 runs and more) or centred multinomial
    weights (fewer; conservative). Runs that turn at different times wash each other out: see
    `rising_runs`. Raises ValueError for fewer than FEWEST runs.
    """
    if len(curves) < FEWEST:
        raise ValueError(f"got {len(curves)} runs; a test over runs needs {FEWEST}")
    mean = curves.mean(0)
    rise, start, end = largest_rise(mean)
    weights = _weights(len(curves), num_draws, rng)
    null = largest_rise(weights @ (curves - mean) / len(curves)).height
    p = (1 + (null >= rise).sum()) / (1 + num_draws)
    relative = rise / mean[0] if mean[0] > 0 else np.nan
    return SwingTest(float(rise), float(relative), int(start), int(end), float(p))


def rising_runs(
    values: Float[ndarray, "runs times images"],
    *,
    rng: np.random.Generator,
    share: float = 0.01,
    scale: float | None = None,
    num_draws: int = 999,
) -> ndarray:
    """Which runs rise by more than noise in their images and `share` of `scale`: bool (runs,).

    A run rises if D − q₉₅(D*) > share · scale, D* the largest rise of the noise when its images
    are redrawn, one draw for all times. Curves without noise (a single image) have D* = 0.

    scale: of the curves; None: each run's start, as for losses. Give that of a curve which does not
    start above 0: minus a coordinate has scale 1. Raises ValueError without it.
    """
    runs, _, images = values.shape
    curves = values.mean(-1)
    if scale is None and not (curves[:, 0] > 0).all():
        raise ValueError("scale: needed of curves that do not start above 0")
    least = share * (curves[:, 0] if scale is None else np.full(runs, scale))
    weights = (
        rng.multinomial(images, np.full(images, 1 / images), size=num_draws) / images - 1 / images
    )
    noise = [np.quantile(largest_rise(weights @ run.T).height, 0.95) for run in values]
    return largest_rise(curves).height - np.array(noise) > least


def chance_of_count(rising: int, runs: int, rate: float = 0.05) -> float:
    """Probability P(Bin(runs, rate) ≥ rising) that so many rise by chance."""
    return float(stats.binom.sf(rising - 1, runs, rate))


def _weights(runs: int, num_draws: int, rng: np.random.Generator) -> ndarray:
    """(num_draws, runs), mean 0, variance R/(R − 1): that makes up for subtracting the mean."""
    if runs >= FEW:
        signs = rng.choice([-1.0, 1.0], size=(num_draws, runs))
    else:
        signs = rng.multinomial(runs, np.full(runs, 1 / runs), size=num_draws) - 1.0
    return signs * np.sqrt(runs / (runs - 1))
