"""Gate that must be open before a study's claims are decided at all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from studies.claims.sim.config import SimConfig, Symmetric, Trained
from studies.claims.sim.measures import rising, swings
from studies.claims.sim.rules import Rules
from studies.claims.sim.runs import Paths, Study, run_study
from theory.plain import train_plainly
from theory.settings import Setting
from theory.training import train

PLAIN_SEEDS = 4
PLAIN_ERROR = 1e-10  # of outputs and losses over the whole run, in float64


def open_gate(study: Study, folder: Path) -> str:
    """Return why the claims cannot be decided, or "".

    Reasons are other seeds than the rules'; networks that are not trained as the plain loop
    trains them; flows of which too few show the same at half the step.
    """
    seeds = study.rules.seeds
    if study.config.seeds != seeds:
        return f"not the seeds {seeds.first} to {seeds.all.stop - 1}"
    return next(_not_plain(study.config), "") or next(_too_coarse(study, folder), "")


def _not_plain(config: SimConfig) -> Iterator[str]:
    for name, run in config.runs.items():
        if isinstance(run, Trained) and run.training.method != "flow":
            error = plain_error(run, config.seeds.all[:PLAIN_SEEDS])
            if not error <= PLAIN_ERROR:
                yield f"{name}: {error:.1e} from the plain loop"


def plain_error(run: Trained, seeds: range) -> float:
    """Return the largest difference from torch's plain loop over the whole run, in float64."""
    setting = Setting(run.task, run.network, replace(run.training, precision="float64"))
    last = run.epochs * setting.steps_per_epoch
    record = sorted({0, 1, setting.steps_per_epoch, last // 4, last // 2, last})
    ours = train(setting.task, setting.network, setting.training, seeds, record)
    errors = [
        (getattr(ours, key)[i] - value).abs().max()
        for i, seed in enumerate(seeds)
        for key, value in train_plainly(setting, seed, record).items()
    ]
    return torch.stack(errors).max().item()


def _too_coarse(study: Study, folder: Path) -> Iterator[str]:
    flows = {n: r for n, r in study.config.runs.items() if isinstance(r, Symmetric)}
    finer = replace(study.config, runs={name: _halved(run) for name, run in flows.items()})
    for name, paths in run_study(finer, folder / "paths").items():
        same = _agreement(flows[name], study.paths[name], paths, study.rules)
        if same < study.rules.same_share:
            yield f"{name}: {same:.3f} of the runs show the same at half the step"


def _halved(run: Symmetric) -> Symmetric:
    return replace(run, step=run.step / 2, num_steps=2 * run.num_steps, every=2 * run.every)


def _agreement(run: Symmetric, paths: Paths, finer: Paths, rules: Rules) -> float:
    """Return the share of runs that rise, and whose first coordinate swings, alike."""
    alike = rising(paths, rules) == rising(finer, rules)
    alike &= swings(run, paths, rules) == swings(run, finer, rules)
    return float(alike.mean())
