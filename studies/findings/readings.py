"""Readings of one run, as tables and figures show it, and of all other ways of evaluating it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classifiers.scores import join_parts
from studies.findings.denoiser_findings import denoiser_rows
from studies.run.measured import denoiser_parts
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.run.provenance import ORACLE
from studies.worlds.prompt_sets import PLAIN

HOW = ("weights", "sampler", "num_inference_steps", "guidance_scale", "eval_seed")


@dataclass(frozen=True)
class Readings:
    """What the instruments say of one run: rows of scores by the probe and, where there are any, by
    the oracle, and rows of the denoiser."""

    probe: pd.DataFrame
    oracle: pd.DataFrame | None
    denoiser: pd.DataFrame | None

    @classmethod
    def of(cls, experiment: Experiment, whole: bool) -> "Readings | None":
        """Read what tables and figures show of a run. whole: Mistake names a part that is missing;
        else what is there is read, and of a run that has nothing there is None."""
        probe = _scores(experiment, experiment.probe_name, whole) if _begun(experiment) else None
        if probe is None:
            return None
        asks = experiment.asks_the_oracle
        oracle = _scores(experiment, ORACLE, whole) if asks else None
        return cls(probe, oracle, _denoiser(experiment, whole))

    def only(self, concepts: Sequence[str]) -> "Readings":
        """Return the scores of some concepts; of the denoiser all, which are read together."""
        probe, oracle = (
            table if table is None else table[table["concept"].isin(concepts)]
            for table in (self.probe, self.oracle)
        )
        assert probe is not None
        return Readings(probe, oracle, self.denoiser)


def _begun(experiment: Experiment) -> bool:
    return experiment.run.scores.is_dir()


def _scores(experiment: Experiment, instrument: str, whole: bool) -> pd.DataFrame | None:
    plans = shown_plans(experiment.config)
    if not whole:
        plans = [plan for plan in plans if plan.part(experiment.run, instrument).is_file()]
    return experiment.scores(plans, instrument) if plans else None


def _denoiser(experiment: Experiment, whole: bool) -> pd.DataFrame | None:
    parts = denoiser_parts(experiment.config, experiment.run)
    if not whole and not all(map(Path.is_file, parts.values())):
        return None
    rows = denoiser_rows([experiment])
    return rows if len(rows) else None


def ways_of(experiment: Experiment, concepts: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield what the probe reads in each way in which a run was evaluated (weights, sampler, its
    steps, guidance, seed of the noise), by the settings in which they differ.

    Captions alone; of snapshots that have learned something. Parts that are not of the weights that
    are there are left out.
    """
    parts = experiment.parts.current(experiment.probe_name)
    if not parts:
        return
    scores = join_parts(parts)
    plain = (scores["intervention"] == PLAIN) & (scores["images_seen"] > 0)
    own = scores[plain & scores["concept"].isin(concepts)]
    differ = [name for name in HOW if own[name].nunique() > 1]
    for values, rows in own.groupby(differ, sort=False) if differ else ():
        told = ", ".join(f"{name} {value}" for name, value in zip(differ, values, strict=True))
        yield told, rows.assign(run=told)
