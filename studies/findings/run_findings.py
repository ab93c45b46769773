"""Findings of one or more runs: their tables and figures, from their scores.

What is found of one run is found of many, one after the other; where a variant has several seeds,
its mean over them is found too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.other_prompts import prompt_figure
from analysis.figures.run import accuracy_figure, sample_grid_figure
from analysis.figures.style import save_figure, short_count
from analysis.figures.variants import variant_accuracy_figure
from analysis.tables.other_prompts import prompt_rows
from analysis.tables.trajectory import (
    accuracy_curves,
    concept_trajectories,
    final_accuracy,
    format_accuracy,
    in_reading_order,
    joint_right,
)
from analysis.tables.variants import curves_over_seeds
from ground.files import write_text
from studies.experiment.config import scored_weights
from studies.findings.denoiser_findings import LEGENDS as DENOISER_LEGENDS
from studies.findings.denoiser_findings import denoiser_figures, denoiser_tables
from studies.findings.elicitation_findings import LEGENDS as ELICITATION_LEGENDS
from studies.findings.elicitation_findings import elicitation_figures
from studies.findings.instruments import LEGENDS, instrument_figures
from studies.findings.outcomes import outcomes_of_runs
from studies.findings.prompt_findings import curves_of_prompts, other_sets
from studies.findings.readouts import Readouts
from studies.run.opened import Experiment
from studies.run.plans import MEMORISER, RENDER, shown_plans
from studies.run_sets.discovery import variant_name
from studies.run_sets.run_set import RunSet, RunTable, scores_by_run
from studies.worlds.exams import Exam


@dataclass(frozen=True)
class Findings:
    """Findings from the scores of one or more runs of one world.

    Attributes:
        experiments: one run, or as many as run_set has, in its order and by its names.
        run_set: of several runs, where their scores are read: those that are there.
        concepts: that `readouts` looks at; none: all.
    """

    experiments: Sequence[Experiment]
    run_set: RunSet | None = None
    concepts: Sequence[str] = ()

    @classmethod
    def of(cls, run_set: RunSet, concepts: Sequence[str] = ()) -> "Findings":
        """Return the findings of those runs of a set that have begun."""
        begun = run_set.only([m for m in run_set.members if m.run.config_file.is_file()])
        return cls([*map(begun.experiment, begun.members)], begun, concepts)

    @property
    def first(self) -> Experiment:
        """Return the first run, of which alone some is shown."""
        return self.experiments[0]

    @property
    def exam(self) -> Exam:
        return self.first.exam

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return what the probe reads in the images of all runs; the oracle's readings are a table
        of their own. The column `split` is what the exam compares."""
        return pd.concat([*self.of_each_run()], ignore_index=True)

    def of_each_run(self) -> Iterator[pd.DataFrame]:
        """Yield the scores of each run that has some, with its label, so that one run at a time
        need be in memory."""
        tables: Iterable[pd.DataFrame] = (e.planned_scores(e.probe_name) for e in self.experiments)
        if self._shown is not None:
            tables = scores_by_run(self._shown)
        for scores in tables:
            yield scores.assign(split=scores[self.exam.compared])

    @cached_property
    def _shown(self) -> RunTable | None:
        return self.run_set.shown() if self.run_set is not None else None

    @cached_property
    def about(self) -> pd.DataFrame:
        """Return a row per run: run, variant, seed and the fields in which variants differ."""
        if self.run_set is not None:
            return self.run_set.settings.rename(columns={"name": "run"})
        runs = [(e.label, variant_name({}), e.config.seed) for e in self.experiments]
        return pd.DataFrame(runs, columns=["run", "variant", "seed"])

    @property
    def variants(self) -> dict[str, str]:
        """Return the variant of each run."""
        return dict(zip(self.about["run"], self.about["variant"], strict=True))

    @cached_property
    def curves(self) -> pd.DataFrame:
        return pd.concat([*map(accuracy_curves, self.of_each_run())], ignore_index=True)

    @cached_property
    def curves_over_seeds(self) -> pd.DataFrame:
        """Return the mean curves of each variant, with intervals over its seeds."""
        return curves_over_seeds(self.curves, self.about)

    @cached_property
    def paths(self) -> pd.DataFrame:
        """Return where each combination of each run stands in concept space, by its samples."""
        return pd.concat([*map(concept_trajectories, self.of_each_run())], ignore_index=True)

    @cached_property
    def readouts(self) -> Readouts:
        """Return what several instruments say of the runs, and whether they agree."""
        return Readouts(self.experiments, self.about, self.concepts)

    @cached_property
    def prompt_curves(self) -> pd.DataFrame:
        """Return the curves of other prompts beside the captions, of the first run."""
        return curves_of_prompts(self.first)

    def prompt_rows(self) -> list[dict[str, str]]:
        """Return rows of other prompts beside the captions, if any, at the last snapshot of the
        first run."""
        asked = other_sets(self.first.config)
        return prompt_rows(self.prompt_curves, self.exam.templates) if asked else []

    def table(self) -> str:
        """Return the accuracy at the last snapshot, ready to print."""
        return format_accuracy(final_accuracy(self.curves), self.exam.concepts)

    def tables(self) -> dict[str, str]:
        """Return `table` of the shown weights or, where the others are scored too, of both by
        name."""
        if not self.first.config.evaluate.both_weights:
            return {"": self.table()}
        return {f", {name}": findings.table() for name, findings in self._by_weights.items()}

    @cached_property
    def _by_weights(self) -> dict[str, "Findings"]:
        """Return the findings of every kind of weights that is scored, the shown ones first."""
        return {
            name: self if name == self.first.config.evaluate.weights else self._showing(name)
            for name in scored_weights(self.first.config.evaluate)
        }

    def _showing(self, weights: Any) -> "Findings":
        return Findings([e.showing(weights) for e in self.experiments])

    def weights(self) -> str:
        """Return text that says which weights are shown, and how others compare."""
        shown, *others = self._by_weights
        return "; ".join([f"{shown} shown", *(f"{n}: {self._joint(n)}" for n in others)])

    def _joint(self, weights: str) -> str:
        final = final_accuracy(self._by_weights[weights].curves)
        joint = final[final["measure"] == "joint"].set_index("split")["accuracy"]
        splits = in_reading_order(joint.index)
        return "joint accuracy " + ", ".join(f"{split} {joint[split]:.3f}" for split in splits)

    def first_step_accuracy(self) -> float:
        """Return the joint accuracy over all combinations at the first scored step."""
        generated = self.scores[~self.scores["run"].isin([RENDER, MEMORISER])]
        return _joint_accuracy(generated[generated["step"] == generated["step"].min()])

    def ceiling(self) -> float:
        """Return the joint accuracy of the world's own images of all that is asked, by the same
        probe."""
        return _joint_accuracy(self.scores[self.scores["run"] == RENDER])

    def floor(self) -> str:
        """Return the joint accuracy of the memoriser, per split: what copying alone would reach."""
        rows = self.scores[self.scores["run"] == MEMORISER]
        splits = in_reading_order(rows["split"])
        return ", ".join(f"{s} {_joint_accuracy(rows[rows['split'] == s]):.3f}" for s in splits)

    def draw(self, directory: Path) -> dict[str, Any]:
        """Write figures and return them by name: accuracy, what the exam has to show, readouts of
        several instruments, what the denoiser means where that was measured, and a sample grid per
        run; of one run, those of its instruments, other prompts and interventions too. The numbers
        of most lie beside them as CSV."""
        directory.mkdir(parents=True, exist_ok=True)
        measured = denoiser_tables(self.experiments)
        figures = {"accuracy": self._accuracy_figure()}
        figures |= self.exam.figures(self.of_each_run(), self.variants)
        figures |= self.readouts.figures()
        figures |= denoiser_figures(measured, lambda: self.paths)
        if len(self.experiments) == 1:
            figures |= instrument_figures(self.first) | elicitation_figures(self.first)
            legends = {*LEGENDS, *DENOISER_LEGENDS, *ELICITATION_LEGENDS, "runs_agree"}
            _remove_older(directory, legends - {*figures})
            if other_sets(self.first.config):
                figures["prompts"] = prompt_figure(self.prompt_curves)
        for one in filter(self._has_samples, self.experiments):
            name = "samples" if len(self.experiments) == 1 else f"samples-{one.label}"
            figures[name] = sample_grid(one)
        for name, figure in figures.items():
            save_figure(figure, directory / name)
        for name, table in self._numbers(figures, measured).items():
            write_csv(directory / f"{name}.csv", table)
        return figures

    def _numbers(
        self, figures: Iterable[str], measured: Mapping[str, pd.DataFrame]
    ) -> dict[str, pd.DataFrame]:
        """Return the tables that are kept beside the figures, by their names."""
        tables = {"accuracy": self.curves_over_seeds if self._is_several else self.curves}
        tables |= {"trajectories": self.paths} if "trajectories" in figures else {}
        tables |= {"prompts": self.prompt_curves} if "prompts" in figures else {}
        outcomes, _ = outcomes_of_runs(self.experiments, self.about)
        tables |= {"outcomes": outcomes} if len(outcomes) else {}
        return {**tables, **self.readouts.tables(), **measured}

    @property
    def _is_several(self) -> bool:
        return len({*self.variants.values()}) > 1

    def _has_samples(self, experiment: Experiment) -> bool:
        """Return whether a sample grid can be drawn; a run alone must have all that it needs."""
        plans = shown_plans(experiment.config)
        there = all(plan.samples_file(experiment.run).is_file() for plan in plans)
        return there or self.run_set is None

    def _accuracy_figure(self) -> Any:
        """Return the curves of the runs or, of several variants, of each variant."""
        chance = self.exam.chance
        if self._is_several:
            return variant_accuracy_figure(self.curves_over_seeds, chance)
        several = len(self.experiments) > 1
        return accuracy_figure(self.curves, chance, self.curves_over_seeds if several else None)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    write_text(path, table.to_csv(index=False))


def _remove_older(directory: Path, names: Iterable[str]) -> None:
    """Remove figures of which there is nothing to show any more."""
    for name in names:
        for suffix in (".png", ".pdf", ".csv"):
            (directory / f"{name}{suffix}").unlink(missing_ok=True)


def _joint_accuracy(scores: pd.DataFrame) -> float:
    """Return the share of images with every concept right. Combinations count alike, however many
    images there are of each."""
    return float(joint_right(scores).groupby("combination").mean().mean())


def sample_grid(experiment: Experiment) -> Any:
    """Return a figure of samples. Rows: what the exam shows; columns: snapshots; sample 0 of
    each."""
    plans, exam = shown_plans(experiment.config), experiment.exam
    columns = [experiment.samples(plan)[[*exam.shown], 0] for plan in plans]
    return sample_grid_figure(
        colored(np.stack(columns, axis=1)),
        [*exam.shown.values()],
        [short_count(plan.images_seen) for plan in plans],
    )


def colored(images: np.ndarray) -> np.ndarray:
    """Return uint8 (..., 3) of images that are (..., 3) or, gray, (..., 1)."""
    return np.broadcast_to(images, (*images.shape[:-1], 3))
