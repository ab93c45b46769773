"""How fast what is left decays: terminal rates, and exponential against power law."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

ENOUGH = 15  # checkpoints below which two curves of two parameters are not told apart


def terminal_rate(
    t: Float[ndarray, " times"],
    residual: Float[ndarray, "*runs times"],
    upper: float = 0.9,
    lower: float = 0.1,
) -> Float[ndarray, "*runs"]:
    """Slope of −ln residual in t, by least squares from `upper` to `lower` of its start.

    residual: positive; used from the first time at or below `upper` to the last before it is below
    `lower`. NaN where it never gets there or where fewer than two times lie between.
    """
    share = residual / residual[..., :1]
    begun = np.logical_or.accumulate(share <= upper, axis=-1)
    done = np.logical_or.accumulate(share < lower, axis=-1)
    used = begun & ~done
    slope = _line(t, np.log(np.where(used, share, 1)), used)[0]
    return np.where(done[..., -1], -slope, np.nan)


def power_law_penalty(
    t: Float[ndarray, " times"],
    residual: Float[ndarray, "*runs times"],
    used: Bool[ndarray, "*runs times"],
) -> Float[ndarray, "*runs"]:
    """AIC of a power law, t^−κ, minus that of an exponential, e^−κt, in ln residual where `used`.

    Above 0 the exponential is the better of the two; both have two parameters and Gaussian errors
    in ln residual. Times and residuals that are not positive are left out; NaN where fewer than
    15 remain.
    """
    used = used & (t > 0) & (residual > 0)
    log = np.log(np.where(used, residual, 1))
    n = used.sum(-1)
    power = _line(np.log(np.where(t > 0, t, 1)), log, used)[1]
    exponential = _line(t, log, used)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n >= ENOUGH, n * np.log(power / exponential), np.nan)


def _line(x: ndarray, y: ndarray, used: ndarray) -> tuple[ndarray, ndarray]:
    """Slope and sum of squared errors of the least-squares line through the points `used`."""
    n = used.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        dx = np.where(used, x - np.where(used, x, 0).sum(-1, keepdims=True) / n, 0)
        dy = np.where(used, y - np.where(used, y, 0).sum(-1, keepdims=True) / n, 0)
        slope = (dx * dy).sum(-1) / (dx**2).sum(-1)
    errors = ((dy - slope[..., None] * dx) ** 2).sum(-1)
    return np.asarray(slope), np.asarray(errors)
