"""What of a run is explored in its report: every kind of weights that is scored, with its tables
and samples."""

import numpy as np
import pandas as pd

from analysis.report.explored import Explored, View, explored
from studies.experiment.config import scored_weights
from studies.findings.denoiser_findings import copies_rows
from studies.findings.readings import Readings
from studies.findings.run_findings import colored
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.worlds.prompt_sets import PLAIN

NAMES = {"ema": "averaged (EMA)", "raw": "raw"}


def explored_run(experiment: Experiment, runs: int = 1) -> Explored:
    """Return the data of the explorable part of a run's report. Mistake names what is missing of
    the weights that are shown; of others what is there counts. runs: on the page."""
    shown, *others = scored_weights(experiment.config.evaluate)
    views = [_view(experiment, shown, whole=True)]
    views += [_view(experiment.showing(name), name, whole=False) for name in others]
    return explored([view for view in views if view], _combinations(experiment), runs)


def explored_so_far(experiment: Experiment) -> Explored | None:
    """Return the data of what is scored of a run at work, with the weights that are shown; None if
    nothing is."""
    view = _view(experiment, experiment.config.evaluate.weights, whole=False)
    return explored([view], _combinations(experiment)) if view else None


def _combinations(experiment: Experiment) -> list[str]:
    return [question.combination for question in experiment.exam.questions[PLAIN]]


def _view(experiment: Experiment, weights: str, whole: bool) -> View | None:
    readings = Readings.of(experiment, whole)
    if readings is None:
        return None
    plans = {plan.step: plan for plan in shown_plans(experiment.config)}

    def samples(step: int) -> np.ndarray:
        return colored(experiment.samples(plans[step]))

    return View(
        NAMES[weights],
        readings.probe,
        samples,
        readings.oracle,
        readings.denoiser,
        _copies(experiment, whole),
    )


def _copies(experiment: Experiment, whole: bool) -> pd.DataFrame | None:
    return copies_rows(experiment) if whole else None
