"""Results that evaluations of a run have left, read back: scores with one row per key, and samples.

Nothing is read that does not belong to the weights that are there (studies/run/provenance.py).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from classifiers.scores import join_parts, read_part
from ground.endings import Mistake
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.plans import MEMORISER, RENDER, Plan, memoriser_plan, render_plan, shown_plans
from studies.run.provenance import snapshot_at, standing, why, why_not
from studies.run.samples import read_samples_file

NOT_YET = "not scored yet; scripts/evaluate.py does"


def read_run_scores(path: Path | str) -> pd.DataFrame:
    """Read all scores of a run directory: one table with one row per `classifiers.scores.KEY`.

    An image that several evaluations have scored, of which one drew more of each combination, is
    there once. Raises Mistake if nothing is scored, and for scores that are not of the weights that
    are there.
    """
    run = RunDir(Path(path))
    name, parts = run.read_config().name, sorted(run.scores.glob("[!.]*.parquet"))
    if not parts:
        raise Mistake(f"{run.scores}: holds no scores; run scripts/evaluate.py --run {run.path}")
    tables = {part: read_part(part) for part in parts}
    for part, table in tables.items():
        wrong = why_not(part, snapshot_at(run.snapshots, int(table["step"].iloc[0])))
        if wrong:
            raise Mistake(f"{part}: {wrong} with its settings, or move it away")
    return _joined(tables.values(), name)


class ScoreParts:
    """Parts of a run's scores, each read once: whoever writes one does so before it is read."""

    def __init__(self, run: RunDir):
        self.run = run
        self._read: dict[Path, pd.DataFrame] = {}

    def scores(self, plans: Sequence[Plan], instrument: str, name: str) -> pd.DataFrame:
        """Return what one instrument reads in the images of some plans, one row per key.

        name: what the column `run` is to call the run. Mistake names a part that is missing, or not
        of the weights that are there.
        """
        return _joined([self._part(plan, instrument) for plan in plans], name)

    def _part(self, plan: Plan, instrument: str) -> pd.DataFrame:
        part = plan.part(self.run, instrument)
        if part not in self._read:
            wrong = why_not(part, plan.snapshot(self.run)) if part.is_file() else NOT_YET
            if wrong:
                raise Mistake(f"{part}: {wrong} (--run {self.run.path})")
        return self._of(part)

    def current(self, instrument: str) -> list[pd.DataFrame]:
        """Return the parts of one instrument of all snapshots, however they were drawn, but for
        those that are not of the weights that are there."""
        parts = sorted(self.run.scores.glob(f"step_*-{instrument}.parquet"))
        return [self._of(part) for part in parts if not why_not(part, self._snapshot(part))]

    def _snapshot(self, part: Path) -> Path | None:
        step = part.name.removeprefix("step_").split("-")[0]
        return snapshot_at(self.run.snapshots, int(step))

    def _of(self, part: Path) -> pd.DataFrame:
        if part not in self._read:
            self._read[part] = read_part(part)
        return self._read[part]


def planned(config: Config) -> list[Plan]:
    """Return the plans of all that tables and figures show: one kind of weights, and the
    baselines."""
    return [render_plan(config), memoriser_plan(config), *shown_plans(config)]


def read_samples(run: RunDir, plan: Plan) -> np.ndarray:
    """Read the images of a plan, uint8 (prompts, n, h, w, c). Mistake names a file that cannot be
    read, or is not of the weights that are there."""
    path = plan.samples_file(run)
    images, snapshot = read_samples_file(path)
    wrong = why(standing(snapshot, plan.snapshot(run)))
    if wrong:
        raise Mistake(f"{path}: {wrong} (--run {run.path})")
    return images


def _joined(parts: Iterable[pd.DataFrame], name: str) -> pd.DataFrame:
    """Return parts as one table, under one name: a run directory may have been renamed since some
    of its parts were written."""
    baselines = [RENDER, MEMORISER]
    named = [
        part.assign(run=part["run"].where(part["run"].isin(baselines), name)) for part in parts
    ]
    return join_parts(named)
