"""Scores of other prompts and interventions beside the captions: curves, and lines to print."""

import pandas as pd

from analysis.tables.other_prompts import prompt_curves
from studies.experiment.config import Config, interventions_of
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.worlds.intervention_config import Switch
from studies.worlds.prompt_sets import PLAIN


def other_sets(config: Config) -> list[str]:
    """Return what is asked beside the captions: sets of prompts, and interventions but switches,
    which have a figure of their own."""
    made = interventions_of(config)
    return [*config.evaluate.prompts, *(o.name for o in made if not isinstance(o, Switch))]


def curves_of_prompts(experiment: Experiment) -> pd.DataFrame:
    """Return what `prompt_curves` finds in the shown scores. Mistake names a part that is
    missing."""
    config = experiment.config
    sets = (PLAIN, *other_sets(config))
    plans = [plan for name in sets for plan in shown_plans(config, name)]
    return prompt_curves(experiment.scores(plans, experiment.probe_name))


def table_of_prompts(rows: list[dict[str, str]]) -> str:
    """Return `Findings.prompt_rows` as text to print, without how the sets are written."""
    return pd.DataFrame(rows).drop(columns="written").to_string(index=False)
