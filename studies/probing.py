"""The probe of a world: trained once, certified, shared by all runs of that world."""

import dataclasses
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from classifiers.bump_certificate import compare_with_bump_oracle
from classifiers.bump_oracle import BumpOracle
from classifiers.certificate import (
    certify,
    check_gate,
    compare_with_oracle,
    degradation_curves,
    load_probe,
    save_probe,
)
from classifiers.heads import Head
from classifiers.oracle import Oracle
from classifiers.probe import Batch, Probe, calibrate, train_probe
from classifiers.probe_config import ProbeConfig
from data_gen.bumps.config import BumpsConfig
from data_gen.dataset import labelled_set
from data_gen.endings import Mistake
from data_gen.files import damage, hash_json, is_complete, read_json
from data_gen.world import World
from studies.bump_probing import bump_batch, bump_curves, bump_heads, bump_looks
from studies.run_dir import RunDir

ORACLE_RATE, ORACLE_NOISE = 0.01, 0.1  # of noisy renders that the oracle may take for no scene
DEGRADED_SHARE = 8  # curves under noise and blur are of this part of the certificate's images
SHOWN_RATHER_THAN_LOOKS = (  # fields of a world that say which images, not what one looks like
    "seed",
    "num_images",
    "validation",
    "held_out",
    "held_out_ranges",
    "frequencies",
    "correlations",
    "exact_counts",
)
PROBE_VERSION = 2  # raise it when the network, its training or the renderer changes


@dataclass(frozen=True)
class Subject:
    """What a probe learns to read: a world of whatever kind.

    Attributes:
        concepts: what each head reads.
        looks: all of the world's config that says how an image looks.
        batch: seed, purpose, start, count → labelled renders.
        oracle: builds the second instrument, which has a `limit`.
        compare: probe, oracle, images (n, c, h, w) and the limit → how far the two agree.
        curves: probe, oracle, limit, seed, count → how both hold under noise and blur.
    """

    concepts: Mapping[str, Head]
    looks: Mapping[str, Any]
    batch: Callable[[int, str, int, int], Batch]
    oracle: Callable[[], Any]
    compare: Callable[[Probe, Any, Tensor, float], Mapping[str, Any]]
    curves: Callable[[Probe, Any, float, int, int], Mapping[str, Any]]


def subject_of(world: World | BumpsConfig) -> Subject:
    if isinstance(world, BumpsConfig):
        return Subject(
            bump_heads(world),
            bump_looks(world),
            partial(bump_batch, world),
            partial(BumpOracle, world),
            compare_with_bump_oracle,
            partial(bump_curves, world),
        )
    return Subject(
        dict(world.space.items()),
        _looks(world),
        partial(labelled_batch, world),
        partial(Oracle, world.config),
        compare_with_oracle,
        partial(degradation_curves, world),
    )


def labelled_batch(world: World, seed: int, purpose: str, start: int, count: int) -> Batch:
    """Renders of all combinations, held-out ones too, and the place of each value."""
    data = labelled_set(world, seed, purpose, start, count)
    targets = torch.tensor([world.space.value_indices(c) for c in world.space.combinations])
    return data.images, targets[data.combination]


def probe_identity(world: World | BumpsConfig, config: ProbeConfig) -> dict[str, Any]:
    """All that a probe depends on: how images look and how it is trained, not what is held out."""
    training = dataclasses.asdict(config)
    del training["gate"]
    return {"version": PROBE_VERSION, "world": subject_of(world).looks, "probe": training}


def _looks(world: World) -> dict[str, Any]:
    looks = dataclasses.asdict(world.config)
    return {key: value for key, value in looks.items() if key not in SHOWN_RATHER_THAN_LOOKS}


def probe_directory(run: RunDir, world: World | BumpsConfig, config: ProbeConfig) -> Path:
    return run.shared / f"probe-{hash_json(probe_identity(world, config))[:12]}"


def ensure_probe(run: RunDir, world: World | BumpsConfig, config: ProbeConfig) -> bool:
    """Train and certify the probe unless it exists; link it into the run.

    Returns True if it had to be trained. Raises ProbeRefused below the gate.
    """
    directory = probe_directory(run, world, config)
    with _alone(directory):  # runs started together train it once
        new = not is_complete(directory)
        if new:
            _make(directory, world, config)
    check_gate(read_json(directory / "certificate.json"), config.gate)
    _link(run.probe, directory)
    return new


def _make(directory: Path, world: World | BumpsConfig, config: ProbeConfig) -> None:
    subject = subject_of(world)
    count, probe = config.certificate_images, _train(subject, config)
    parts = ("probe.fit", "probe.limit", "probe.certificate")
    fitted, others, batch = (subject.batch(config.seed, p, 0, count) for p in parts)
    calibrate(probe, fitted, others, config)
    certificate = certify(probe, batch) | second_opinion(subject, config, probe, batch[0])
    save_probe(directory, probe, config.width, certificate, probe_identity(world, config))


def second_opinion(
    subject: Subject, config: ProbeConfig, probe: Probe, images: Tensor
) -> dict[str, Any]:
    """What the oracle reads in the same renders, and both under noise and blur."""
    oracle, count = subject.oracle(), len(images) // DEGRADED_SHARE
    limit = oracle.limit(ORACLE_RATE, config.seed, ORACLE_NOISE, len(images))
    return {
        "oracle": subject.compare(probe, oracle, images, limit),
        "degradation": subject.curves(probe, oracle, limit, config.seed, count),
    }


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other process makes the same probe."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f".{directory.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def load_run_probe(run: RunDir, world: World | BumpsConfig) -> tuple[Probe, dict[str, Any]]:
    """The probe linked into a run. Raises Mistake if there is none, if it is damaged, or if it
    learned from another world's images than this one's."""
    certificate = read_certificate(run)
    if hash_json(certificate["identity"]["world"]) != hash_json(subject_of(world).looks):
        raise Mistake(
            f"{run.probe}: is the probe of another world; remove the link, scripts/run.py finds "
            f"or trains the right one"
        )
    return load_probe(run.probe)


def read_certificate(run: RunDir) -> dict[str, Any]:
    """Raises Mistake if the probe's files are not all there."""
    wrong = damage(run.probe)
    if wrong:
        raise Mistake(
            f"{run.probe}: no complete probe ({wrong}); run scripts/run.py on this config, or, if "
            f"the run was copied, copy the folder of runs with its .shared/ too"
        )
    certificate = read_json(run.probe / "certificate.json")
    if certificate["identity"].get("version") != PROBE_VERSION:
        raise Mistake(
            f"{run.probe}: was made by another version of this program; scripts/run.py on this "
            f"config makes it anew, and reads the samples again"
        )
    return certificate


def _train(subject: Subject, config: ProbeConfig) -> Probe:
    with tqdm(total=config.steps, desc="probe", unit="step", disable=None) as bar:

        def draw(step: int) -> Batch:
            start = step * config.batch_size
            return subject.batch(config.seed, "probe.train", start, config.batch_size)

        def progress(step: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

        return train_probe(subject.concepts, config, draw, progress)


def _link(link: Path, directory: Path) -> None:
    """Point run/probe at the shared directory, by a relative symbolic link."""
    target = os.path.relpath(directory, link.parent)
    if link.is_symlink() and os.readlink(link) == target:
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    os.replace(temporary, link)
