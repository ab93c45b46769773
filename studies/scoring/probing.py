"""The probe of a world: trained once, certified, shared by all runs of that world."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from classifiers.certificate import certify, check_gate, load_probe, save_probe, unsure_limit
from classifiers.heads import Head
from classifiers.probe import Batch, Probe, calibrate
from classifiers.probe_config import ProbeConfig
from data_gen.bumps.config import BumpsConfig
from data_gen.dataset import labelled_set
from data_gen.world import World
from ground.endings import Mistake
from ground.files import damage, hash_json, is_complete, read_json
from ground.locks import locked
from studies.experiment.config import PLACES, AnyTerms
from studies.run.directory import RunDir
from studies.scoring.probe_training import train_in_sight
from studies.worlds.bumps.probing import bump_looks
from studies.worlds.exams import value_places

ORACLE_RATE, ORACLE_NOISE = 0.01, 0.1  # of noisy renders that the oracle may take for no scene
DEGRADED_SHARE = 8  # curves under noise and blur are of this part of the certificate's images
SHOWN_RATHER_THAN_LOOKS = {  # fields of a world that say which images, not what one looks like
    "shapes": (
        "seed",
        "num_images",
        "validation",
        "held_out",
        "held_out_ranges",
        "frequencies",
        "correlations",
        "exact_counts",
    ),
    "photos": (*PLACES, "validation", "held_out", "at_most"),  # others pick the probe's
}
ORIGINALS = {  # what a world's own images are
    "shapes": "true renders",
    "photos": "real images",
    "bumps": "true renders",
}
PROBE_VERSION = 3  # raise it when network, training, renderer, limit or certificate change


@dataclass(frozen=True)
class ProbeImages:
    """Labelled images of all combinations, or of any centre, held-out ones too; those of `limit`
    and `certificate` are in no other part.

    Attributes:
        draw: step → what the probe is trained on.
        fitted: from which it learns what images look like; every combination is there.
        limit: from which it learns when to be unsure.
        certificate: with which it is certified.
    """

    draw: Callable[[int], Batch]
    fitted: Batch
    limit: Batch
    certificate: Batch


class Readable(Protocol):
    """What a world must offer to have a probe.

    Attributes:
        world: as far as it says how its images look.
        heads: what the probe learns to read, in the order of the targets.
        images_are: what its labelled images are called.
        advice: what to do, beside training longer, if the probe stays below its gate.
    """

    images_are: str
    advice: str

    @property
    def world(self) -> AnyTerms: ...
    @property
    def heads(self) -> Mapping[str, Head]: ...

    def probe_images(self, config: ProbeConfig) -> ProbeImages: ...

    def second_opinion(
        self, config: ProbeConfig, probe: Probe, certificate: Batch
    ) -> dict[str, Any]:
        """`oracle` and `degradation`, as the certificate has them."""


def labelled_batch(world: World, seed: int, purpose: str, start: int, count: int) -> Batch:
    """Renders of all combinations, held-out ones too, and the place of each value."""
    data = labelled_set(world, seed, purpose, start, count)
    return data.images, value_places(world)[data.combination]


def rendered_parts(
    batch: Callable[[int, str, int, int], Batch], config: ProbeConfig
) -> ProbeImages:
    """batch: (seed, purpose, start, count) → labelled renders, as many as are asked for."""
    size, parts = config.batch_size, ("fit", "limit", "certificate")
    return ProbeImages(
        lambda step: batch(config.seed, "probe.train", step * size, size),
        *(batch(config.seed, f"probe.{part}", 0, config.certificate_images) for part in parts),
    )


def probe_identity(world: AnyTerms, config: ProbeConfig) -> dict[str, Any]:
    """All that a probe depends on: how images look and how it is trained, not what is held out."""
    training = dataclasses.asdict(config)
    del training["gate"]
    return {"version": PROBE_VERSION, "world": _looks(world), "probe": training}


def _looks(world: AnyTerms) -> dict[str, Any]:
    if isinstance(world, BumpsConfig):
        return bump_looks(world)
    looks = dataclasses.asdict(world.config)
    others = SHOWN_RATHER_THAN_LOOKS[world.config.kind]
    return {key: value for key, value in looks.items() if key not in others}


def probe_directory(run: RunDir, world: AnyTerms, config: ProbeConfig) -> Path:
    return run.shared / f"probe-{hash_json(probe_identity(world, config))[:12]}"


def ensure_probe(
    run: RunDir,
    source: Readable,
    config: ProbeConfig,
    say: Callable[[str], None] = lambda line: None,
    deadline: float | None = None,
) -> bool:
    """Train and certify the probe unless it exists; link it into the run.

    say: told what is at work while it is trained. deadline: as `stop_on_request` takes it. Returns
    True if it had to be trained. Raises ProbeRefused below the gate. Where all is there and linked,
    nothing is locked or written: the run may be another user's.
    """
    directory = probe_directory(run, source.world, config)
    new = not is_complete(directory)
    ready = not new and run.probe.resolve() == directory.resolve()
    with nullcontext() if ready else run.locked("evaluate"):
        if new:
            new = _make_once(directory, source, config, say, deadline)
        check_gate(read_json(directory / "certificate.json"), config.gate, source.advice)
        if not ready:
            _link(run.probe, directory)
    return new


def _make_once(
    directory: Path,
    source: Readable,
    config: ProbeConfig,
    say: Callable[[str], None],
    deadline: float | None,
) -> bool:
    """Runs started together make a probe once: False if another process has made it meanwhile."""
    with _alone(directory, say):
        if is_complete(directory):
            return False
        state = directory.with_name(f".{directory.name}.state")
        images = source.probe_images(config)
        probe = train_in_sight(source.heads, config, images.draw, state, say, deadline)
        say("probe: certifying it")
        calibrate(probe, images.fitted, images.limit, config)
        certificate = certify(probe, images.certificate, source.images_are)
        certificate["unsure_limit"] = unsure_limit(len(images.limit[0]), config.unsure_rate)
        certificate |= source.second_opinion(config, probe, images.certificate)
        identity = probe_identity(source.world, config)
        save_probe(directory, probe, config.width, certificate, identity)
        state.unlink()
    return True


@contextmanager
def _alone(directory: Path, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Wait until no other process makes the same probe."""
    lock = directory.with_name(f".{directory.name}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock))
        except BlockingIOError:
            say("probe: another process is making it; waiting for it")
            stack.enter_context(locked(lock, wait=True))
        yield


def load_run_probe(run: RunDir, world: AnyTerms) -> tuple[Probe, dict[str, Any]]:
    """The probe linked into a run. Raises Mistake if there is none, if it is damaged, or if it
    learned from another world's images than this one's."""
    certificate = read_certificate(run)
    if hash_json(certificate["identity"]["world"]) != hash_json(_looks(world)):
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


def _link(link: Path, directory: Path) -> None:
    """Point run/probe at the shared directory, by a symbolic link that is relative to where the run
    really lies."""
    target = os.path.relpath(directory, link.parent.resolve())
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    os.replace(temporary, link)
