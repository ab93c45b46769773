"""Facts of a probe's certificate, as a table and in words."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from classifiers.limits import least
from studies.worlds.registry import KINDS

Concepts = Iterable[tuple[str, Mapping[str, Any]]]  # of a certificate


def degradation(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """Return the certificate's curves under noise and blur, as `degradation_figure` takes them."""
    rows = [
        {"instrument": instrument, **row}
        for instrument, curve in certificate["degradation"].items()
        for row in curve
    ]
    return pd.DataFrame(rows)


def certificate_facts(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the report says of the probe beside its figure."""
    concepts = certificate["concepts"].items()
    return {
        f"the probe's clean accuracy, on {_certified_on(certificate)} it never saw": {
            f"{name}{_within(concept)}": f"{concept['accuracy']:.4f}, with 95 % confidence "
            f"{concept['at_least']:.4f} or more"
            for name, concept in concepts
        },
        "calibration error: how far its probabilities are from shares read right": {
            name: f"{concept['calibration_error']:.4f}" for name, concept in concepts
        },
        **_confusions(concepts),
        **_errors_px(concepts),
        "unsure: share taken for no scene, of": {
            kind: f"{share:.1%}" for kind, share in certificate["unsure"].items()
        },
        "its limit of that is set by": _limit(certificate),
        "agreement with the oracle, which fits the renderer and learns nothing, on the same "
        "images": _agreed(certificate["oracle"]),
    }


def probe_facts(certificate: Mapping[str, Any]) -> dict[str, str]:
    """Return the clean accuracy per concept, to print."""
    images = _certified_on(certificate)
    return {
        f"{name}, clean accuracy": f"{concept['accuracy']:.4f} (at least {concept['at_least']:.4f} "
        f"with 95 % confidence) of {images}{_within(concept)}"
        for name, concept in certificate["concepts"].items()
    }


def probe_warnings(certificate: Mapping[str, Any]) -> list[str]:
    """Return what the user must know of the probe: one line where images are too few for the rate
    asked."""
    limit = certificate["unsure_limit"]
    needed = least(limit["rate"])
    if limit["num_images"] >= needed:
        return []
    return [
        f"probe: when it is unsure is set by {limit['num_images']} images, so it takes "
        f"{limit['expected_rate']:.1%} of true images for no scene; probe.unsure_rate = "
        f"{limit['rate']:g} needs {needed}"
    ]


def _limit(certificate: Mapping[str, Any]) -> str:
    """Return text such as "2048 true renders of their own; of further ones it is unsure of
    1.0%"."""
    limit = certificate["unsure_limit"]
    originals = _originals(certificate)
    return (
        f"{limit['num_images']} {originals} of their own; of further ones, half of them blurred "
        f"and noisy, it is expected to be unsure of {limit['expected_rate']:.1%}"
    )


def _certified_on(certificate: Mapping[str, Any]) -> str:
    """Return text such as "2048 true renders"."""
    return f"{certificate['num_images']} {_originals(certificate)}"


def _originals(certificate: Mapping[str, Any]) -> str:
    return KINDS[certificate["identity"]["world"]["kind"]].originals


def _within(concept: Mapping[str, Any]) -> str:
    return " within 1 px" if "error_px" in concept else ""


def _agreed(oracle: Mapping[str, Any] | str) -> Mapping[str, str] | str:
    """Return the agreement with the oracle or, in words, why there is none."""
    if isinstance(oracle, str):
        return oracle
    shares = {name: f"{share:.4f}" for name, share in oracle["agreement"].items()}
    return {**shares, "neither is unsure of": f"{oracle['both_sure']:.1%} of them"}


def _confusions(concepts: Concepts) -> dict[str, Any]:
    """Return the confusions of those concepts that have values."""
    tables = {name: _confusion(concept) for name, concept in concepts if "confusion" in concept}
    return {"confusion: how many images of each value are read as what": tables} if tables else {}


def _confusion(concept: Mapping[str, Any]) -> dict[str, str]:
    values = concept["values"]
    return {
        value: ", ".join(f"{count} {read}" for read, count in zip(values, row, strict=True))
        for value, row in zip(values, concept["confusion"], strict=False)  # none of one value
    }


def _errors_px(concepts: Concepts) -> dict[str, Any]:
    """Return the errors of those concepts that are coordinates."""
    errors = {
        name: ", ".join(f"{which} {px:.2f}" for which, px in c["error_px"].items())
        for name, c in concepts
        if "error_px" in c
    }
    return {"error in px": errors} if errors else {}
