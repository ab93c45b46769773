"""Experiments, opened: what follows from a config and its run directory, each found once."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from classifiers.certificate import load_probe, probe_name
from classifiers.probe import Probe
from diffusion.model import DiffusionModel, build_model
from ground.endings import Mistake
from ground.files import hash_json
from studies.experiment.config import Config, interventions_of, replace_world
from studies.run.certificate import read_certificate
from studies.run.directory import RunDir
from studies.run.plans import Plan
from studies.run.results import ScoreParts, planned, read_samples
from studies.worlds.exams import Exam
from studies.worlds.images import Training, WorldImages
from studies.worlds.kind import KindOfWorld
from studies.worlds.tasks import Task

OF_THE_WORLD = ("opened", "images", "training")  # what another config may share
OF_THE_PROBE = ("certificate", "probe")


class Experiment:
    """One experiment in its run directory, opened once and handed to all that work on it.

    What takes time is found when it is first asked for, and then kept: the world's files and
    images, the questions, the probe with its certificate, the scores.

    Attributes:
        config: checked, since every config is.
        run: where it runs; nothing needs to be there.
        label: what tables and figures call it.
    """

    def __init__(self, config: Config, run: RunDir, opened: Any = None):
        """Open an experiment. opened: the world with its files, if somebody has read them."""
        self.config, self.run, self.label = config, run, config.name
        self._last_samples: tuple[Plan, np.ndarray] | None = None
        if opened is not None:
            self.opened = opened

    @classmethod
    def of_run(cls, run: RunDir) -> "Experiment":
        """Open what a run directory holds. Raises Mistake if it is none."""
        return cls(run.read_config(), run)

    def changed(self, config: Config) -> "Experiment":
        """Return this experiment with another config; what the change does not touch stays
        known."""
        if config == self.config:
            return self
        other = self.beside(config, self.run)
        known = ["parts"]
        if self._same_world(config) and config.probe == self.config.probe:
            known += OF_THE_PROBE
        known += ["label"] if config.name == self.config.name else []
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k in known})
        return other

    def beside(self, config: Config, run: RunDir) -> "Experiment":
        """Return the experiment of another run; the world stays known, if it is the same."""
        other = Experiment(config, run)
        if self._same_world(config):
            other._share_world(self)
        return other

    def _same_world(self, config: Config) -> bool:
        return (config.world, config.captions) == (self.config.world, self.config.captions)

    def _share_world(self, other: "Experiment") -> None:
        self.__dict__.update({k: v for k, v in other.__dict__.items() if k in OF_THE_WORLD})

    def forget_probe(self) -> None:
        """Forget the run's probe and certificate: another probe is linked into the run."""
        for name in OF_THE_PROBE:
            self.__dict__.pop(name, None)

    def with_contents(self) -> "Experiment":
        """Return this experiment with a config that says what the world's files hold, so that other
        files are another experiment."""
        if getattr(self.config.world, "contents", "") is not None:
            return self
        contents = self.images.contents()
        other = self.changed(replace_world(self.config, contents=contents))
        other._share_world(self)
        return other

    def named(self, name: str) -> "Experiment":
        """Return this experiment under another name, for tables and figures."""
        other = copy(self)
        other.label = name
        return other

    def showing(self, weights: Any) -> "Experiment":
        """Return this experiment with tables and figures of a kind of weights: ema or raw."""
        evaluate = replace(self.config.evaluate, weights=weights)
        return self.changed(replace(self.config, evaluate=evaluate))

    @property
    def world(self) -> KindOfWorld:
        """Return the checked world, as far as its config tells."""
        return self.config.terms

    @cached_property
    def opened(self) -> Any:
        """Return the world of data_gen with what is in its files. Raises Mistake if these are not
        as the config says. Imports no torch."""
        return self.world.with_files()

    @cached_property
    def images(self) -> WorldImages:
        """Return where the world's images come from."""
        return self.world.images(self.opened)

    @cached_property
    def training(self) -> Training:
        """Return what a model is shown. Raises Mistake on a leak."""
        return self.images.training()

    @cached_property
    def exam(self) -> Exam:
        """Return what is asked of every snapshot, and how answers are compared."""
        evaluate, made = self.config.evaluate, interventions_of(self.config)
        return self.world.exam(evaluate.prompts, evaluate.seed, made)

    @cached_property
    def task(self) -> Task:
        """Return what a model is to learn, and how it is told."""
        return self.images.task(self.config.model)

    def new_model(self) -> DiffusionModel:
        """Return a model that has learned nothing."""
        config, build = self.config, self.task.conditioning.build
        shape = self.task.image_shape
        return build_model(config.model, config.objective, build, shape, config.seed)

    @cached_property
    def certificate(self) -> dict[str, Any]:
        """Return what the run's probe is good for. Raises Mistake if there is no whole probe."""
        return read_certificate(self.run)

    @property
    def probe_name(self) -> str:
        """Return what the column `probe` of scores calls the run's probe."""
        return probe_name(self.certificate)

    @cached_property
    def probe(self) -> Probe:
        """Return the probe linked into the run. Raises Mistake if there is none, if it is damaged,
        or if it learned from another world's images than this one's."""
        if hash_json(self.certificate["identity"]["world"]) != hash_json(self.world.looks):
            raise Mistake(
                f"{self.run.probe}: is the probe of another world; remove the link, scripts/run.py "
                f"finds or trains the right one"
            )
        return load_probe(self.run.probe, self.certificate)[0]

    @property
    def asks_the_oracle(self) -> bool:
        """Return whether an oracle reads all images: if it is asked to, and the world has one."""
        return self.config.evaluate.oracle and self.world.has_oracle

    def samples(self, plan: Plan) -> np.ndarray:
        """Return the images of a plan, uint8 (prompts, n, h, w, c); those that were read last are
        kept. Mistake names a file that cannot be read, or is not of the weights that are there."""
        if self._last_samples is None or self._last_samples[0] != plan:
            self._last_samples = plan, read_samples(self.run, plan)
        return self._last_samples[1]

    @cached_property
    def parts(self) -> ScoreParts:
        """Return the parts of the scores that were read so far."""
        return ScoreParts(self.run)

    def scores(self, plans: Sequence[Plan], instrument: str) -> pd.DataFrame:
        """Return what one instrument (a probe's name, or ORACLE) reads in the images of some plans,
        one row per key. Mistake names a part that is missing, or of other weights."""
        return self.parts.scores(plans, instrument, self.label)

    def planned_scores(self, instrument: str) -> pd.DataFrame:
        """Return what one instrument reads in all that tables and figures show: one kind of
        weights, and the baselines. Mistake names a part that is missing."""
        return self.scores(planned(self.config), instrument)
