"""Learning times of a concept: per run, and over runs of which some have not learned it in time.

Learning times are log-normal over runs, ln T ~ N(μ, s²), and each is known to lie in a bracket
(low, high] between two checkpoints: (t_J, ∞) for a run that has not learned by the last one t_J,
(0, t_1] for one that had before the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import log_ndtr
from scipy.stats import t as student

from analysis.measures.intervals import Interval


class LearningTimes(NamedTuple):
    """Learning times of runs. time: NaN where censored. (low, high]: the bracket."""

    time: ndarray
    low: ndarray
    high: ndarray


@dataclass(frozen=True)
class Fit:
    """Estimate and 95 % interval, NaN where more than half of the runs are censored."""

    estimate: float
    interval: Interval
    runs: int
    censored: int


def learning_times(
    t: Float[ndarray, " times"], accuracy: Float[ndarray, "*runs times"], threshold: float = 0.8
) -> LearningTimes:
    """Times at which the isotonic fit (PAVA) of an accuracy crosses `threshold`, linear in ln t.

    t: increasing, above 0. Raises ValueError for other times and for values that are not finite.
    """
    if not (t[0] > 0 and (np.diff(t) > 0).all()):
        raise ValueError("t: allowed are increasing times above 0")
    if not np.isfinite(accuracy).all():
        raise ValueError("accuracy: got values that are not finite")
    fit = np.apply_along_axis(lambda y: isotonic_regression(y).x, -1, accuracy)
    after = (fit >= threshold).argmax(-1)
    learned, before = fit[..., -1] >= threshold, np.maximum(after - 1, 0)
    low = np.where(learned, np.where(after > 0, t[before], 0), t[-1])
    at_before, at_after = (
        np.take_along_axis(fit, j[..., None], -1)[..., 0] for j in (before, after)
    )
    inside = learned & (after > 0)
    part = np.where(inside, threshold - at_before, 0) / np.where(inside, at_after - at_before, 1)
    time = t[before] * (t[after] / t[before]) ** part
    return LearningTimes(np.where(inside, time, np.nan), low, np.where(learned, t[after], np.inf))


def learning_time_interval(
    t: Float[ndarray, " times"],
    right: Float[ndarray, "times images"],
    *,
    rng: np.random.Generator,
    threshold: float = 0.8,
    num_draws: int = 999,
) -> Interval:
    """Interval (95 %) of one run's time: its images redrawn, one draw for all times.

    right: 1 where image k is right at time j, else 0. Censored draws count as 0 or infinity.
    """
    images = right.shape[1]
    weights = rng.multinomial(images, np.full(images, 1 / images), size=num_draws) / images
    found = learning_times(t, weights @ right.T, threshold)
    times = np.where(np.isnan(found.time), np.where(found.low > 0, np.inf, 0.0), found.time)
    low, high = np.quantile(times, [0.025, 0.975], method="nearest")
    return Interval(float(low), float(high))


def typical_time(low: Float[ndarray, " runs"], high: Float[ndarray, " runs"]) -> Fit:
    """Typical time e^μ over runs, and its interval, from the brackets of `learning_times`."""
    fit = _fit(low, high, np.ones(len(low)), np.empty((len(low), 0)))
    ends = Interval(*(float(np.exp(end)) for end in fit.interval))
    return Fit(float(np.exp(fit.estimate)), ends, fit.runs, fit.censored)


def signal_law(
    low: Float[ndarray, " runs"], high: Float[ndarray, " runs"], signal: Float[ndarray, " runs"]
) -> Fit:
    """Exponent β1 of μ = β0 + β1 ln(signal), with which learning times depend on a signal."""
    return _fit(low, high, np.log(signal), np.ones((len(low), 1)))


def _fit(low: ndarray, high: ndarray, column: ndarray, others: ndarray) -> Fit:
    """The coefficient of `column` beside those of `others`, in the mean of ln T.

    Its interval is where twice the loss of likelihood is at most R ln(1 + q²/f), q Student's 97.5 %
    quantile with f = R − (number of coefficients) degrees of freedom: his interval, where nothing
    is censored. A run of bracket (0, ∞) says nothing: it counts as censored, not among the R.
    """
    with np.errstate(divide="ignore"):
        low, high = np.log(low), np.log(high)
    observed, known = np.isfinite(low) & np.isfinite(high), np.isfinite(low) | np.isfinite(high)
    runs, freedom = len(low), known.sum() - 1 - others.shape[1]
    censored = int((~observed).sum())
    if 2 * censored > runs or freedom < 1:
        return Fit(np.nan, Interval(np.nan, np.nan), runs, censored)
    low, high, column, others, observed = (a[known] for a in (low, high, column, others, observed))
    floor = np.median((high - low)[observed]) / 10
    best, peak = _most_likely(low, high, np.column_stack([others, column]), floor)
    allowed = len(low) * np.log1p(student.ppf(0.975, freedom) ** 2 / freedom)

    def excess(value: float) -> float:
        offset = value * column
        return 2 * (peak - _most_likely(low - offset, high - offset, others, floor)[1]) - allowed

    step = max(floor, np.std(low[observed]) / np.sqrt(len(low)))
    ends = [_root(excess, best[-1], side * step) for side in (-1, 1)]
    return Fit(float(best[-1]), Interval(*ends), runs, censored)


def _most_likely(
    low: ndarray, high: ndarray, columns: ndarray, floor: float
) -> tuple[ndarray, float]:
    """Coefficients and log-likelihood at the best ones and the best s ≥ floor.

    In coefficients/s and 1/s the likelihood is log-concave: any maximum is the maximum.
    """
    middle = np.where(np.isfinite(low), low, high) / 2 + np.where(np.isfinite(high), high, low) / 2
    guess = np.linalg.lstsq(columns, middle, rcond=None)[0]
    spread = max(float(np.std(middle - columns @ guess)), 2 * floor)
    found = minimize(
        partial(_loss, low=low, high=high, columns=columns),
        np.append(guess, 1) / spread,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * len(guess) + [(1e-6, 1 / floor)],
        options={"ftol": 1e-13, "gtol": 1e-9},
    )
    return found.x[:-1] / found.x[-1], -found.fun


def _loss(scaled: ndarray, low: ndarray, high: ndarray, columns: ndarray) -> tuple[float, ndarray]:
    """−Σ ln[Φ(b) − Φ(a)] and its gradient; a, b: the brackets, in units of s from the mean."""
    centre = columns @ scaled[:-1]
    a, b = low * scaled[-1] - centre, high * scaled[-1] - centre
    left, right = np.where(a + b > 0, -b, a), np.where(a + b > 0, -a, b)  # where digits are kept
    log_left, log_right = log_ndtr(left), log_ndtr(right)
    log_mass = log_right + np.log1p(-np.exp(log_left - log_right))
    at_a, at_b = (np.exp(-(end**2) / 2 - log_mass) / np.sqrt(2 * np.pi) for end in (a, b))
    by_scale = at_b * np.nan_to_num(high, posinf=0) - at_a * np.nan_to_num(low, neginf=0)
    gradient = np.append((at_a - at_b) @ columns, by_scale.sum())
    return -float(log_mass.sum()), -gradient


def _root(excess: Callable[[float], float], start: float, step: float) -> float:
    """Where `excess` turns positive on one side of start; infinite if nowhere within reach."""
    inner = start
    for _ in range(40):
        outer = inner + step
        if excess(outer) > 0:
            return float(brentq(excess, inner, outer, xtol=1e-5))
        inner, step = outer, 2 * step
    return float(np.copysign(np.inf, step))
