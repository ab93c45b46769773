"""Forecast of a run: models fitted to the first part of its training say the rest of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from analysis.measures.forecasts import (
    Turn,
    first_above,
    predicted_turn,
    seen_turn,
    stays,
    straight_line,
)
from analysis.measures.learning_times import learning_times
from analysis.tables.denoiser import HALF
from ground.endings import Mistake
from studies.fitting.runs import Measured
from theory.curve_fits import best_fit, fit_curves, gain_p
from theory.learning_curves import ALONE, ONE_LAYER, TOGETHER, CurveModel

FEWEST = 4  # snapshots in the fitted part
LEAST_ERROR = 0.02  # of obedience: what one snapshot differs from the next, which no scene tells
NUM_DRAWS = 199
GRID = 400  # images seen at which curves are looked at for crossings and turns
P = 0.05
STAYS, LINE = "stays where it is", "straight line in ln t"
BASELINES = (STAYS, LINE)


class NoForecast(Mistake):
    """Mistake of what cannot be forecast: too little is there to fit, or nothing comes after."""


@dataclass(frozen=True)
class Part:
    """First part of a training, of the concepts that learn in it.

    Attributes:
        measured: the run at its level.
        concepts: numbers of these concepts.
        size: snapshots in the part.
    """

    measured: Measured
    concepts: Sequence[int]
    size: int

    @cached_property
    def drawn(self) -> np.ndarray:
        """Return curves (1 + draws, concepts, all times), the measured ones first."""
        curves = self.measured.obedience.curves[list(self.concepts), : 1 + NUM_DRAWS]
        return curves.swapaxes(0, 1)

    @property
    def names(self) -> list[str]:
        return [self.measured.obedience.concepts[i] for i in self.concepts]

    @property
    def images_seen(self) -> np.ndarray:
        """Return images seen at all snapshots, those of the part first."""
        return self.measured.obedience.images_seen

    @cached_property
    def errors(self) -> np.ndarray:
        """Return standard errors (concepts, fitted)."""
        return np.hypot(self.drawn[1:, :, : self.size].std(0), LEAST_ERROR)

    def time(self, images_seen: np.ndarray) -> np.ndarray:
        """Return time as a share of the fitted part's."""
        return self.measured.time(images_seen) / self.unit

    @cached_property
    def unit(self) -> float:
        return float(self.measured.time(self.images_seen[[self.size - 1]])[0])

    @cached_property
    def fitted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what is fitted: times, values and standard errors, (concepts, fitted)."""
        return (
            self.time(self.images_seen[: self.size]),
            self.drawn[0, :, : self.size],
            self.errors,
        )


@dataclass(frozen=True)
class Predicted:
    """Prediction by one model or baseline.

    Attributes:
        name: of the model.
        rates: a_k per 1000 images at the full learning rate, (1 + draws, concepts); None of
            baselines.
        start: e_k(0), in the same shape.
        later: obedience at the snapshots after the fitted part, (1 + draws, concepts, later).
        curves: the same at the images seen of `Forecast.grid`.
    """

    name: str
    rates: np.ndarray | None
    start: np.ndarray | None
    later: np.ndarray
    curves: np.ndarray


@dataclass(frozen=True)
class Forecast:
    """Forecast of one run at one level, and what came.

    Attributes:
        part: what was fitted.
        grid: images seen, above 0, from the first snapshot to the last.
        predictions: of every model that the part identifies, then of the baselines.
        remarks: what the part does not tell, each on one line.
    """

    part: Part
    grid: np.ndarray
    predictions: Sequence[Predicted] = ()
    remarks: Sequence[str] = field(default=())

    @property
    def fitted_images(self) -> float:
        """Return images seen at the end of the fitted part."""
        return float(self.part.images_seen[self.part.size - 1])

    @property
    def later(self) -> np.ndarray:
        """Return measured curves after the fitted part, (concepts, later)."""
        return self.part.drawn[0, :, self.part.size :]

    @cached_property
    def measured_crossings(self) -> np.ndarray:
        """Return images seen when obedience is ½, (1 + draws, concepts): 0 by the first snapshot,
        infinite not by the last."""
        seen = self.part.images_seen
        found = learning_times(seen[seen > 0], self.part.drawn[..., seen > 0], HALF)
        return np.where(np.isnan(found.time), np.where(found.low > 0, np.inf, 0.0), found.time)

    @cached_property
    def measured_turns(self) -> Turn:
        """Return the turns of the measured curves, from the end of the fitted part on."""
        last = self.part.size - 1
        drawn = self.part.drawn[..., last:].swapaxes(0, 1)
        return seen_turn(self.part.images_seen[last:], drawn, rng=np.random.default_rng(0))

    def crossings(self, predicted: Predicted) -> np.ndarray:
        """Return predicted images seen at ½, (1 + draws, concepts); infinite: not by the last
        snapshot. Baselines say nothing of the fitted part, so theirs come at its end or later."""
        found = first_above(self.grid, predicted.curves, HALF)
        return found if predicted.name not in BASELINES else np.maximum(found, self.fitted_images)

    def turns(self, predicted: Predicted) -> Turn:
        """Return predicted turns, from the end of the fitted part on."""
        after = self.grid >= self.fitted_images
        return predicted_turn(self.grid[after], predicted.curves[0][:, after])


def forecast(measured: Measured, until: float) -> Forecast:
    """Fit models to the snapshots up to the first one at which a concept's obedience is at least
    `until`, and predict those after it.

    A forecast without predictions says by its remarks why. Raises NoForecast for fewer than four
    snapshots in that part and for none after it.
    """
    part = _first_part(measured, until)
    seen = part.images_seen
    grid = np.geomspace(seen[seen > 0][0], seen[-1], GRID)
    if part.size == len(seen) and not _reached(measured, until).any():
        why = f"nothing learned (no e reaches {until:g}): no prediction"
        return Forecast(part, grid, remarks=[why])
    _check(part, until)
    learned, idle = _learned(part)
    remarks = [f"{name}: nothing learned in the fitted part: no prediction" for name in idle]
    if not learned.concepts:
        return Forecast(part, grid, remarks=["nothing learned in the fitted part: no prediction"])
    models, more = _identified(learned)
    predictions = [_by_model(learned, model, grid) for model in models]
    predictions += _by_baselines(learned, grid)
    return Forecast(learned, grid, predictions, [*remarks, *more])


def _reached(measured: Measured, until: float) -> np.ndarray:
    """Return of every snapshot whether a concept's obedience is at least `until`."""
    return np.any(measured.obedience.curves[:, 0] >= until, axis=0)


