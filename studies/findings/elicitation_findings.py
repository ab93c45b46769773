"""Findings of interventions: figures, and facts of what is elicited before it is prompted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.elicitation import (
    elicitation_figure,
    elicited_obedience_figure,
    switch_figure,
)
from analysis.figures.style import short_count
from analysis.measures.elicitation import Elicitation
from analysis.tables.denoiser import obedience_curves
from analysis.tables.elicitation import (
    elicitation_curves,
    elicitation_table,
    elicitations,
    switch_shares,
)
from studies.experiment.config import interventions_of
from studies.run.measured import denoiser_parts, read_measured
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.worlds.intervention_config import Switch
from studies.worlds.prompt_sets import PLAIN

LEGENDS = {
    "elicitation": "Is a capability there before plain prompts show it? Joint accuracy on held-out "
    "combinations by plain prompts, and by the best intervention of each kind, which is picked on "
    "even samples and read off odd ones, and the other way round. Upright lines: where the "
    "isotonic fit crosses .8.",
    "elicited_obedience": "What the denoiser means under interventions, told held-out "
    "combinations: how far its answer lies from that to the changed prompts, as a share of the "
    "ideal move.",
    "switch": "When is a concept decided in sampling? Share of images that show the asked value, "
    "if another value was asked for in the first steps. Bands: 95 % intervals over noise.",
}
KINDS = {
    "over_prompt": "over-prompt",
    "latent": "latent shift",
    "patch": "conditioner of another snapshot",
    "guidance": "guidance",
}


def eliciting(experiment: Experiment) -> dict[str, str]:
    """Return the kind of every intervention that is to elicit, by name: of all but switches, and of
    sets of prompts that ask for whole combinations."""
    asked, made = experiment.exam.questions, interventions_of(experiment.config)
    whole = {
        name: "other prompts"
        for name in experiment.config.evaluate.prompts
        if all(question.split != "partial" for question in asked[name])
    }
    return {**whole, **{one.name: KINDS[one.kind] for one in made if one.kind in KINDS}}


def elicitation_figures(experiment: Experiment) -> dict[str, Any]:
    """Return figures by name, as LEGENDS has them; none of what was not asked."""
    figures, found = {}, elicited(experiment)
    if found:
        figures["elicitation"] = elicitation_figure(
            elicitation_curves(found), elicitation_table(found)
        )
    curves = _obedience(experiment)
    if curves["obedience"].notna().any():
        figures["elicited_obedience"] = elicited_obedience_figure(curves)
    switches = _switches(experiment)
    if switches:
        shares = switch_shares(_scores(experiment, [*switches]), switches)
        figures["switch"] = switch_figure(shares)
    return figures


def elicitation_facts(experiment: Experiment) -> dict[str, str]:
    """Return when each kind of intervention elicits what plain prompts ask for, in images seen, and
    whether that is sooner; nothing if none was made."""
    found = elicited(experiment)
    if not found:
        return {}
    rows = elicitation_table(found).to_dict("records")
    text = "; ".join(f"{row['kind']}: {_sentence(row)}" for row in rows)
    return {"elicited before prompted, held-out, in images seen": text}


def elicited(experiment: Experiment) -> Mapping[str, Elicitation]:
    """Return `elicitations` of a run, by kind of intervention; none if none was made. Mistake names
    a part that is missing."""
    kinds = eliciting(experiment)
    return elicitations(_scores(experiment, [*kinds]), kinds) if kinds else {}


def _obedience(experiment: Experiment) -> pd.DataFrame:
    """Return `obedience_curves` of held-out combinations, of plain prompts and under each
    intervention; no rows where the denoiser was not asked to be measured under any."""
    config, run = experiment.config, experiment.run
    made = interventions_of(config) if config.evaluate.denoiser.levels else ()
    names = [one.name for one in made if one.kind in KINDS and one.of == "held_out"]
    tables = [pd.DataFrame(columns=["intervention", "obedience"])]
    for name in [PLAIN, *names] if names else []:
        rows = read_measured(denoiser_parts(config, run, name), run, experiment.label)
        held_out = rows[rows["split"] == "held_out"]
        tables.append(obedience_curves(held_out).assign(intervention=name))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _switches(experiment: Experiment) -> dict[str, tuple[str, float]]:
    made = interventions_of(experiment.config)
    return {one.name: (one.concept, one.at) for one in made if isinstance(one, Switch)}


def _scores(experiment: Experiment, names: list[str]) -> pd.DataFrame:
    """Return what the probe reads of the captions and under interventions. Mistake names a part
    that is missing."""
    plans = [plan for name in (PLAIN, *names) for plan in shown_plans(experiment.config, name)]
    return experiment.scores(plans, experiment.probe_name)


def _sentence(row: Mapping[Any, Any]) -> str:
    prompted, elicited = (_when(row, name) for name in ("prompted", "elicited"))
    if row["before"] is None:
        return "undecided, neither reaches .8"
    ratio = f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
    least = " or more" if np.isinf(row["prompted_by"]) else ""
    verdict = "sooner" if row["before"] else "not shown to be sooner"
    return f"{verdict}, elicited {elicited}, prompted {prompted}, {ratio} times as many{least}"


def _when(row: Mapping[Any, Any], name: str) -> str:
    """Return a time as text: "at 34k", "after 41k" or "before 512"."""
    if np.isfinite(row[name]):
        return f"at {short_count(row[name])}"
    if np.isinf(row[f"{name}_by"]):
        return f"after {short_count(row[f'{name}_after'])}"
    return f"before {short_count(row[f'{name}_by'])}"
