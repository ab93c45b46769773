"""Means over seeds of what is itself a mean over noise: intervals that hold both.

A run of seed r has mean m_r over its images, which start from noise; other noise would have given
another, with variance v_r. Seeds differ beside. The spread of m_r over seeds holds both kinds:

    fewer than 30 seeds   Student's t of the m_r, from two seeds on; seeds are not resampled
    30 and more           percentile bootstrap: seeds are redrawn, then the noise of each, which so
                          counts twice: too wide rather than too narrow
    one seed              the noise alone

Where all seeds agree, as at 0 and 1, their spread is no measure of anything. So no interval is
narrower than that of noise with these very seeds, which the caller knows: Clopper and Pearson's of
all images together, or that of paired shares.

Scenes of a denoiser are the same in all runs, and so is the noise that images start from: others
may move every seed alike, which the spread over seeds does not hold.
`mean_over_seeds_of_shared_noise` adds both.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from analysis.measures.intervals import MANY_SEEDS

CONFIDENCE = 0.95
_NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


def mean_over_seeds_and_noise(
    means: Float[ndarray, "seeds cells"],
    variances: Float[ndarray, "seeds cells"],
    noise: tuple[Float[ndarray, " cells"], Float[ndarray, " cells"]],
    *,
    rng: np.random.Generator,
    num_draws: int = 9999,
) -> tuple[Float[ndarray, " cells"], Float[ndarray, " cells"]]:
    """Low and high ends of the 95 % interval of the mean over seeds, cell by cell.

    Seeds are drawn once for all cells, so that cells, such as the snapshots of a curve, stay
    paired. Raises ValueError for values that are not finite: say what a diverged run counts as.

    means, variances: of each seed, m_r and v_r. noise: ends of the interval that noise alone gives
    the mean of these seeds.
    """
    if not (np.isfinite(means).all() and np.isfinite(variances).all()):
        raise ValueError("means, variances: got values that are not finite")
    if len(means) < MANY_SEEDS:
        half = _student_half(means)
        low, high = means.mean(0) - half, means.mean(0) + half
    else:
        low, high = _bootstrap(means, variances, rng, num_draws)
    return np.minimum(low, noise[0]), np.maximum(high, noise[1])


def mean_over_seeds_of_shared_noise(
    means: Float[ndarray, "seeds cells"], shared: Float[ndarray, " cells"]
) -> tuple[Float[ndarray, " cells"], Float[ndarray, " cells"]]:
    """Low and high ends of the 95 % interval of the mean over seeds that share their noise.

    Student's half-width over seeds and the normal one of the noise, squared and added. Of one seed
    the noise alone.

    shared: variance that the noise gives the mean of these seeds. It is at most the square of the
    mean of their standard errors.
    """
    half = np.sqrt(_student_half(means) ** 2 + _NORMAL**2 * shared)
    return means.mean(0) - half, means.mean(0) + half


def _student_half(means: ndarray) -> ndarray:
    if len(means) == 1:
        return np.zeros(means.shape[1])
    t = stats.t.ppf((1 + CONFIDENCE) / 2, len(means) - 1)
    return np.asarray(t * means.std(0, ddof=1) / np.sqrt(len(means)))


def _bootstrap(
    means: ndarray, variances: ndarray, rng: np.random.Generator, num_draws: int
) -> tuple[ndarray, ndarray]:
    """Percentiles of redrawn means. The noise of many images is nearly normal."""
    seeds = len(means)
    weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=num_draws) / seeds
    noise = rng.standard_normal((num_draws, 1)) * np.sqrt(weights @ variances / seeds)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(weights @ means + noise, [tail, 1 - tail], axis=0)
    return low, high
