"""Probe of a world: trained once, certified, shared by all runs of that world."""

import dataclasses
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from classifiers.certificate import certify, check_gate, save_probe, unsure_limit
from classifiers.probe import calibrate
from classifiers.probe_config import ProbeConfig
from ground.files import hash_json, is_complete, read_json
from studies.run.certificate import PROBE_VERSION
from studies.run.opened import Experiment
from studies.run.sharing import make_once
from studies.scoring.probe_training import train_in_sight
from studies.worlds.kind import KindOfWorld


def probe_identity(world: KindOfWorld, config: ProbeConfig) -> dict[str, Any]:
    """Return all that a probe depends on: how images look and how it is trained, not what is held
    out."""
    training = dataclasses.asdict(config)
    del training["gate"]
    return {"version": PROBE_VERSION, "world": world.looks, "probe": training}


def probe_directory(experiment: Experiment) -> Path:
    """Return where the probe of an experiment's world is kept, beside its runs."""
    identity = probe_identity(experiment.world, experiment.config.probe)
    return experiment.run.shared / f"probe-{hash_json(identity)[:12]}"


def ensure_probe(
    experiment: Experiment,
    say: Callable[[str], None] = lambda line: None,
    deadline: float | None = None,
) -> bool:
    """Train and certify the probe unless it exists; link it into the run.

    say: told what is at work while it is trained. deadline: see `stop_on_request`. Returns True if
    it had to be trained. Raises ProbeRefused below the gate. Where all is there and linked, nothing
    is locked or written: the run may be another user's.
    """
    run, directory = experiment.run, probe_directory(experiment)
    new = not is_complete(directory)
    ready = not new and run.probe.resolve() == directory.resolve()
    with nullcontext() if ready else run.locked("evaluate"):
        if new:
            new = make_once(
                directory,
                lambda: _make(directory, experiment, say, deadline),
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
) -> None:
    source, config = experiment.images, experiment.config.probe
    state = directory.with_name(f".{directory.name}.state")
    images = source.probe_images(config)
    probe = train_in_sight(source.heads, config, images.draw, state, say, deadline)
    say("probe: certifying it")
    calibrate(probe, images.fitted, images.limit, config)
    certificate = certify(probe, images.certificate, source.images_are)
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
