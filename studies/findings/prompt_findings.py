"""Other prompts beside the captions: from their scores to curves, and to lines to print."""

import pandas as pd

from analysis.tables.other_prompts import prompt_curves
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.scoring.plans import shown_plans
from studies.scoring.results import read_scores
from studies.worlds.prompt_sets import PLAIN


def curves_of_prompts(run: RunDir, config: Config, probe: str) -> pd.DataFrame:
    """What `prompt_curves` finds in the shown scores. Mistake names a part that is missing."""
    sets = (PLAIN, *config.evaluate.prompts)
    plans = [plan for name in sets for plan in shown_plans(config, name)]
    return prompt_curves(read_scores(run, config, plans, probe))


def table_of_prompts(rows: list[dict[str, str]]) -> str:
    """Those rows, ready to print, without how the sets are written."""
    return pd.DataFrame(rows).drop(columns="written").to_string(index=False)
