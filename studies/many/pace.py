"""Pace of this machine: how long pieces of a run take here, measured on a few of each."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from classifiers.oracle import Oracle
from classifiers.probe import train_probe
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes, build_accelerator
from diffusion.sampling import TILE
from diffusion.train import Trainer
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.probing import probe_fold
from studies.worlds.shapes.oracle import LIMIT_OF

STEPS, UNTIMED = 6, 2  # pieces that are measured: the first ones warm up


@dataclass(frozen=True)
class Pace:
    """Seconds of pieces of a run.

    Attributes:
        step: of training the network on one image.
        look: of the network's answer for one image, without gradients.
        reading: of the oracle, to read an image; 0 where there is none.
    """

    step: float
    look: float
    reading: float

    def line(self) -> str:
        """Return them as text, in ms."""
        told = {"training": self.step, "a network evaluation": self.look, "oracle": self.reading}
        return ", ".join(f"{name} {1000 * s:.2g} ms an image" for name, s in told.items() if s)


def measure_pace(experiment: Experiment) -> Pace:
    """Measure an experiment, on one thread if it does not say how many."""
    with tempfile.TemporaryDirectory() as name:
        trainer = _trainer(experiment.config, Path(name))
        seen: list[float] = []
        trainer.vote.should_stop = partial(_clock, seen)
        trainer.run()
    step = _mean_gap(seen[:-1]) / trainer.config.batch_size  # the last one saves its state
    look = _look_seconds(ConceptPipeline.of(trainer.raw, trainer.prompts))
    reading = _reading_seconds(experiment) if experiment.world.has_oracle else 0.0
    return Pace(step, look, reading)


def _trainer(config: Config, folder: Path) -> Trainer:
    """Return a training of a few steps of the same work."""
    train = replace(
        config.train,
        max_steps=STEPS,
        snapshots="0",
        precision="float32",
        compile=False,
        cuda_graph="off",
        threads=config.train.threads or 1,
        warmup_steps=0,
        tracker=None,
    )
    processes, experiment = Processes(build_accelerator(train)), Experiment(config, RunDir(folder))
    data, _ = experiment.task.load()
    return Trainer(
        data,
        experiment.new_model(),
        experiment.task.conditioning.prompts,
        train,
        seed=config.seed,
        directory=folder,
        processes=processes,
    )


@torch.no_grad()
def _look_seconds(pipeline: ConceptPipeline) -> float:
    """Measure the network on tiles, as samplers and measurements ask it."""
    denoiser, seen = pipeline.denoiser(), list[float]()
    x_t = torch.zeros((TILE, *pipeline.image_shape), device=denoiser.unet.device)
    inputs = pipeline.prompts.inputs([""] * TILE).to(x_t.device)
    condition, t = denoiser.encode(inputs), torch.zeros(TILE, dtype=torch.long, device=x_t.device)
    for _ in range(STEPS):
        denoiser.predict(x_t, t, condition).cpu()
        _clock(seen)
    return _mean_gap(seen) / TILE


def _reading_seconds(experiment: Experiment) -> float:
    """Measure the oracle on noisy renders."""
    oracle = Oracle(experiment.world.terms.config)
    started = time.perf_counter()
    oracle.limit(**{**LIMIT_OF, "count": TILE})
    return (time.perf_counter() - started) / TILE


def probe_step_seconds(experiment: Experiment) -> float:
    """Measure a step of training the probe of an experiment's world."""
    images, seen = experiment.images, list[float]()
    config = replace(experiment.config.probe, steps=STEPS)
    draw = images.probe_images(config).draw

    def progress(step: int, loss: float) -> None:
        _clock(seen)

    train_probe(images.heads, config, draw, progress, fold=probe_fold(experiment.world))
    return _mean_gap(seen)


def _clock(seen: list[float]) -> bool:
    """Note the time after a piece; never asks to stop."""
    seen.append(time.perf_counter())
    return False


def _mean_gap(times: Sequence[float]) -> float:
    """Return the mean time of the pieces that are measured."""
    counted = times[UNTIMED - 1 :]
    return (counted[-1] - counted[0]) / (len(counted) - 1)
