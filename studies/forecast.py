"""Forecast of how much disk a run will take, asked before it starts."""

import shutil
from dataclasses import dataclass

from torch import nn

from diffusion.snapshots import complete_steps, thinned_steps
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from studies.experiment.config import scored_steps, snapshot_steps
from studies.run.opened import Experiment
from studies.run.plans import count_images, make_plans, shown_plans

SMALL_FILES = 100_000  # bytes of configs, tokenizer and manifest in a snapshot; measured: 40 kB
MOMENTS, STATES = 2, 3  # two states are kept while one is written


def copies(train: TrainConfig) -> int:
    """Return how many copies of the weights are written: raw, and averaged unless that is the
    same."""
    return 2 if train.ema_decay else 1


def snapshot_bytes(train: TrainConfig, parameters: int) -> int:
    """Return the bytes of a snapshot: the copies of the weights in float32."""
    return copies(train) * 4 * parameters + SMALL_FILES


def state_bytes(train: TrainConfig, parameters: int) -> int:
    """Return the bytes of states, the one being written too: the copies of the weights, both
    moments of the optimizer."""
    return STATES * ((copies(train) + MOMENTS) * 4 * parameters + SMALL_FILES)


def sample_bytes(experiment: Experiment) -> int:
    """Return the bytes of all images at most, uncompressed. The memoriser draws as many as are
    drawn at the last snapshot."""
    config = experiment.config
    plans = [*make_plans(config), *shown_plans(config)[-1:]]
    images = count_images(experiment.exam.questions, plans)
    return images * 3 * config.world.image_size_px**2


class NoRoom(Mistake):
    """A run does not fit on the disk: no fault of its own."""


@dataclass(frozen=True)
class Weights:
    """Numbers of a model: how many are trained, and how many are frozen, which are stored once."""

    trained: int
    frozen: int = 0

    @classmethod
    def of(cls, model: nn.Module) -> "Weights":
        counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
        return cls(sum(n for n, t in counts if t), sum(n for n, t in counts if not t))


def run_bytes(experiment: Experiment, weights: Weights) -> int:
    """Return the bytes of the whole run, nothing thinned."""
    config, trained = experiment.config, weights.trained
    snapshots = len(snapshot_steps(config)) * snapshot_bytes(config.train, trained)
    states = state_bytes(config.train, trained)
    return snapshots + 4 * weights.frozen + states + sample_bytes(experiment)


def kept_bytes(experiment: Experiment, weights: Weights) -> int:
    """Return the bytes of a finished run: what evaluate.keep leaves, and two states."""
    config = experiment.config
    steps = snapshot_steps(config)
    scored = {*scored_steps(config), steps[-1]}
    kept = {"all": len(steps), "scored": len(scored), "last": 1, "none": 0}[config.evaluate.keep]
    if kept == 0:
        return sample_bytes(experiment)
    states = state_bytes(config.train, weights.trained) * (STATES - 1) // STATES
    snapshots = kept * snapshot_bytes(config.train, weights.trained)
    return snapshots + 4 * weights.frozen + states + sample_bytes(experiment)


def check_disk(experiment: Experiment, weights: Weights) -> None:
    """Raise NoRoom if what is still to be written does not fit on the disk."""
    run, train = experiment.run, experiment.config.train
    snapshots = len({*complete_steps(run.snapshots), *thinned_steps(run.snapshots)})
    states = min(STATES - 1, len(complete_steps(run.states)))
    written = snapshots * snapshot_bytes(train, weights.trained)
    written += 4 * weights.frozen * (snapshots > 0)
    written += states * state_bytes(train, weights.trained) // STATES
    needed = run_bytes(experiment, weights) - written
    free = shutil.disk_usage(run.path).free
    if needed > free:
        raise NoRoom(
            f"{run.path}: needs up to {needed / 2**20:.0f} MiB more, {free / 2**20:.0f} MiB are "
            f"free; make room, choose another --runs or fewer train.snapshots"
        )
