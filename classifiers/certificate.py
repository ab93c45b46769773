"""What a probe is good for: measured, written beside it, and checked before it is believed."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.stats import binomtest
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from classifiers.degradation import degradation
from classifiers.heads import Coordinate, Head
from classifiers.limits import expected_rate
from classifiers.oracle import Oracle
from classifiers.probe import Batch, Probe
from data_gen.world import World
from ground import streams
from ground.endings import Mistake, first_line
from ground.files import hash_json, read_json, write_directory, write_json


class ProbeRefused(Mistake):
    """The probe is not good enough to measure with."""


def certify(probe: Probe, batch: Batch, of: str = "renders") -> dict[str, Any]:
    """Clean accuracy, calibration error and confusion (of coordinates: errors) per concept, on
    labelled images; what share of them, and of images that are no scene, the probe is unsure of.

    of: what the images are called. Accuracy is of what it would say if it were never unsure;
    `at_least` is its exact lower bound of 95 % confidence (Clopper and Pearson 1934), which says
    what so many images can tell.
    """
    images, targets = batch
    seen = probe.read(images)
    concepts = {
        name: _head_certificate(head, seen.probabilities[name], targets[:, i])
        for i, (name, head) in enumerate(probe.concepts.items())
    }
    for concept in concepts.values():
        concept["at_least"] = _lower_bound(concept["accuracy"], len(images))
    unsure = {kind: _unsure(probe, these) for kind, these in no_scenes(images).items()}
    unsure = {of: seen.unsure.double().mean().item(), **unsure}
    return {"num_images": len(images), "concepts": concepts, "unsure": unsure}


def accuracies(probe: Probe, batch: Batch) -> dict[str, float]:
    """Clean accuracy per concept, as `certify` has it."""
    images, targets = batch
    seen = probe.read(images).probabilities
    return {
        name: _head_certificate(head, seen[name], targets[:, i])["accuracy"]
        for i, (name, head) in enumerate(probe.concepts.items())
    }


def unsure_limit(count: int, rate: float) -> dict[str, Any]:
    """Limit of a probe as numbers: from how many images it knows when to be unsure, of what share
    of true ones it was to be, and of what share it will be: more, where they are too few."""
    return {"num_images": count, "rate": rate, "expected_rate": expected_rate(count, rate)}


def _lower_bound(share: float, count: int) -> float:
    """Of the probability of which `share` was found in so many trials."""
    right = binomtest(round(share * count), count, alternative="greater")
    return float(right.proportion_ci(0.95, "exact").low)


def no_scenes(images: UInt8[Tensor, "n c h w"]) -> dict[str, UInt8[Tensor, "n c h w"]]:
    """Images that are no scene of the world, as many of each kind: noise as samplers start from it,
    single colors, and two scenes at once, each half transparent."""
    index, channels = torch.arange(len(images)), images.shape[1]
    normal = streams.normal(0, "no_scene.noise", 0, index, images[0].numel()).view(images.shape)
    color = streams.uniform(0, "no_scene.blank", 0, index, channels)[:, :, None, None]
    halves = (images.float() + images.roll(1, 0).float()) / 2
    return {
        "noise": ((normal / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8),
        "blank": (color * 255).round().to(torch.uint8).expand_as(images).contiguous(),
        "two scenes": halves.round().to(torch.uint8),
    }


def _unsure(probe: Probe, images: UInt8[Tensor, "n _ h w"]) -> float:
    return probe.read(images).unsure.double().mean().item()


def compare_with_oracle(
    probe: Probe, oracle: Oracle, images: UInt8[Tensor, "n 3 h w"], limit: float
) -> dict[str, Any]:
    """Compare both instruments on renders: how often both are sure of all concepts of the oracle's
    world, and, per concept, how often they agree where neither is unsure. limit: the oracle's, see
    `Oracle.read`."""
    ours, theirs = probe.read(images).indices(), _oracle_indices(oracle, images, limit)
    both = (ours >= 0) & (theirs >= 0)
    agreement = ((ours == theirs) & both).sum(0) / both.sum(0)
    return {"limit": limit, "both_sure": both.all(1).double().mean().item()} | {
        "agreement": dict(zip(oracle.space.names, agreement.tolist(), strict=True))
    }


def degradation_curves(
    world: World, probe: Probe, oracle: Oracle, limit: float, seed: int, count: int
) -> dict[str, list[dict[str, Any]]]:
    """Accuracy and unsureness of both instruments on the same degraded renders, as rows."""

    def by_probe(images: UInt8[Tensor, "n h w 3"]) -> Int[Tensor, "n c"]:
        return probe.read(images.permute(0, 3, 1, 2)).indices()

    def by_oracle(images: UInt8[Tensor, "n h w 3"]) -> Int[Tensor, "n c"]:
        return oracle.read(images, limit).indices

    return {
        name: [asdict(row) for row in degradation(world, reader, seed, count=count)]
        for name, reader in (("probe", by_probe), ("oracle", by_oracle))
    }


def _oracle_indices(oracle: Oracle, images: Tensor, limit: float) -> Int[Tensor, "n c"]:
    return oracle.read(images.permute(0, 2, 3, 1).contiguous(), limit).indices


def _head_certificate(head: Head, probabilities: Tensor, target: Tensor) -> dict[str, Any]:
    if isinstance(head, Coordinate):
        return coordinate_certificate(head, probabilities, target.double())
    return _concept_certificate(probabilities, target.long(), list(head))


def coordinate_certificate(
    head: Coordinate, probabilities: Float[Tensor, "n v"], target: Float[Tensor, " n"]
) -> dict[str, Any]:
    """Certificate of one coordinate. accuracy: share read right (`Coordinate.is_right`). error_px:
    how far off, where there is a coordinate and one was read. calibration_error: of the probability
    given to what was read."""
    read = head.read(probabilities)
    right, off = head.is_right(read, target), head.offset(read, target).abs()
    off = off[~off.isnan()]
    there, _, none = head.outcomes(probabilities, read).unbind(1)
    sure = torch.where(read.isnan(), none, there)
    return {
        "accuracy": right.double().mean().item(),
        "calibration_error": binary_calibration_error(sure, right.long()).item(),
        "error_px": {
            "median": off.median().item(),
            "90 %": off.quantile(0.9).item(),
            "worst": off.max().item(),
        },
    }


def _concept_certificate(
    probabilities: Tensor, target: Int[Tensor, " n"], values: list[str]
) -> dict[str, Any]:
    """confusion: rows are the true values, columns what the probe read, in the order of values."""
    classes = len(values)
    if classes == 1:
        return {"values": values, "accuracy": 1.0, "calibration_error": 0.0, "confusion": []}
    error = multiclass_calibration_error(probabilities, target, num_classes=classes)
    accuracy = multiclass_accuracy(probabilities, target, num_classes=classes, average="micro")
    confusion = multiclass_confusion_matrix(probabilities, target, num_classes=classes)
    return {
        "values": values,
        "accuracy": accuracy.item(),
        "calibration_error": error.item(),
        "confusion": confusion.tolist(),
    }


def check_gate(
    certificate: Mapping[str, Any], gate: float, advice: str = "make the world easier to read"
) -> None:
    """Refuse a probe below the gate. Raises ProbeRefused naming the concept."""
    for name, concept in certificate["concepts"].items():
        if concept["accuracy"] < gate:
            raise ProbeRefused(
                f"probe: clean accuracy for {name} is {concept['accuracy']:.4f}, below "
                f"probe.gate = {gate}; raise probe.steps or {advice}"
            )


def save_probe(
    directory: Path, probe: Probe, width: int, certificate: Mapping[str, Any], identity: Any
) -> None:
    """Write probe.safetensors and certificate.json; `identity` says what it was trained on."""
    heads = {k: asdict(h) if isinstance(h, Coordinate) else h for k, h in probe.concepts.items()}
    facts = {"width": width, "fold": probe.fold, "values": heads}

    def fill(path: Path) -> None:
        save_file(dict(probe.state_dict()), path / "probe.safetensors")
        write_json(path / "certificate.json", {**certificate, **facts, "identity": identity})

    write_directory(directory, fill)


def load_probe(
    directory: Path, certificate: dict[str, Any] | None = None
) -> tuple[Probe, dict[str, Any]]:
    """A probe and its certificate. Mistake names a file that is missing or unreadable.

    certificate: what its file holds, if that was read before.
    """
    certificate = certificate or read_json(directory / "certificate.json")
    path = directory / "probe.safetensors"
    try:
        heads = {name: _head(facts) for name, facts in certificate["values"].items()}
        probe = Probe(heads, certificate["width"], certificate.get("fold", 1))
        probe.load_state_dict(load_file(path))
    except (OSError, KeyError, SafetensorError, RuntimeError) as error:
        raise Mistake(
            f"{path}: not the probe of its certificate ({first_line(error)}); "
            f"move its directory away, scripts/run.py trains it again"
        ) from None
    return probe.eval(), certificate


def _head(facts: Any) -> Head:
    """What `save_probe` wrote of one: a list of words, or what a coordinate has."""
    return Coordinate(**facts) if isinstance(facts, dict) else tuple(facts)


def probe_name(certificate: Mapping[str, Any]) -> str:
    """Short name of what a probe was trained on: the `probe` column of scores."""
    return hash_json(certificate["identity"])[:12]
