"""What is known of a run's instruments: the probe's certificate, and where probe and oracle agree.

For print, figures and report.
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
from classifiers.certificate import probe_name
from studies.experiment.config import Config
from studies.findings.certificate_facts import degradation
from studies.run.directory import RunDir
from studies.scoring.plans import Plan, has_oracle, instruments, shown_plans
from studies.scoring.probing import ORIGINALS, read_certificate
from studies.scoring.results import read_samples, read_scores
from studies.worlds.exams import Exam

CAPTIONS = {
    "certificate": "How {readers} read {originals} under noise and blur. Right: the share read as "
    "what they show; an image that is taken for no scene, unsure, counts as wrong.",
    "agreement": "How often probe and oracle say the same of the generated images in which neither "
    "is unsure; and how often each of them is.",
    "disagreements": "Images of the last snapshot in which probe and oracle read different values, "
    "though neither is unsure: what was asked, and what each of them reads otherwise.",
}


def instrument_figures(run: RunDir, config: Config, exam: Exam) -> dict[str, Any]:
    """Figures by name, as CAPTIONS has them; those of the oracle where it has read the images, and
    pictures of disagreement where there are any."""
    figures = {"certificate": degradation_figure(degradation(read_certificate(run)))}
    if has_oracle(config):
        figures["agreement"] = agreement_figure(
            agreement(*_read_both(run, config, shown_plans(config)))
        )
        last = shown_plans(config)[-1]
        apart = disagreements(*_read_both(run, config, [last]))
        if len(apart):
            figures["disagreements"] = disagreement_figure(apart, _images(run, exam, last, apart))
    return figures


def agreement_lines(run: RunDir, config: Config) -> list[str]:
    """What to say of probe and oracle: where both agree at the last snapshot, and what they read as
    asked at every one; nothing if the oracle was not asked."""
    if not has_oracle(config):
        return []
    last, rows = _last_agreement(run, config), pd.DataFrame(learned_rows(run, config))
    return [
        f"probe and oracle say the same, where neither is unsure: {last}",
        f"\nread as asked by both, where neither is unsure\n{rows.to_string(index=False)}\n",
    ]


def learned_rows(run: RunDir, config: Config) -> list[dict[str, str]]:
    """`sure_rows` of all snapshots; nothing if the oracle was not asked."""
    if not has_oracle(config):
        return []
    return sure_rows(sure_accuracy(*_read_both(run, config, shown_plans(config))))


def captions(run: RunDir, config: Config) -> dict[str, str]:
    """CAPTIONS of a run, with the numbers of its last snapshot."""
    readers = " and ".join(f"the {name}" for name in read_certificate(run)["degradation"])
    originals = ORIGINALS[config.world.kind]
    certified = CAPTIONS["certificate"].format(readers=readers, originals=originals)
    if not has_oracle(config):
        return {**CAPTIONS, "certificate": certified}
    last = f"{CAPTIONS['agreement']} At the last snapshot: {_last_agreement(run, config)}."
    return {**CAPTIONS, "certificate": certified, "agreement": last}


def _last_agreement(run: RunDir, config: Config) -> str:
    return format_agreement(agreement(*_read_both(run, config, shown_plans(config)[-1:])))


def _read_both(
    run: RunDir, config: Config, plans: Sequence[Plan]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    probe, oracle = (
        read_scores(run, config, plans, name)
        for name in instruments(config, probe_name(read_certificate(run)))
    )
    return probe, oracle


def _images(run: RunDir, exam: Exam, plan: Plan, apart: pd.DataFrame) -> np.ndarray:
    """uint8 (rows of apart, h, w, c)."""
    names = [question.combination for question in exam.questions[plan.intervention]]
    asked = [names.index(name) for name in apart["combination"]]
    return read_samples(run, plan)[asked, apart["sample"]]
