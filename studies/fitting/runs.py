"""Runs whose first part is fitted: their obedience on what they never saw, and their clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.tables.denoiser import DrawnObedience, drawn_obedience
from diffusion.optimizer import learning_rate
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from studies.findings.denoiser_findings import denoiser_rows
from studies.run.opened import Experiment
from studies.run_sets.discovery import members_in

UNIT = 1000  # images in a unit of time


@dataclass(frozen=True)
class Measured:
    """Obedience of one run at one noise level.

    Attributes:
        run: its name.
        level: signal fraction ᾱ.
        obedience: of every concept, on held-out combinations or, if there are none, on all.
        train: how it was trained, by which times are counted.
    """

    run: str
    level: float
    obedience: DrawnObedience
    train: TrainConfig

    def time(self, images_seen: np.ndarray) -> np.ndarray:
        """Return the theory's time: thousands of images, each counted as the learning rate of its
        step is a share of the full one."""
        steps = range(self.train.max_steps)
        rates = [learning_rate(self.train, step) / self.train.learning_rate for step in steps]
        passed = np.concatenate([[0.0], np.cumsum(rates)]) * self.train.batch_size / UNIT
        return np.interp(images_seen / self.train.batch_size, np.arange(len(passed)), passed)


def open_fitted(paths: Sequence[Path]) -> list[Experiment]:
    """Open runs, each a run directory or a folder of such. Raises Mistake for what is none, for two
    of one name, and for runs of different worlds."""
    experiments = [Experiment.of_run(member.run) for member in members_in(paths)]
    first = experiments[0]
    for one in experiments:
        if one.exam.identity != first.exam.identity:
            raise Mistake(
                f"--fit: {one.run.path} has other values or another split than {first.run.path}"
            )
    return experiments


def measured_at(experiment: Experiment, level: float | None) -> list[Measured]:
    """Return the obedience of a run at one level, or at all that were measured.

    Raises Mistake for a run without the table `denoiser`, for a level that is not in it, and for a
    level that is asked for and refused.
    """
    rows, path = denoiser_rows([experiment]), experiment.run.path
    if rows.empty:
        raise Mistake(
            f"{path}: has no table denoiser; measure it: scripts/evaluate.py --run {path} "
            f"--evaluate.denoiser.levels 0.1"
        )
    there = sorted(rows["level"].unique())
    if level is not None and level not in there:
        known = ", ".join(f"{one:g}" for one in there)
        raise Mistake(f"--level: got {level:g}, {path} has {known}")
    own = rows[rows["split"] == ("held_out" if "held_out" in {*rows["split"]} else "train")]
    train = experiment.config.train
    found = [
        Measured(experiment.label, one, drawn_obedience(own[own["level"] == one]), train)
        for one in (there if level is None else [level])
    ]
    for one in found:
        if level is not None and not one.obedience.concepts:
            why = next(iter(one.obedience.refused.values()))
            raise Mistake(f"--level: {level:g} of {path} is refused: {why}")
    return found
