"""Measurement by the probe: what it reads in every image."""

from collections.abc import Mapping

import pandas as pd

from classifiers.scores import score_images
from studies.run.opened import Experiment
from studies.scoring.measurements.measurement import Measurement, Subject


class ProbeReadings(Measurement):
    """Readings of the run's probe."""

    def __init__(self, experiment: Experiment):
        self.name, self.experiment = experiment.probe_name, experiment

    @property
    def facts(self) -> Mapping[str, str]:
        return {"certificate": self.name}

    def measure(self, subject: Subject) -> pd.DataFrame:
        probe, common = self.experiment.probe, {**subject.common, "probe": self.name}
        return score_images(probe, subject.images, subject.rows, subject.targets, common)
