"""Fits of learning curves to the first part of a training, with draws that say how sure they are.

Least squares, each value weighed by its standard error. Two things move a fit: which scenes were
measured, and what one snapshot differs from the next by chance. Both are in the draws: the scenes'
come with the data, as deviations of redrawn curves; what the scenes leave unexplained of the
residuals is added as independent noise, of a size that is drawn as Student's t has it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats
from scipy.optimize import least_squares

from theory.learning_curves import CurveModel

STEP = 1e-6  # of the parameters, for slopes
ITERATIONS, SMALL = 25, 1e-5  # of refits; a step of the parameters after which one has settled
FIRST_DAMPING, LEAST_DAMPING = 1e-2, 1e-9


@dataclass(frozen=True)
class CurveFit:
    """Fit of a model to s curves.

    Attributes:
        model: what was fitted.
        best: its parameters, (p,).
        drawn: the same of every draw, (draws, p).
        residuals: value less fit, in standard errors, (s, times).
    """

    model: CurveModel
    best: Float[ndarray, " p"]
    drawn: Float[ndarray, "draws p"]
    residuals: Float[ndarray, "concepts times"]

    @property
    def parameters(self) -> Float[ndarray, "every p"]:
        """Best parameters, then those of every draw; `every` is one more than the draws."""
        return np.concatenate([self.best[None], self.drawn])

    @property
    def rates(self) -> Float[ndarray, "every concepts"]:
        """Rates a_k per unit of the times fitted, the best first."""
        return np.exp(self.parameters[:, : len(self.residuals)])

    @property
    def starts(self) -> Float[ndarray, "every concepts"]:
        """Obedience e_k(0), the best first."""
        concepts = len(self.residuals)
        return self.model.as_start(self.parameters[:, concepts : 2 * concepts])

    def curves(self, t: Float[ndarray, " times"]) -> Float[ndarray, "every concepts times"]:
        """Curves at times from 0 on, those of the best parameters first."""
        return self.model.curves(self.parameters, t)


def fit_curves(
    model: CurveModel,
    t: Float[ndarray, " times"],
    e: Float[ndarray, "concepts times"],
    errors: Float[ndarray, "concepts times"],
    deviations: Float[ndarray, "draws concepts times"],
    *,
    rng: np.random.Generator,
) -> CurveFit:
    """Fit a model to curves e at increasing times t from 0 on, the last about 1.

    errors: standard errors, above 0. deviations: of redrawn curves from e; each is fitted too.
    Raises ValueError as `best_fit` does.
    """
    best, residuals = best_fit(model, t, e, errors)
    slopes = _slopes(model, best[None], t, errors)[0]
    noise = _noise(slopes, residuals.ravel(), deviations / errors, rng)
    targets = e + deviations + errors * noise.reshape(-1, *e.shape)
    drawn = _refit(model, np.tile(best, (len(targets), 1)), t, targets, errors)
    return CurveFit(model, best, drawn, residuals)


def best_fit(
    model: CurveModel,
    t: Float[ndarray, " times"],
    e: Float[ndarray, "concepts times"],
    errors: Float[ndarray, "concepts times"],
) -> tuple[Float[ndarray, " p"], Float[ndarray, "concepts times"]]:
    """Best parameters, and the residuals there in standard errors. Raises ValueError for no more
    values than parameters."""
    parameters = model.limits(len(e)).shape[1]
    if e.size <= parameters:
        raise ValueError(f"got {e.size} values for {parameters} parameters")
    found = [_least_squares(model, t, e, errors, guess) for guess in model.guesses(t, e)]
    best, residuals = min(found, key=lambda one: float((one[1] ** 2).sum()))
    return best, residuals.reshape(e.shape)


def gain_p(worse: float, better: float, more: int, freedom: int) -> float:
    """p of an F test: does a fit with `more` parameters beat the one it contains by chance?

    worse, better: sums of squared residuals. freedom: degrees of freedom of the better one.
    """
    if not worse > better:
        return 1.0
    ratio = (worse - better) / more / (better / freedom) if better > 0 else np.inf
    return float(stats.f.sf(ratio, more, freedom))


def _least_squares(
    model: CurveModel, t: ndarray, e: ndarray, errors: ndarray, guess: ndarray
) -> tuple[ndarray, ndarray]:
    """Best parameters from a guess, and the residuals there, flat."""

    def residuals(parameters: ndarray) -> ndarray:
        return ((model.curves(parameters[None], t)[0] - e) / errors).ravel()

    def slopes(parameters: ndarray) -> ndarray:
        return _slopes(model, parameters[None], t, errors)[0]

    low, high = model.limits(len(e))
    found = least_squares(residuals, guess, slopes, bounds=(low - STEP, high + STEP))
    return np.clip(found.x, low, high), -found.fun


def _slopes(model: CurveModel, parameters: ndarray, t: ndarray, errors: ndarray) -> ndarray:
    """Slopes of curves in standard errors by the parameters, (draws, values, p)."""
    draws, p = parameters.shape
    moved = parameters[:, None] + STEP * np.concatenate([-np.eye(p), np.eye(p)])
    curves = model.curves(moved.reshape(-1, p), t) / errors
    below, above = curves.reshape(draws, 2, p, -1).swapaxes(0, 1)
    return (above - below).swapaxes(1, 2) / (2 * STEP)


def _noise(
    slopes: ndarray, residuals: ndarray, deviations: ndarray, rng: np.random.Generator
) -> Float[ndarray, "draws values"]:
    """Independent noise of what the scenes' deviations leave unexplained of the residuals."""
    draws, freedom = len(deviations), residuals.size - slopes.shape[1]
    flat = deviations.reshape(draws, -1)
    basis = np.linalg.qr(slopes)[0]
    explained = ((flat - flat @ basis @ basis.T) ** 2).sum(1).mean()
    left = max(0.0, float((residuals**2).sum() - explained)) / freedom
    sizes = np.sqrt(left * freedom / rng.chisquare(freedom, size=(draws, 1)))
    return sizes * rng.normal(size=(draws, residuals.size))


def _refit(
    model: CurveModel, parameters: ndarray, t: ndarray, targets: ndarray, errors: ndarray
) -> Float[ndarray, "draws p"]:
    """Fit many curves at once, by the method of Levenberg and Marquardt, from given parameters."""
    low, high = model.limits(targets.shape[1])

    def off(tried: ndarray) -> ndarray:
        return ((targets - model.curves(tried, t)) / errors).reshape(len(tried), -1)

    damping, left = np.full((len(parameters), 1), FIRST_DAMPING), off(parameters)
    for _ in range(ITERATIONS):
        slopes = _slopes(model, parameters, t, errors)
        gram, pull = slopes.swapaxes(1, 2) @ slopes, (slopes.swapaxes(1, 2) @ left[..., None])
        ridge = damping * np.diagonal(gram, axis1=1, axis2=2) + LEAST_DAMPING
        step = np.linalg.solve(gram + ridge[..., None] * np.eye(len(low)), pull)[..., 0]
        tried = np.clip(parameters + step, low, high)
        if (np.abs(tried - parameters) < SMALL).all():
            break
        now = off(tried)
        nearer = ((now**2).sum(1) <= (left**2).sum(1))[:, None]
        parameters, left = np.where(nearer, tried, parameters), np.where(nearer, now, left)
        damping = np.where(nearer, damping / 4, damping * 6)
    return parameters
