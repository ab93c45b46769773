"""A run, opened to look at: its tables, images, paths and report, each when it is first asked for.

from studies.findings.run import Run
run = Run("runs/quickstart")
run.accuracy        # and scores, oracle, denoiser, copies, trajectories, readouts, losses
run.images(1200)    # uint8 (combinations, n, H, W, 3)
run.write_report()
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from analysis.tables.trajectory import accuracy_sentence, final_accuracy
from ground.endings import Mistake
from ground.files import read_rows
from studies.drawing.over_training import sheet_over_training
from studies.experiment.config import Config
from studies.findings.denoiser_findings import copies_rows, denoiser_rows
from studies.findings.run_findings import Findings, colored
from studies.findings.run_report import report_is_fresh, write_run_report
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import Plan, shown_plans
from studies.run.provenance import ORACLE
from studies.worlds.prompt_sets import PLAIN


class Run:
    """One evaluated run, as researchers and scripts look at it. Tables are pandas, images NumPy.

    Attributes:
        experiment: config, world, exam and directory, and what else is behind the tables.
        findings: what figures and report show.
    """

    def __init__(self, run: Path | str | Experiment):
        """Open a run directory, or what is opened. Raises Mistake if it is none."""
        self.experiment = (
            run if isinstance(run, Experiment) else Experiment.of_run(RunDir(Path(run)))
        )
        self.findings = Findings([self.experiment])

    @property
    def config(self) -> Config:
        return self.experiment.config

    @property
    def steps(self) -> list[int]:
        """Return the training steps of the snapshots that are scored."""
        return [plan.step for plan in shown_plans(self.config)]

    @property
    def combinations(self) -> list[str]:
        """Return the names of all combinations, in the order of the images."""
        return [question.combination for question in self.experiment.exam.questions[PLAIN]]

    @property
    def held_out(self) -> list[str]:
        """Return the names of the combinations that training never shows."""
        return [self.combinations[i] for i in self.experiment.exam.held_out]

    @property
    def scores(self) -> pd.DataFrame:
        """Return what the probe reads, a row per image and concept, the baselines' too."""
        return self.findings.scores

    @cached_property
    def oracle(self) -> pd.DataFrame:
        """Return what the oracle reads, as `scores`. Raises Mistake if it was not asked."""
        return self.experiment.planned_scores(ORACLE)

    @cached_property
    def denoiser(self) -> pd.DataFrame:
        """Return what the denoiser means, a row per scene, concept and level; empty if it was not
        measured."""
        return denoiser_rows([self.experiment])

    @cached_property
    def copies(self) -> pd.DataFrame:
        """Return how near each image is to training images; empty if it was not measured."""
        return copies_rows(self.experiment)

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Return a row per logged training step: its loss, of parts of the batch too."""
        return pd.DataFrame(read_rows(self.experiment.run.path / "metrics.jsonl"))

    @property
    def accuracy(self) -> pd.DataFrame:
        """Return the share read as asked by snapshot, split and concept, with 95 % intervals."""
        return self.findings.curves

    @property
    def trajectories(self) -> pd.DataFrame:
        """Return where each combination stands in concept space at each snapshot: the mean
        probability of the asked value."""
        return self.findings.paths

    @property
    def readouts(self) -> pd.DataFrame:
        """Return what each instrument says of each concept, by snapshot and split, with 95 %
        intervals: probe, oracle and, at each level, the denoiser."""
        return self.findings.readouts.curves

    @property
    def learned(self) -> pd.DataFrame:
        """Return when each concept is learned, by each instrument."""
        return self.findings.readouts.learned

    def images(self, step: int | None = None) -> np.ndarray:
        """Return samples of a snapshot, None: the last, uint8 (combinations, n, H, W, 3).

        Image k of a combination starts from the same noise at every snapshot. Raises Mistake for a
        step that is not scored.
        """
        return colored(self.experiment.samples(self._plan(step)))

    def _plan(self, step: int | None) -> Plan:
        plans = {plan.step: plan for plan in shown_plans(self.config)}
        chosen = self.steps[-1] if step is None else step
        if chosen not in plans:
            raise Mistake(f"step: got {chosen}, allowed {', '.join(map(str, plans))}")
        return plans[chosen]

    def sheet(self) -> Image.Image:
        """Return a picture of samples over training, which a notebook shows: a row per combination,
        along it from the same noise."""
        return sheet_over_training(self.experiment, shown_plans(self.config))

    def sentences(self) -> list[str]:
        """Return what is found, a sentence each, with intervals."""
        accuracy = accuracy_sentence(final_accuracy(self.accuracy))
        return [accuracy, *self.findings.readouts.sentences()]

    def write_report(self) -> Path:
        """Write figures and report.html, unless they are made from these scores already; return
        the page."""
        run = self.experiment.run
        if not report_is_fresh(self.findings):
            names = self.findings.draw(run.figures)
            pictures = {name: (run.figures / f"{name}.png").read_bytes() for name in names}
            write_run_report(self.findings, pictures)
        return run.report
