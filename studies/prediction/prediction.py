"""Prediction of what a model learns first of a world, before any training, and by which theory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from studies.prediction.moments import WorldMoments
from theory.concept_axes import AxisVariances, axis_variances
from theory.linear_denoiser import LinearDenoiser

LINEAR = "the linear denoiser"
DIGITS = 6  # times that agree so far are equal: beyond, they are rounding


@dataclass(frozen=True)
class ConceptPrediction:
    """Prediction for one concept at one noise level.

    Attributes:
        alpha_bar: signal fraction ᾱ of the level.
        time: flow time, that is 2 · learning rate · steps, from which on the linear denoiser's
            obedience is at least half of its limit; NaN: never.
        limit: of the obedience.
        a_k, variance, between_classes, within_classes: of the clean images along the concept's
            axis, as `theory.concept_axes` has them: the same at every level.
    """

    concept: str
    alpha_bar: float
    time: float
    limit: float
    a_k: float
    variance: float
    between_classes: float
    within_classes: float


def _inverse(rate: float) -> float:
    return 1 / rate if rate > 0 else np.inf


THEORIES: Mapping[str, Callable[[ConceptPrediction], float]] = {
    LINEAR: lambda found: found.time,
    "a_k": lambda found: _inverse(found.a_k),
    "variance": lambda found: _inverse(found.variance),
    "variance between classes": lambda found: _inverse(found.between_classes),
    "variance within classes": lambda found: _inverse(found.within_classes),
}  # the time that each expects, up to a factor of its own


def predict(world: WorldMoments, levels: Sequence[float]) -> list[ConceptPrediction]:
    """Predict when every concept is learned at every noise level, in the order of the levels."""
    variances = {
        name: axis_variances(
            world.moments, world.class_means, world.class_shares, asked.displacement, asked.shown
        )
        for name, asked in world.asked.items()
    }
    return [
        _prediction(world, denoiser, name, alpha_bar, variances[name])
        for alpha_bar in levels
        for denoiser in [LinearDenoiser(world.moments, alpha_bar)]
        for name in world.asked
    ]


def _prediction(
    world: WorldMoments,
    denoiser: LinearDenoiser,
    name: str,
    alpha_bar: float,
    variances: AxisVariances,
) -> ConceptPrediction:
    asked = world.asked[name]
    obedience = denoiser.obedience(asked.displacement, asked.change)
    return ConceptPrediction(
        concept=name,
        alpha_bar=alpha_bar,
        time=obedience.learning_time(),
        limit=obedience.limit,
        a_k=variances.a_k,
        variance=variances.variance,
        between_classes=variances.between_classes,
        within_classes=variances.within_classes,
    )


def expected_times(theory: str, found: Sequence[ConceptPrediction]) -> np.ndarray:
    """Return the time that a theory expects for every concept, up to a factor, to so many digits
    that equal ones are equal; infinite where it is never."""
    times = [float(f"{THEORIES[theory](one):.{DIGITS}g}") for one in found]
    return np.nan_to_num(np.array(times), nan=np.inf)


def ranks(theory: str, found: Sequence[ConceptPrediction]) -> np.ndarray:
    """Return the places of the concepts in the order that a theory expects, from 1; equal ones
    share the first of theirs."""
    return rankdata(expected_times(theory, found), method="min").astype(int)


def first(theory: str, found: Sequence[ConceptPrediction]) -> str:
    """Return the concept that a theory expects first, or those that come together."""
    names = [
        one.concept for one, rank in zip(found, ranks(theory, found), strict=True) if rank == 1
    ]
    return " and ".join(names)
