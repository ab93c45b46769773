"""Forecast of a study: its runs, disk, network evaluations and probes, and the hours they take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from studies.dry_run import count_denoiser_calls, count_evaluations
from studies.forecast import Weights, kept_bytes, run_bytes
from studies.many.fields import value_text
from studies.many.folder import StudyFolder
from studies.many.pace import Pace, measure_pace
from studies.many.probes_ahead import probes_ahead
from studies.many.progress import summary
from studies.many.study import PlannedRun, StudyConfig
from studies.run.opened import Experiment
from studies.run.plans import count_images, make_plans

MOST_LETTERS = 60  # of the value of a setting
REPORT_SECONDS = 15  # of one run, on one core: measured on runs of 20 snapshots


@dataclass(frozen=True)
class Cost:
    """What one run of a variant takes.

    Attributes:
        images: that the network looks at in training.
        samples, denoiser: the same without gradients, to draw and to be measured itself.
        read: images that the oracle reads.
        work: of a look at one image, in numbers of the network times pixels.
        disk, kept: bytes while it is at work, and when it is done.
    """

    images: int
    samples: int
    denoiser: int
    read: int
    work: float
    disk: int
    kept: int


def describe(study: StudyConfig, folder: StudyFolder, slots: int) -> str:
    """Return the plan of a study as text: its runs, then disk, evaluations, probes and hours."""
    planned = {run.variant: run for run in study.runs}
    variants = {name: _experiment(run, folder) for name, run in planned.items()}
    costs = {name: cost_of(experiment) for name, experiment in variants.items()}
    every = [costs[run.variant] for run in study.runs]
    smallest = min(variants, key=lambda name: costs[name].work)
    pace = measure_pace(variants[smallest])
    probes = probes_ahead(variants.values(), pace)
    seconds = _seconds(every, pace, costs[smallest].work) | {"probes": probes.seconds}
    lines = [
        f"{study.name}: {study.question}",
        f"folder: {folder.path}" + (f"; {_standing(folder)}" if folder.file.is_file() else ""),
        *(_run_line(run) for run in study.runs),
        f"runs: {len(study.runs)}, of {len(variants)} variants",
        f"disk: about {_mib(sum(c.kept for c in every))} MiB when all is done, and up to "
        f"{_mib(slots * max(c.disk for c in every))} MiB of runs at work",
        f"evaluate: {sum(c.samples for c in every)} network evaluations, and "
        f"{sum(c.denoiser for c in every)} of evaluate.denoiser",
        probes.line(),
        f"pace: {pace.line()} ({smallest}); {REPORT_SECONDS} s a report",
        _hours_line({part: own / slots / 3600 for part, own in seconds.items()}, slots),
    ]
    return "\n".join(lines)


def minutes_alone(experiment: Experiment) -> float:
    """Return about how many minutes one run takes here on one core, from its probe to its report,
    measured on a few pieces of it."""
    cost, pace = cost_of(experiment), measure_pace(experiment)
    probe = probes_ahead([experiment], pace).seconds
    return (sum(_seconds([cost], pace, cost.work).values()) + probe) / 60


def _seconds(costs: Sequence[Cost], pace: Pace, work: float) -> dict[str, float]:
    """Return the seconds of all runs by what they do. work: of the network whose pace it is."""
    return {
        "training": pace.step * sum(cost.images * cost.work / work for cost in costs),
        "samples": pace.look * sum(cost.samples * cost.work / work for cost in costs),
        "denoiser": pace.look * sum(cost.denoiser * cost.work / work for cost in costs),
        "oracle": pace.reading * sum(cost.read for cost in costs),
        "reports": float(REPORT_SECONDS * len(costs)),
    }


def _hours_line(hours: Mapping[str, float], slots: int) -> str:
    parts = ", ".join(f"{part} {own:.2g}" for part, own in hours.items() if own)
    return f"hours: about {sum(hours.values()):.2g} on {slots} slots: {parts}"


def _standing(folder: StudyFolder) -> str:
    return summary(folder.read_status())


def _run_line(planned: PlannedRun) -> str:
    settings = ", ".join(f"{key} {_brief(value)}" for key, value in planned.settings.items())
    return f"  {planned.name}: {settings or 'as the experiment'}, seed {planned.seed}"


def _brief(value: Any) -> str:
    return shorten(value_text(value), MOST_LETTERS, placeholder=" …")


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f}"


def _experiment(planned: PlannedRun, folder: StudyFolder) -> Experiment:
    """Return a variant's experiment. Once the study has begun, its probe may be there, which is
    known by what the world's files hold."""
    experiment = Experiment(planned.config, folder.run(planned.name))
    return experiment.with_contents() if folder.file.is_file() else experiment


def cost_of(experiment: Experiment) -> Cost:
    """Return what a run takes."""
    config, questions = experiment.config, experiment.exam.questions
    weights = Weights.of(experiment.new_model())
    drawn = count_images(questions, make_plans(config)) if experiment.asks_the_oracle else 0
    return Cost(
        images=config.train.max_steps * config.train.batch_size,
        samples=count_evaluations(experiment),
        denoiser=count_denoiser_calls(experiment),
        read=drawn,
        work=(weights.trained + weights.frozen) * config.world.image_size_px**2,
        disk=run_bytes(experiment, weights),
        kept=kept_bytes(experiment, weights),
    )
