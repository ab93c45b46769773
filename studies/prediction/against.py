"""Predictions against runs: do concepts come in the order that a theory expects?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.measures.learning_times import learning_times
from analysis.measures.rank_agreement import RankAgreement, rank_agreement
from analysis.tables.denoiser import rule_clock
from analysis.tables.trajectory import accuracy_curves
from ground.endings import Mistake
from ground.files import hash_json
from studies.experiment.config import to_dict
from studies.prediction.moments import world_moments
from studies.prediction.prediction import ConceptPrediction, expected_times, predict
from studies.run.directory import RunDir
from studies.run.measured import denoiser_parts, read_measured
from studies.run.opened import Experiment
from studies.worlds.kind import KindOfWorld

Instrument = Literal["probe", "denoiser"]


@dataclass(frozen=True)
class Learned:
    """When a run has learned every concept.

    Attributes:
        run: its name.
        steps: by concept; 0: by the first scored step, infinite: not by the last one.
        ends: first and last scored step after 0.
    """

    run: str
    steps: Mapping[str, float]
    ends: tuple[int, int]


@dataclass(frozen=True)
class Comparison:
    """Predictions from the worlds of some runs, and what the runs did.

    Attributes:
        predictions: of every run.
        learned: by level, by every run: the probe's accuracy reaches .8 for good, the same at all
            levels; or the denoiser's obedience .5.
        by: the instrument that says so.
    """

    predictions: Sequence[Sequence[ConceptPrediction]]
    learned: Mapping[float, Sequence[Learned]]
    by: Instrument = "probe"

    @property
    def levels(self) -> list[float]:
        return [*self.learned]

    @property
    def concepts(self) -> list[str]:
        return [*dict.fromkeys(one.concept for one in self.predictions[0])]

    def measured(self, alpha_bar: float) -> np.ndarray:
        """Return steps (runs, concepts) in the order of the predictions."""
        runs = self.learned[alpha_bar]
        steps = [[run.steps[name] for name in self.concepts] for run in runs]
        return np.array(steps, np.float64)

    def agreement(self, theory: str, alpha_bar: float) -> RankAgreement:
        """Return how far the order that a theory expects is that of the runs."""
        expected = [
            expected_times(theory, [one for one in found if one.alpha_bar == alpha_bar])
            for found in self.predictions
        ]
        measured = self.measured(alpha_bar)
        return rank_agreement(np.array(expected), measured, rng=np.random.default_rng(0))


def open_runs(world: KindOfWorld, paths: Sequence[Path]) -> list[Experiment]:
    """Open runs. Raises Mistake for what is none, for one with other values or another split than
    `world`, and for one given twice."""
    experiments = [Experiment.of_run(RunDir(path)) for path in paths]
    _check(world, experiments)
    return experiments


def compare(
    experiments: Sequence[Experiment], levels: Sequence[float], by: Instrument = "probe"
) -> Comparison:
    """Predict from the world and the model of each run alone, and read when it learned.

    Raises Mistake for a run without scores or, by the denoiser, without that level, where an order
    cannot be known, and as `world_moments` does.
    """
    learned = _by_probe(experiments, levels) if by == "probe" else _obeyed(experiments, levels)
    for runs in learned.values():
        _check_ends(runs)
    known: dict[str, list[ConceptPrediction]] = {}
    for experiment in experiments:
        key = _key(experiment)
        if key not in known:
            config = experiment.config
            moments = world_moments(experiment.world, experiment.images, config.model)
            known[key] = predict(moments, levels)
    return Comparison([known[_key(experiment)] for experiment in experiments], learned, by)


def _check(world: KindOfWorld, experiments: Sequence[Experiment]) -> None:
    """Raise Mistake for a run that cannot stand beside the others."""
    identity, seen = world.exam({}, 0).identity, set()
    for experiment in experiments:
        path = experiment.run.path
        if path.resolve() in seen:
            raise Mistake(f"--against: {path} is given twice")
        seen.add(path.resolve())
        if experiment.exam.identity != identity:
            raise Mistake(f"--against: {path} has other values or another split than --config")


def _key(experiment: Experiment) -> str:
    """Return what a prediction depends on."""
    config = experiment.config
    return hash_json([to_dict(part) for part in (config.world, config.captions, config.model)])


def _by_probe(
    experiments: Sequence[Experiment], levels: Sequence[float]
) -> dict[float, list[Learned]]:
    return dict.fromkeys(levels, [_learned(experiment) for experiment in experiments])


def _obeyed(
    experiments: Sequence[Experiment], levels: Sequence[float]
) -> dict[float, list[Learned]]:
    """Return when the denoiser of each run obeys every concept by half on held-out combinations."""
    rows = [denoiser_rows(experiment) for experiment in experiments]
    return {
        level: [_clock(e, own, level) for e, own in zip(experiments, rows, strict=True)]
        for level in levels
    }


def denoiser_rows(experiment: Experiment) -> pd.DataFrame:
    """Return the rows of `denoiser` of a run; Mistake names a part that is missing."""
    parts = denoiser_parts(experiment.config, experiment.run)
    return read_measured(parts, experiment.run, experiment.label)


def _clock(experiment: Experiment, rows: pd.DataFrame, level: float) -> Learned:
    """Raise Mistake for a level that was not measured, or has a concept that is refused."""
    name = experiment.run.path.name
    if rows.empty:
        raise Mistake(f"--by: {name} has no table denoiser; evaluate it with evaluate.denoiser")
    own = rows[(rows["level"] == level) & (rows["split"] == "held_out")]
    if own.empty:
        there = ", ".join(f"{one:g}" for one in sorted(rows["level"].unique()))
        raise Mistake(f"--levels: {level:g} was not measured on what {name} never saw; of {there}")
    refused = own["refused"].dropna()
    if len(refused):
        raise Mistake(f"--levels: {level:g} of {name}: {refused.iloc[0]}")
    seen = own[own["step"] > 0].drop_duplicates("step").sort_values("step")
    batch = float(seen["images_seen"].iloc[0] / seen["step"].iloc[0])
    clocks = rule_clock(own).to_dict("records")
    steps = {str(row["concept"]): _steps(row) / batch for row in clocks}
    return Learned(name, steps, (int(seen["step"].min()), int(seen["step"].max())))


def _steps(clock: Mapping[Any, Any]) -> float:
    """Return the images seen; 0: before the first snapshot, infinite: not by the last."""
    if np.isnan(clock["images_seen"]):
        return 0.0 if clock["after"] == 0 else np.inf
    return float(clock["images_seen"])


def _learned(experiment: Experiment) -> Learned:
    """Return when a run learned each concept on what it never saw or, if it saw all, on that."""
    split = "held_out" if experiment.exam.held_out else "train"
    curves = accuracy_curves(experiment.planned_scores(experiment.probe_name))
    curves = curves[(curves["split"] == split) & (curves["step"] > 0)]
    steps = {
        str(name): _time(curve["step"].to_numpy(float), curve["accuracy"].to_numpy())
        for name, curve in curves[curves["measure"] != "joint"].groupby("measure", sort=False)
    }
    ends = int(curves["step"].min()), int(curves["step"].max())
    return Learned(experiment.run.path.name, steps, ends)


def _time(t: np.ndarray, accuracy: np.ndarray) -> float:
    found = learning_times(t, accuracy)
    if np.isnan(found.time):
        return 0.0 if found.low == 0 else np.inf
    return float(found.time)


def _check_ends(learned: Sequence[Learned]) -> None:
    """Raise Mistake where a time before the first or after the last scored step could be on either
    side of another run's."""
    unknown = [run for run in learned if {0.0, np.inf} & {*run.steps.values()}]
    if unknown and len({run.ends for run in learned}) > 1:
        raise Mistake(
            f"--against: {unknown[0].run} learned a concept before its first or after its last "
            f"scored step; allowed are runs that are scored from the same first to the same last "
            f"step"
        )
