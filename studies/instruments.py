"""What is known of a run's instruments: the probe's certificate, and where probe and oracle agree.

For print, figures and report.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.agreement import agreement, disagreements, format_agreement
from analysis.agreement_figures import agreement_figure, disagreement_figure
from analysis.certificates import degradation_figure
from classifiers.certificate import probe_name
from studies.config import Config
from studies.evaluate import read_scores
from studies.plans import Plan, has_oracle, instruments, shown_plans
from studies.probing import ORIGINALS, read_certificate
from studies.prompt_sets import Terms
from studies.run_dir import RunDir
from studies.samples import load_samples

CAPTIONS = {
    "certificate": "How the world's own images are read under noise and blur. Right: the share "
    "read as what they show; an image that is taken for no scene, unsure, counts as wrong.",
    "agreement": "How often probe and oracle say the same of the generated images in which neither "
    "is unsure; and how often each of them is.",
    "disagreements": "Images of the last snapshot in which probe and oracle read different values, "
    "though neither is unsure: what was asked, and what each of them reads otherwise.",
}


def instrument_figures(run: RunDir, config: Config, world: Terms) -> dict[str, Any]:
    """Figures by name, as CAPTIONS has them; those of the oracle where it has read the images, and
    pictures of disagreement where there are any."""
    figures = {"certificate": degradation_figure(degradation(read_certificate(run)))}
    if has_oracle(config):
        figures["agreement"] = agreement_figure(
            agreement(*_read_both(run, config, shown_plans(config)))
        )
        last = shown_plans(config)[-1]
        apart = disagreements(*_read_both(run, config, [last]))
        if len(apart):
            figures["disagreements"] = disagreement_figure(apart, _images(run, world, last, apart))
    return figures


def agreement_lines(run: RunDir, config: Config) -> list[str]:
    """What to say of probe and oracle at the last snapshot; nothing if the oracle was not asked."""
    if not has_oracle(config):
        return []
    last = _last_agreement(run, config)
    return [f"probe and oracle say the same, where neither is unsure: {last}"]


def captions(run: RunDir, config: Config) -> dict[str, str]:
    """CAPTIONS with the numbers of the last snapshot."""
    if not has_oracle(config):
        return CAPTIONS
    last = f"{CAPTIONS['agreement']} At the last snapshot: {_last_agreement(run, config)}."
    return {**CAPTIONS, "agreement": last}


def _last_agreement(run: RunDir, config: Config) -> str:
    return format_agreement(agreement(*_read_both(run, config, shown_plans(config)[-1:])))


def _read_both(
    run: RunDir, config: Config, plans: Sequence[Plan]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    probe, oracle = (
        read_scores(run, config, plans, name)
        for name in instruments(config, probe_name(read_certificate(run)))
    )
    return probe, oracle


def _images(run: RunDir, world: Terms, plan: Plan, apart: pd.DataFrame) -> np.ndarray:
    """uint8 (rows of apart, h, w, 3)."""
    names = [world.space.name(combination) for combination in world.space.combinations]
    combination = [names.index(name) for name in apart["combination"]]
    return load_samples(plan.samples_file(run))[combination, apart["sample"]]


def degradation(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """The certificate's curves under noise and blur, as `degradation_figure` takes them."""
    rows = [
        {"instrument": instrument, **row}
        for instrument, curve in certificate["degradation"].items()
        for row in curve
    ]
    return pd.DataFrame(rows)


def probe_facts(certificate: Mapping[str, Any]) -> dict[str, str]:
    """Clean accuracy per concept, to print."""
    images = _certified_on(certificate)
    return {
        f"{name}, clean accuracy": f"{concept['accuracy']:.4f} of {images}"
        for name, concept in certificate["concepts"].items()
    }


def certificate_facts(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """All that the report says of the probe beside its figure."""
    concepts = certificate["concepts"].items()
    return {
        f"the probe's clean accuracy, on {_certified_on(certificate)} it never saw": {
            name: f"{concept['accuracy']:.4f}" for name, concept in concepts
        },
        "calibration error: how far its probabilities are from shares read right": {
            name: f"{concept['calibration_error']:.4f}" for name, concept in concepts
        },
        "confusion: how many images of each value are read as what": {
            name: _confusion(concept) for name, concept in concepts
        },
        "unsure: share taken for no scene, of": {
            kind: f"{share:.1%}" for kind, share in certificate["unsure"].items()
        },
        "agreement with the oracle, which fits the renderer and learns nothing, on the same "
        "images": _agreed(certificate["oracle"]),
    }


def _certified_on(certificate: Mapping[str, Any]) -> str:
    """Such as "2048 renders"."""
    return f"{certificate['num_images']} {ORIGINALS[certificate['identity']['world']['kind']]}"


def _agreed(oracle: Mapping[str, Any] | str) -> Mapping[str, str] | str:
    """In words, where there is none."""
    if isinstance(oracle, str):
        return oracle
    shares = {name: f"{share:.4f}" for name, share in oracle["agreement"].items()}
    return {**shares, "neither is unsure of": f"{oracle['both_sure']:.1%} of them"}


def _confusion(concept: Mapping[str, Any]) -> dict[str, str]:
    values = concept["values"]
    return {
        value: ", ".join(f"{count} {read}" for read, count in zip(values, row, strict=True))
        for value, row in zip(values, concept["confusion"], strict=False)  # none of one value
    }
