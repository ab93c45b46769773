"""Instruments of a run: the probe's certificate, and where probe and oracle agree.

What is known of them goes into print, figures and report.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.agreement import agreement_figure, disagreement_figure
from analysis.figures.certificate import degradation_figure
from analysis.tables.agreement import (
    agreement,
    disagreements,
    format_agreement,
    sure_accuracy,
    sure_rows,
)
from studies.findings.certificate_facts import degradation
from studies.run.opened import Experiment
from studies.run.plans import Plan, shown_plans
from studies.run.provenance import ORACLE

LEGENDS = {
    "certificate": "How {readers} read {originals} under noise and blur. Right: the share read as "
    "what they show; an image that is taken for no scene, unsure, counts as wrong.",
    "agreement": "How often probe and oracle say the same of the generated images in which neither "
    "is unsure; and how often each of them is.",
    "disagreements": "Images of the last snapshot in which probe and oracle read different values, "
    "though neither is unsure: what was asked, and what each of them reads otherwise.",
}


def instrument_figures(experiment: Experiment) -> dict[str, Any]:
    """Return figures by name, as LEGENDS has them. Those of the oracle are there where it has read
    the images, and pictures of disagreement where there are any."""
    figures = {"certificate": degradation_figure(degradation(experiment.certificate))}
    if experiment.asks_the_oracle:
        plans = shown_plans(experiment.config)
        figures["agreement"] = agreement_figure(agreement(*_read_both(experiment, plans)))
        apart = disagreements(*_read_both(experiment, plans[-1:]))
        if len(apart):
            images = _images(experiment, plans[-1], apart)
            figures["disagreements"] = disagreement_figure(apart, images)
    return figures


def agreement_lines(experiment: Experiment) -> list[str]:
    """Return what to say of probe and oracle: where both agree at the last snapshot, and what they
    read as asked at every one. There are no lines if the oracle was not asked."""
    if not experiment.asks_the_oracle:
        return []
    last, rows = _last_agreement(experiment), pd.DataFrame(learned_rows(experiment))
    return [
        f"probe and oracle say the same, where neither is unsure: {last}",
        f"\nread as asked by both, where neither is unsure\n{rows.to_string(index=False)}\n",
    ]


def learned_rows(experiment: Experiment) -> list[dict[str, str]]:
    """Return `sure_rows` of all snapshots; none if the oracle was not asked."""
    if not experiment.asks_the_oracle:
        return []
    return sure_rows(sure_accuracy(*_read_both(experiment, shown_plans(experiment.config))))


def legends(experiment: Experiment) -> dict[str, str]:
    """Return LEGENDS of a run, with the numbers of its last snapshot."""
    readers = " and ".join(f"the {name}" for name in experiment.certificate["degradation"])
    originals = experiment.world.originals
    certified = LEGENDS["certificate"].format(readers=readers, originals=originals)
    if not experiment.asks_the_oracle:
        return {**LEGENDS, "certificate": certified}
    last = f"{LEGENDS['agreement']} At the last snapshot: {_last_agreement(experiment)}."
    return {**LEGENDS, "certificate": certified, "agreement": last}


def _last_agreement(experiment: Experiment) -> str:
    return format_agreement(agreement(*_read_both(experiment, shown_plans(experiment.config)[-1:])))


def _read_both(experiment: Experiment, plans: Sequence[Plan]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the probe and the oracle read in the images of some plans."""
    return experiment.scores(plans, experiment.probe_name), experiment.scores(plans, ORACLE)


def _images(experiment: Experiment, plan: Plan, apart: pd.DataFrame) -> np.ndarray:
    """Return images, uint8 (rows of apart, h, w, c)."""
    questions = experiment.exam.questions[plan.intervention]
    names = [question.combination for question in questions]
    asked = [names.index(name) for name in apart["combination"]]
    return experiment.samples(plan)[asked, apart["sample"]]
