"""Outcomes of runs on bumps: what each composes and interpolates, and how much it was shown."""

from collections.abc import Sequence

import pandas as pd

from ground.endings import Mistake
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.worlds.bumps.exam import BumpExam


def outcomes_of_runs(
    experiments: Sequence[Experiment], about: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return `BumpExam.outcomes` of every run on bumps, with the columns of `about`; and of those
    whose scores cannot be read, by name, why not."""
    found, refused = [pd.DataFrame(columns=["run"])], {}
    for experiment in experiments:
        exam = experiment.exam
        if isinstance(exam, BumpExam):
            try:
                last = shown_plans(experiment.config)[-1:]
                scores = experiment.scores(last, experiment.probe_name)
            except Mistake as mistake:
                refused[experiment.label] = str(mistake)
            else:
                found.append(exam.outcomes(scores).assign(run=experiment.label))
    return about.merge(pd.concat(found, ignore_index=True), on="run"), refused
