"""Means over seeds of what is itself a mean over noise: intervals that hold both.

A run of seed r has mean m_r over its images, which start from noise; other noise would have given
another, with variance v_r. Seeds differ beside. The spread of m_r over seeds holds both kinds:

    fewer than 30 seeds   Student's t of the m_r, from two seeds on; seeds are not resampled
    30 and more           percentile bootstrap: seeds are redrawn, then the noise of each
    one seed              the noise alone

Where all seeds agree, as at 0 and 1, their spread is no measure of anything. So no interval is
narrower than that of noise with these very seeds, ± z √(Σ v_r) / R.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from analysis.measures.intervals import MANY_SEEDS

CONFIDENCE = 0.95


def share_variance(
    successes: Float[ndarray, "*cells"], trials: Float[ndarray, "*cells"]
) -> Float[ndarray, "*cells"]:
    """Variance over noise of a share, with two successes and two failures more (Agresti and Coull
    1998): not 0 at 0 and 1, which few images do not prove."""
    share = (successes + 2) / (trials + 4)
    return share * (1 - share) / (trials + 4)


def difference_variance(
    first: Float[ndarray, "*cells"],
    second: Float[ndarray, "*cells"],
    pairs: Float[ndarray, "*cells"],
) -> Float[ndarray, "*cells"]:
    """Variance over noise of a difference of paired shares, as in Bonett and Price (2012).

    first, second: how many of the pairs the first or the second alone has right.
    """
    p1, p2 = (first + 1) / (pairs + 2), (second + 1) / (pairs + 2)
    return (p1 + p2 - (p1 - p2) ** 2) / (pairs + 2)


def mean_over_seeds_and_noise(
    means: Float[ndarray, "seeds cells"],
    variances: Float[ndarray, "seeds cells"],
    *,
    rng: np.random.Generator,
    num_draws: int = 9999,
) -> tuple[Float[ndarray, " cells"], Float[ndarray, " cells"]]:
    """Low and high ends of the 95 % interval of the mean over seeds, cell by cell.

    Seeds are drawn once for all cells, so that cells, such as the snapshots of a curve, stay
    paired. Raises ValueError for values that are not finite: say what a diverged run counts as.
    """
    if not (np.isfinite(means).all() and np.isfinite(variances).all()):
        raise ValueError("means, variances: got values that are not finite")
    middle, noise = means.mean(0), _noise_half(variances)
    if len(means) < MANY_SEEDS:
        half = np.maximum(noise, _student_half(means))
        return middle - half, middle + half
    low, high = _bootstrap(means, variances, rng, num_draws)
    return np.minimum(low, middle - noise), np.maximum(high, middle + noise)


def _noise_half(variances: ndarray) -> ndarray:
    z = stats.norm.ppf((1 + CONFIDENCE) / 2)
    return np.asarray(z * np.sqrt(variances.sum(0)) / len(variances))


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
