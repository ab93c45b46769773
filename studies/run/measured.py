"""Tables that measurements have left beside the scores, read back: of the denoiser, of copies.

Nothing is read that does not belong to the weights that are there (studies/run/provenance.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ground.endings import Mistake
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.plans import MEMORISER, RENDER, Plan, shown_plans
from studies.run.provenance import why_not
from studies.run.results import NOT_YET, planned
from studies.run.tables import read_part_rows
from studies.worlds.denoiser_config import DenoiserConfig
from studies.worlds.intervention_config import file_part
from studies.worlds.prompt_sets import PLAIN

DENOISER, COPIES = "denoiser", "copies"  # the tables, and what their parts are called


def denoiser_part(plan: Plan, settings: DenoiserConfig) -> str:
    """Return the name of a part of `denoiser`: of which snapshot, under which intervention, and
    measured how."""
    made = "" if plan.intervention == PLAIN else f"{file_part(plan.intervention)}-"
    levels = "_".join(f"{level:g}" for level in settings.levels)
    scenes = f"scenes{settings.scenes}_{settings.training_scenes}"
    how = f"{scenes}-renders{settings.renders}-levels{levels}"
    return f"{_of_snapshot(plan)}{made}{how}-{DENOISER}.parquet"


def denoiser_parts(config: Config, run: RunDir, intervention: str = PLAIN) -> Mapping[Plan, Path]:
    """Return the parts of `denoiser` that tables and figures show, in the order of the snapshots:
    of the prompts as they are, or under an intervention, by its name.

    Those that the config asks for, or, if it asks for none, those that later evaluations have left:
    of the settings that measured most of the snapshots. There may be none.
    """
    plans, folder = shown_plans(config, intervention), run.table(DENOISER)
    if config.evaluate.denoiser.levels:
        settings = config.evaluate.denoiser
        return {plan: folder / denoiser_part(plan, settings) for plan in plans}
    there = {
        plan: {path.name.removeprefix(_of_snapshot(plan)): path for path in sorted(found)}
        for plan in plans
        if (found := [*folder.glob(f"{_of_snapshot(plan)}scenes*")])
    }
    counts = Counter(how for names in there.values() for how in names)
    how = next((how for how, _ in counts.most_common(1)), None)
    return {plan: names[how] for plan, names in there.items() if how in names} if how else {}


def copies_parts(config: Config, run: RunDir) -> Mapping[Plan, Path]:
    """Return the parts of `copies` that tables and figures show: those that the config asks for, or
    that are there."""
    parts = {plan: plan.part(run, COPIES, COPIES) for plan in planned(config)}
    asked = config.evaluate.copies
    return {plan: part for plan, part in parts.items() if asked or part.is_file()}


def read_measured(parts: Mapping[Plan, Path], run: RunDir, name: str) -> pd.DataFrame:
    """Read parts as one table; empty if there are none. name: what the column `run` is to call the
    run. Mistake names a part that is missing, or not of the weights that are there."""
    tables: Sequence[pd.DataFrame] = [_read(plan, part, run) for plan, part in parts.items()]
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables, ignore_index=True)
    return table.assign(run=table["run"].where(table["run"].isin([RENDER, MEMORISER]), name))


def _read(plan: Plan, part: Path, run: RunDir) -> pd.DataFrame:
    wrong = why_not(part, plan.snapshot(run)) if part.is_file() else NOT_YET
    if wrong:
        raise Mistake(f"{part}: {wrong} (--run {run.path})")
    rows = read_part_rows(part)
    return rows if "intervention" in rows else rows.assign(intervention=PLAIN)  # older versions


def _of_snapshot(plan: Plan) -> str:
    """Return how the names of a snapshot's parts of `denoiser` begin."""
    return f"step_{plan.step:08d}-{plan.weights}-seed{plan.eval_seed}-"
