"""Thinning: whether a run is trained, and which of its snapshots may go once they are scored."""

import re
from collections.abc import Iterable, Sequence

from diffusion.snapshots import (
    complete_steps,
    step_directory,
    steps_in,
    thin,
    thinned_steps,
)
from ground.files import remove_directory
from studies.experiment.config import Config, scored_steps, snapshot_steps
from studies.experiment.identity import differences, identity
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.units import make_jobs, unscored

SCORED = re.compile(r"step_(\d+)-")  # how the name of a snapshot's scores begins


def is_trained(config: Config, run: RunDir) -> bool:
    """Return whether this experiment's snapshots and last state have all been written.

    States may have been deleted since; then the status tells.
    """
    if not run.config_file.is_file() or differences(identity(run.read_config()), identity(config)):
        return False
    there = {*complete_steps(run.snapshots), *thinned_steps(run.snapshots)}
    if not set(snapshot_steps(config)) <= there:
        return False
    return run.state_of("train") == "done" or config.train.max_steps in complete_steps(run.states)


def thin_scored(experiment: Experiment) -> list[str]:
    """Remove the snapshots that evaluate.keep does not name, once training is done.

    "scored" keeps what any evaluation has scored, this one or another; "none" removes the states of
    training too. Nothing goes before all is scored that the run's own config plans, of the weights
    that are there. Returns what to say.
    """
    config, run = experiment.config, experiment.run
    if config.evaluate.keep == "all" or not is_trained(config, run):
        return []
    with run.locked("evaluate"), run.locked("train"):
        complete = complete_steps(run.snapshots)
        if not _is_scored(experiment) or max(complete, default=0) > config.train.max_steps:
            return [f"evaluate.keep: {run.config_file} plans more than is scored; all kept"]
        spare = {*complete, *thinned_steps(run.snapshots)} - _kept(config, run, complete)
        for step in sorted(spare):
            thin(run.snapshots, step)
        if config.evaluate.keep == "none":
            _remove_states(run)
    return [f"evaluate.keep: {config.evaluate.keep}; {len(spare)} snapshots are removed"]


def _kept(config: Config, run: RunDir, complete: Sequence[int]) -> set[int]:
    if config.evaluate.keep == "none":
        return set()
    scored = _scored(config, run) if config.evaluate.keep == "scored" else ()
    return {*scored, *complete[-1:]}


def _remove_states(run: RunDir) -> None:
    """Remove the states of training, once the status says without them that it is done."""
    if run.state_of("train") == "done":
        for step in steps_in(run.states):
            remove_directory(step_directory(run.states, step))


def _scored(config: Config, run: RunDir) -> Iterable[int]:
    """Return the steps that are planned, by the run's own config too, or of which there are
    scores."""
    names = [SCORED.match(part.name) for part in run.scores.glob("step_*.parquet")]
    planned = (*scored_steps(config), *scored_steps(run.read_config()))
    return {*planned, *(int(name[1]) for name in names if name)}


def _is_scored(experiment: Experiment) -> bool:
    """Return whether all that the run's own config plans is scored, whatever else was asked for."""
    return not unscored(make_jobs(experiment.changed(experiment.run.read_config())))
