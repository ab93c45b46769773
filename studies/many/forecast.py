"""Forecast of a study: runs, disk, network evaluations, and hours from a step that is measured."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from diffusion.processes import Processes, build_accelerator
from diffusion.train import Trainer
from studies.dry_run import count_evaluations
from studies.experiment.config import Config
from studies.forecast import Weights, kept_bytes, run_bytes
from studies.many.fields import value_text
from studies.many.folder import StudyFolder
from studies.many.progress import summary
from studies.many.study import PlannedRun, StudyConfig
from studies.run.directory import RunDir
from studies.run.opened import Experiment

STEPS, UNTIMED = 6, 2  # that are measured: the first ones warm up
FORWARD_SHARE = 1 / 3  # of a step that its forward pass takes: a backward pass is two of them


@dataclass(frozen=True)
class Cost:
    """What one run of a variant takes.

    Attributes:
        images: that the network looks at in training.
        evaluations: the same in evaluation, without gradients.
        work: of a look at one image, in numbers of the network times pixels.
        disk, kept: bytes while it is at work, and when it is done.
    """

    images: int
    evaluations: int
    work: float
    disk: int
    kept: int

    @property
    def effort(self) -> float:
        """Work of the whole run, in that of steps on one image."""
        return self.work * (self.images + FORWARD_SHARE * self.evaluations)


def describe(study: StudyConfig, folder: StudyFolder, slots: int) -> str:
    """Return the plan of a study as text: its runs, then disk, evaluations, hours."""
    variants = {planned.variant: planned for planned in study.runs}
    costs = {name: cost_of(planned, folder) for name, planned in variants.items()}
    every = [costs[planned.variant] for planned in study.runs]
    smallest = min(variants, key=lambda name: costs[name].work)
    seconds = step_seconds(variants[smallest].config)
    batch = variants[smallest].config.train.batch_size
    hours = seconds / batch / costs[smallest].work * sum(c.effort for c in every) / slots / 3600
    lines = [
        f"{study.name}: {study.question}",
        f"folder: {folder.path}" + (f"; {_standing(folder)}" if folder.file.is_file() else ""),
        *(_run_line(planned) for planned in study.runs),
        f"runs: {len(study.runs)}, of {len(variants)} variants",
        f"disk: about {_mib(sum(c.kept for c in every))} MiB when all is done, and up to "
        f"{_mib(slots * max(c.disk for c in every))} MiB of runs at work",
        f"evaluate: {sum(c.evaluations for c in every)} network evaluations",
        f"hours: about {hours:.2g} on {slots} slots, from {seconds:.3f} s for a step of {batch} "
        f"images ({smallest}), without probes and reports",
    ]
    return "\n".join(lines)


def _standing(folder: StudyFolder) -> str:
    return summary(folder.read_status())


def _run_line(planned: PlannedRun) -> str:
    settings = ", ".join(f"{key} {value_text(v)}" for key, v in planned.settings.items())
    return f"  {planned.name}: {settings or 'as the experiment'}, seed {planned.seed}"


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f}"


def cost_of(planned: PlannedRun, folder: StudyFolder) -> Cost:
    """Return what a run takes."""
    experiment = Experiment(planned.config, folder.run(planned.name))
    weights, train = Weights.of(experiment.new_model()), planned.config.train
    return Cost(
        images=train.max_steps * train.batch_size,
        evaluations=count_evaluations(experiment),
        work=(weights.trained + weights.frozen) * planned.config.world.image_size_px**2,
        disk=run_bytes(experiment, weights),
        kept=kept_bytes(experiment, weights),
    )


def step_seconds(config: Config) -> float:
    """Measure a training step, on one thread if the experiment does not say how many."""
    train = replace(
        config.train,
        max_steps=STEPS,
        snapshots="0",
        precision="float32",
        compile=False,
        threads=config.train.threads or 1,
        warmup_steps=0,
        tracker=None,
    )
    processes = Processes(build_accelerator(train))
    with tempfile.TemporaryDirectory() as name:
        experiment = Experiment(config, RunDir(Path(name)))
        data, _ = experiment.task.load()
        trainer = Trainer(
            data,
            experiment.new_model(),
            experiment.task.conditioning.prompts,
            train,
            seed=config.seed,
            directory=Path(name),
            processes=processes,
        )
        seen: list[float] = []
        trainer.should_stop = partial(_clock, seen)
        trainer.run()
    return _mean_gap(seen[UNTIMED - 1 : -1])


def _clock(seen: list[float]) -> bool:
    """Note the time after a step; never asks to stop."""
    seen.append(time.perf_counter())
    return False


def _mean_gap(times: Sequence[float]) -> float:
    return (times[-1] - times[0]) / (len(times) - 1)
