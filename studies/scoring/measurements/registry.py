"""Registry of all measurements. A new one is a file beside this one and a line in MEASUREMENTS."""

from collections.abc import Callable, Sequence

from studies.run.opened import Experiment
from studies.scoring.measurements.copies import CopyReadings
from studies.scoring.measurements.denoiser import DenoiserReadings
from studies.scoring.measurements.measurement import Measurement
from studies.scoring.measurements.oracle import OracleReadings
from studies.scoring.measurements.probe import ProbeReadings

# What makes it, and whether an experiment asks for it.
MEASUREMENTS: Sequence[tuple[Callable[[Experiment], Measurement], Callable[[Experiment], bool]]] = (
    (ProbeReadings, lambda experiment: True),
    (OracleReadings, lambda experiment: experiment.asks_the_oracle),
    (DenoiserReadings, lambda experiment: bool(experiment.config.evaluate.denoiser.levels)),
    (CopyReadings, lambda experiment: experiment.config.evaluate.copies),
)


def measurements_of(experiment: Experiment) -> list[Measurement]:
    """Return what is measured of every image of an experiment."""
    return [make(experiment) for make, is_asked in MEASUREMENTS if is_asked(experiment)]
