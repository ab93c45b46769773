"""Measurement by the oracle of a world of shapes: what it reads in every image."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd
import torch

from classifiers.oracle import Oracle
from classifiers.oracle_scores import score_by_oracle
from studies.run.opened import Experiment
from studies.run.provenance import ORACLE, VERSIONS
from studies.scoring.measurements.measurement import Measurement, Subject
from studies.scoring.oracle_limit import shared_limit


class OracleReadings(Measurement):
    """Readings of the oracle, which takes seconds to make and is not made where nothing is left to
    read."""

    name = ORACLE

    def __init__(self, experiment: Experiment):
        self.experiment = experiment

    @cached_property
    def oracle(self) -> tuple[Oracle, float]:
        """Return the oracle, on the GPU if there is one, with the residual above which it is
        unsure."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        oracle = Oracle(self.experiment.world.terms.config, device)
        return oracle, shared_limit(self.experiment, oracle)

    @property
    def facts(self) -> Mapping[str, str]:
        return {ORACLE: VERSIONS[ORACLE], "oracle_limit": repr(self.oracle[1])}

    def measure(self, subject: Subject) -> pd.DataFrame:
        oracle, limit = self.oracle
        common = {**subject.common, "probe": self.name}
        return score_by_oracle(oracle, limit, subject.images, subject.rows, subject.targets, common)