def _first_part(measured: Measured, until: float) -> Part:
    reached = _reached(measured, until)
    size = int(reached.argmax()) + 1 if reached.any() else len(reached)
    return Part(measured, range(len(measured.obedience.concepts)), size)


def _check(part: Part, until: float) -> None:
    where = f"{part.measured.run}, level {part.measured.level:g}"
    if part.size < FEWEST:
        raise NoForecast(
            f"{where}: {part.size} snapshots up to e = {until:g}, allowed are {FEWEST} and more; "
            f"raise --until or keep earlier snapshots"
        )
    if part.size == len(part.images_seen):
        raise NoForecast(f"{where}: e = {until:g} is reached at the last snapshot; lower --until")


def _learned(part: Part) -> tuple[Part, list[str]]:
    """Return the part with the concepts that rise in it, and the names of the others.

    A concept rises if a model fits its snapshots better than a constant does, by an F test of one
    parameter more; two models are tried, each at half of 5 %.
    """
    t, e, errors = part.fitted
    weights = errors**-2
    level = (weights * e).sum(1, keepdims=True) / weights.sum(1, keepdims=True)
    flat = (((e - level) / errors) ** 2).sum(1)
    sums = [(best_fit(model, t, e, errors)[1] ** 2).sum(1) for model in (ONE_LAYER, ALONE)]
    rises = [
        gain_p(worse, better, 1, part.size - 2) < P / 2
        for worse, better in zip(flat, np.min(sums, axis=0), strict=True)
    ]
    kept = [i for i, is_rising in zip(part.concepts, rises, strict=True) if is_rising]
    idle = [name for name, is_rising in zip(part.names, rises, strict=True) if not is_rising]
    return Part(part.measured, kept, part.size), idle


def _identified(part: Part) -> tuple[list[CurveModel], list[str]]:
    """Return the models that the part can tell apart, and a remark on that of coupled concepts."""
    if len(part.concepts) < 2:
        return [ONE_LAYER, ALONE], []
    apart, coupled = (
        float((best_fit(model, *part.fitted)[1] ** 2).sum()) for model in (ALONE, TOGETHER)
    )
    freedom = part.size * len(part.concepts) - 2 * len(part.concepts) - 1
    p = gain_p(apart, coupled, 1, freedom)
    if p < P:
        remark = f"off-diagonals are needed in the fitted part (p = {p:.2g})"
        return [ONE_LAYER, ALONE, TOGETHER], [remark]
    remark = f"off-diagonals are not identified by the fitted part (p = {p:.2g})"
    return [ONE_LAYER, ALONE], [f"{remark}: {TOGETHER.name} is left out"]


def _by_model(part: Part, model: CurveModel, grid: np.ndarray) -> Predicted:
    t, e, errors = part.fitted
    deviations = part.drawn[1:, :, : part.size] - e
    fit = fit_curves(model, t, e, errors, deviations, rng=np.random.default_rng(0))
    later = fit.curves(part.time(part.images_seen[part.size :]))
    return Predicted(
        model.name, fit.rates / part.unit, fit.starts, later, fit.curves(part.time(grid))
    )


def _by_baselines(part: Part, grid: np.ndarray) -> Iterator[Predicted]:
    seen, e = part.images_seen[: part.size], part.drawn[..., : part.size]
    after = part.images_seen[part.size :]
    yield Predicted(STAYS, None, None, stays(e, after), stays(e, grid))
    lines = [straight_line(seen, e, part.errors, x) for x in (after, grid)]
    yield Predicted(LINE, None, None, *lines)
