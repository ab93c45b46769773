"""What a probe's certificate says, as a table and in words."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from studies.probing import ORIGINALS

Concepts = Iterable[tuple[str, Mapping[str, Any]]]  # of a certificate


def degradation(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """The certificate's curves under noise and blur, as `degradation_figure` takes them."""
    rows = [
        {"instrument": instrument, **row}
        for instrument, curve in certificate["degradation"].items()
        for row in curve
    ]
    return pd.DataFrame(rows)


def certificate_facts(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """All that the report says of the probe beside its figure."""
    unsure = {kind: f"{share:.1%}" for kind, share in certificate["unsure"].items()}
    concepts = certificate["concepts"].items()
    oracle = certificate["oracle"]
    agreement = oracle  # in words, where there is none
    if not isinstance(oracle, str):
        agreement = {name: f"{share:.4f}" for name, share in oracle["agreement"].items()}
    return {
        **probe_facts(certificate),
        "calibration error": {name: f"{c['calibration_error']:.4f}" for name, c in concepts},
        **_confusions(concepts),
        **_errors_px(concepts),
        "unsure, that is, taken for no scene": unsure,
        "agreement with the oracle, which fits the renderer and learns nothing": agreement,
    }


def probe_facts(certificate: Mapping[str, Any]) -> dict[str, str]:
    """Clean accuracy per concept, to print and to report."""
    kind = ORIGINALS[certificate["identity"]["world"]["kind"]]
    images = f"{certificate['num_images']} {kind}"
    right = {
        name: " within 1 px" if "error_px" in concept else ""
        for name, concept in certificate["concepts"].items()
    }
    return {
        f"{name}, clean accuracy": f"{concept['accuracy']:.4f} of {images}{right[name]}"
        for name, concept in certificate["concepts"].items()
    }


def _confusions(concepts: Concepts) -> dict[str, Any]:
    """Of those that have values."""
    tables = {
        name: "; ".join(
            f"{value}: {' '.join(map(str, row))}"
            for value, row in zip(c["values"], c["confusion"], strict=False)
        )
        for name, c in concepts
        if "confusion" in c
    }
    return {"confusion, true values down, read ones across": tables} if tables else {}


def _errors_px(concepts: Concepts) -> dict[str, Any]:
    """Of those that are coordinates."""
    errors = {
        name: ", ".join(f"{which} {px:.2f}" for which, px in c["error_px"].items())
        for name, c in concepts
        if "error_px" in c
    }
    return {"error in px": errors} if errors else {}
