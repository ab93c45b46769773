"""Findings of what the denoiser means and what is copied: figures, and facts of the two clocks."""

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.denoiser import denoiser_path_figure, obedience_figure
from analysis.figures.style import short_count
from analysis.tables.copies import copied_shares, memory_clock
from analysis.tables.denoiser import obedience_curves, rule_clock
from analysis.tables.trajectory import BASELINES
from studies.run.measured import copies_parts, denoiser_parts, read_measured
from studies.run.opened import Experiment

LEGENDS = {
    "obedience": "What the denoiser means, told each held-out or training combination. Obedience: "
    "how far the word moves its answer, as a share of the ideal move. Coordinate: where its answer "
    "stands, 1 ideal, 0 as of the other value. Score error: squared distance from the ideal answer "
    "(black), and its part along each concept. Level: the share of signal, alpha-bar, in what it "
    "sees. Bands: 95 % intervals over scenes.",
    "denoiser_paths": "Paths of the held-out combinations: of samples, as the probe reads them, "
    "and of the denoiser itself at each level, by obedience and by coordinate.",
}


def denoiser_rows(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return the shown rows of `denoiser` of some runs. Of several those that have all of them; of
    one, Mistake names a part that is missing."""
    parts = [denoiser_parts(e.config, e.run) for e in experiments]
    whole = [len(parts) == 1 or all(map(Path.is_file, own.values())) for own in parts]
    return _together([*compress(parts, whole)], [*compress(experiments, whole)])


def copies_rows(experiment: Experiment) -> pd.DataFrame:
    """Return the shown rows of `copies`, baselines too; none if none are there."""
    return _together([copies_parts(experiment.config, experiment.run)], [experiment])


def _together(parts: Sequence[Any], experiments: Sequence[Experiment]) -> pd.DataFrame:
    tables = [read_measured(own, e.run, e.label) for own, e in zip(parts, experiments, strict=True)]
    return pd.concat([pd.DataFrame(), *tables], ignore_index=True)


def denoiser_tables(experiments: Sequence[Experiment]) -> dict[str, pd.DataFrame]:
    """Return the curves that figures show, by their names, as LEGENDS has them; none where the
    denoiser was not measured."""
    rows = denoiser_rows(experiments)
    if rows.empty:
        return {}
    tables = {"obedience": obedience_curves(rows)}
    held_out = rows[rows["split"] == "held_out"]
    if len(held_out) and held_out["concept"].nunique() > 1:
        tables["denoiser_paths"] = obedience_curves(held_out, by="combination")
    return tables


def denoiser_figures(
    tables: Mapping[str, pd.DataFrame], paths: Callable[[], pd.DataFrame]
) -> dict[str, Any]:
    """Return figures of `denoiser_tables`, by the same names.

    paths: gives `concept_trajectories` of the samples of the same runs, if they are needed.
    """
    figures = {}
    if "obedience" in tables:
        figures["obedience"] = obedience_figure(tables["obedience"])
    if "denoiser_paths" in tables:
        figures["denoiser_paths"] = denoiser_path_figure(tables["denoiser_paths"], paths())
    return figures


def clock_facts(experiment: Experiment) -> dict[str, str]:
    """Return facts of the two clocks, in images seen: when each word is obeyed by half on held-out
    combinations, and when half of the samples are copies; none of what was not measured."""
    rows, copies = denoiser_rows([experiment]), copies_rows(experiment)
    facts = {}
    if len(rows):
        clock = rule_clock(rows).groupby("level")
        texts = [f"level {level:g}: {_concepts(own)}" for level, own in clock]
        facts["images seen until obedience is .5, held-out"] = "; ".join(texts) or "not measured"
    if len(copies):
        (memory,) = memory_clock(copies).to_dict("records")
        facts["images seen until half of the samples are copies"] = _when(memory)
        facts["copies among the images of the last snapshot"] = _copied(copies)
    return facts


def measured_files(experiment: Experiment) -> list[Path]:
    """Return the files that figures and facts are made from."""
    config, run = experiment.config, experiment.run
    return [*denoiser_parts(config, run).values(), *copies_parts(config, run).values()]


def _concepts(clock: pd.DataFrame) -> str:
    return ", ".join(f"{row['concept']} {_when(row)}" for row in clock.to_dict("records"))


def _when(clock: Any) -> str:
    """Return when a curve crosses, as text: "34k [32k, 35k]", "after 41k" or "before 512"."""
    if np.isnan(clock["images_seen"]):
        after = clock["after"] > 0
        return f"after {_count(clock['after'])}" if after else f"before {_count(clock['before'])}"
    low, high = (_count(clock[name]) for name in ("low", "high"))
    return f"{_count(clock['images_seen'])} [{low}, {high}]"


def _count(images: float) -> str:
    return "never" if np.isinf(images) else short_count(images)


def _copied(copies: pd.DataFrame) -> str:
    """Return the share of copies at the last snapshot and of the baselines, by split, as text."""
    shares = copied_shares(copies)
    own = shares[~shares["run"].isin(BASELINES)]
    last = own[own["step"] == own["step"].max()]
    texts = [f"{row['split']} {row['copied']:.3f}" for row in last.to_dict("records")]
    means = copied_shares(copies.assign(split="")).set_index("run")["copied"]
    texts += [f"{name} {means[name]:.3f}" for name in BASELINES if name in means]
    return ", ".join(texts)
