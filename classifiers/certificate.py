"""What a probe is good for: measured, written beside it, and checked before it is believed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from classifiers.probe import Batch, Probe
from data_gen.endings import Mistake, first_line
from data_gen.files import hash_json, read_json, write_directory, write_json


class ProbeRefused(Mistake):
    """The probe is not good enough to measure with."""


def certify(probe: Probe, batch: Batch) -> dict[str, Any]:
    """Clean accuracy, calibration error and confusion per concept, on labelled renders."""
    images, targets = batch
    probabilities = probe.probabilities(images)
    concepts = {
        name: _concept_certificate(probabilities[name], targets[:, i], list(values))
        for i, (name, values) in enumerate(probe.values.items())
    }
    return {"num_images": len(images), "concepts": concepts}


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


def check_gate(certificate: Mapping[str, Any], gate: float) -> None:
    """Refuse a probe below the gate. Raises ProbeRefused naming the concept."""
    for name, concept in certificate["concepts"].items():
        if concept["accuracy"] < gate:
            raise ProbeRefused(
                f"probe: clean accuracy for {name} is {concept['accuracy']:.4f}, below "
                f"probe.gate = {gate}; raise probe.steps or make the world easier to read"
            )


def save_probe(
    directory: Path, probe: Probe, width: int, certificate: Mapping[str, Any], identity: Any
) -> None:
    """Write probe.safetensors and certificate.json; `identity` says what it was trained on."""
    facts = {"width": width, "values": {k: list(v) for k, v in probe.values.items()}}

    def fill(path: Path) -> None:
        save_file(dict(probe.state_dict()), path / "probe.safetensors")
        write_json(path / "certificate.json", {**certificate, **facts, "identity": identity})

    write_directory(directory, fill)


def load_probe(directory: Path) -> tuple[Probe, dict[str, Any]]:
    """A probe and its certificate. Mistake names a file that is missing or unreadable."""
    certificate = read_json(directory / "certificate.json")
    path = directory / "probe.safetensors"
    try:
        values = {name: tuple(words) for name, words in certificate["values"].items()}
        probe = Probe(values, certificate["width"])
        probe.load_state_dict(load_file(path))
    except (OSError, KeyError, SafetensorError, RuntimeError) as error:
        raise Mistake(
            f"{path}: not the probe of its certificate ({first_line(error)}); "
            f"move its directory away, scripts/run.py trains it again"
        ) from None
    return probe.eval(), certificate


def probe_name(certificate: Mapping[str, Any]) -> str:
    """Short name of what a probe was trained on: the `probe` column of scores."""
    return hash_json(certificate["identity"])[:12]
