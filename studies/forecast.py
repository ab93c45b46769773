"""Forecast of how much disk a run will take, asked before it starts."""

import shutil
from dataclasses import dataclass

from torch import nn

from diffusion.snapshots import complete_steps, thinned_steps
from ground.endings import Mistake
from studies.experiment.config import scored_steps, snapshot_steps
from studies.run.opened import Experiment
from studies.run.plans import count_images, make_plans, shown_plans

SMALL_FILES = 100_000  # bytes of configs, tokenizer and manifest in a snapshot; measured: 40 kB
COPIES_IN_SNAPSHOT, COPIES_IN_STATE, STATES = 2, 4, 3  # two states are kept while one is written


def snapshot_bytes(parameters: int) -> int:
    """Return the bytes of a snapshot: raw and averaged weights in float32."""
    return COPIES_IN_SNAPSHOT * 4 * parameters + SMALL_FILES


def state_bytes(parameters: int) -> int:
    """Return the bytes of states, the one being written too: raw and averaged weights, both moments
    of the optimizer."""
    return STATES * (COPIES_IN_STATE * 4 * parameters + SMALL_FILES)


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
    snapshots = len(snapshot_steps(experiment.config)) * snapshot_bytes(weights.trained)
    return snapshots + 4 * weights.frozen + state_bytes(weights.trained) + sample_bytes(experiment)


def kept_bytes(experiment: Experiment, weights: Weights) -> int:
    """Return the bytes of a finished run: what evaluate.keep leaves, and two states."""
    config = experiment.config
    steps = snapshot_steps(config)
    scored = {*scored_steps(config), steps[-1]}
    kept = {"all": len(steps), "scored": len(scored), "last": 1, "none": 0}[config.evaluate.keep]
    if kept == 0:
        return sample_bytes(experiment)
    states = state_bytes(weights.trained) * (STATES - 1) // STATES
    frozen = 4 * weights.frozen
    return kept * snapshot_bytes(weights.trained) + frozen + states + sample_bytes(experiment)


def check_disk(experiment: Experiment, weights: Weights) -> None:
    """Raise NoRoom if what is still to be written does not fit on the disk."""
    run = experiment.run
    snapshots = len({*complete_steps(run.snapshots), *thinned_steps(run.snapshots)})
    states = min(STATES - 1, len(complete_steps(run.states)))
    written = snapshots * snapshot_bytes(weights.trained) + 4 * weights.frozen * (snapshots > 0)
    written += states * state_bytes(weights.trained) // STATES
    needed = run_bytes(experiment, weights) - written
    free = shutil.disk_usage(run.path).free
    if needed > free:
        raise NoRoom(
            f"{run.path}: needs up to {needed / 2**20:.0f} MiB more, {free / 2**20:.0f} MiB are "
            f"free; make room, choose another --runs or fewer train.snapshots"
        )
