"""Probes that a study is still to make: one per world, and how long each takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from classifiers.degradation import BLURS_PX, NOISES
from ground.files import is_complete
from studies.many.pace import Pace, probe_step_seconds
from studies.run.opened import Experiment
from studies.scoring.probing import probe_directory
from studies.worlds.probe_images import DEGRADED_SHARE

CERTIFIED = 2 + (len(NOISES) + len(BLURS_PX)) / DEGRADED_SHARE  # times the oracle reads an image


@dataclass(frozen=True)
class Probes:
    """Probes to be made. worlds: whose probe is needed; missing: of which none is there."""

    worlds: int
    missing: int
    seconds: float

    def line(self) -> str:
        """Return how many are to be made, and how long each takes."""
        each = f", {self.seconds / self.missing:.0f} s each" if self.missing else ""
        return f"probes: {self.missing} to be made, of {self.worlds} worlds{each}"


def probes_ahead(experiments: Iterable[Experiment], pace: Pace) -> Probes:
    """Return what is to be made; a step is measured once for all probes of one kind and size."""
    worlds = {probe_directory(experiment): experiment for experiment in experiments}
    missing = [experiment for place, experiment in worlds.items() if not is_complete(place)]
    steps: dict[Any, float] = {}
    seconds = 0.0
    for experiment in missing:
        probe, kind = experiment.config.probe, _kind(experiment)
        if kind not in steps:
            steps[kind] = probe_step_seconds(experiment)
        seconds += probe.steps * steps[kind]
        if experiment.world.has_oracle:
            seconds += CERTIFIED * probe.certificate_images * pace.reading
    return Probes(len(worlds), len(missing), seconds)


def _kind(experiment: Experiment) -> Any:
    return experiment.config.probe, experiment.config.world.image_size_px
