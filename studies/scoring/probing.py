"""Probe of a world: trained once, certified, shared by all runs of that world."""

import dataclasses
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from classifiers.certificate import certify, check_gate, save_probe, unsure_limit
from classifiers.probe import CPU, calibrate
from classifiers.probe_config import ProbeConfig, folding
from ground.files import hash_json, is_complete, read_json
from studies.run.certificate import EARLY_VERSION, PROBE_VERSION
from studies.run.opened import Experiment
from studies.run.sharing import make_once
from studies.scoring.probe_training import Enough, train_in_sight
from studies.worlds.kind import KindOfWorld


def probe_fold(world: KindOfWorld) -> int:
    """Return how a world's probe folds images. Above 1 it also stops early: of worlds whose values
    are words and whose images are rendered, since both are checked on more renders."""
    words_of_renders = world.has_words and world.has_renderer
    return folding(world.looks["image_size_px"]) if words_of_renders else 1


def probe_identity(world: KindOfWorld, config: ProbeConfig) -> dict[str, Any]:
    """Return all that a probe depends on: how images look and how it is trained, not what is held
    out."""
    if probe_fold(world) == 1:
        return straight_identity(world, config)
    training = dataclasses.asdict(config)  # the gate too: it says when to stop
    return {"version": EARLY_VERSION, "world": world.looks, "probe": training}


def straight_identity(world: KindOfWorld, config: ProbeConfig) -> dict[str, Any]:
    """Return the same of a probe that reads images as they are and trains to its last step."""
    training = dataclasses.asdict(config)
    del training["gate"]
    return {"version": PROBE_VERSION, "world": world.looks, "probe": training}


def probe_directory(experiment: Experiment) -> Path:
    """Return where the probe of an experiment's world is kept, beside its runs. One that an older
    version has left there, trained to its last step, goes on being used."""
    world, config, shared = experiment.world, experiment.config.probe, experiment.run.shared
    identities = straight_identity(world, config), probe_identity(world, config)
    older, own = (shared / f"probe-{hash_json(identity)[:12]}" for identity in identities)
    return older if is_complete(older) else own


def ensure_probe(
    experiment: Experiment,
    say: Callable[[str], None] = lambda line: None,
    deadline: float | None = None,
    device: torch.device = CPU,
) -> bool:
    """Train and certify the probe unless it exists; link it into the run.

    say: told what is at work while it is trained. deadline: see `stop_on_request`. device: where it
    is trained. Returns True if it had to be trained. Raises ProbeRefused below the gate. Where all
    is there and linked, nothing is locked or written: the run may be another user's.
    """
    run, directory = experiment.run, probe_directory(experiment)
    new = not is_complete(directory)
    ready = not new and run.probe.resolve() == directory.resolve()
    with nullcontext() if ready else run.locked("evaluate"):
        if new:
            new = make_once(
                directory,
                lambda: _make(directory, experiment, say, deadline, device),
                lambda: say("probe: another process is making it; waiting for it"),
            )
        certificate = read_json(directory / "certificate.json")
        check_gate(certificate, experiment.config.probe.gate, experiment.images.advice)
        if not ready:
            _link(run.probe, directory)
            experiment.forget_probe()
    return new


def _make(
    directory: Path,
    experiment: Experiment,
    say: Callable[[str], None],
    deadline: float | None,
    device: torch.device,
) -> None:
    source, config = experiment.images, experiment.config.probe
    state = directory.with_name(f".{directory.name}.state")
    images, fold = source.probe_images(config), probe_fold(experiment.world)
    check = images.check if fold > 1 else None
    enough = Enough(check(), config.gate, say) if check else None
    probe = train_in_sight(
        source.heads, config, images.draw, state, say, deadline, fold, enough, device
    )
    say("probe: certifying it")
    calibrate(probe, images.fitted, images.limit, config)
    certificate = certify(probe, images.certificate, source.images_are)
    certificate["steps"] = (enough and enough.step) or config.steps
    certificate["unsure_limit"] = unsure_limit(len(images.limit[0]), config.unsure_rate)
    certificate |= source.second_opinion(config, probe, images.certificate)
    identity = probe_identity(experiment.world, config)
    save_probe(directory, probe, config.width, certificate, identity)
    state.unlink()


def _link(link: Path, directory: Path) -> None:
    """Point run/probe at the shared directory, by a symbolic link that is relative to where the run
    really lies."""
    target = os.path.relpath(directory, link.parent.resolve())
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    os.replace(temporary, link)
