"""Runs of the frozen studies as claims read them, with planted chances: no training, no files."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from studies.claims.images.compact import compact
from studies.claims.images.runs import Gates, ImageRun, ImageRuns
from studies.experiment.config import scored_steps
from studies.many.study import PlannedRun, StudyConfig, read_study
from studies.worlds.prompt_sets import PLAIN

STUDIES = Path(__file__).resolve().parents[2] / "configs" / "studies"
GATES = Gates(probe=0.99, probe_images=2048, trained=0.9)
SURE = {"num_images": 2048.0}
SCENES = 16
Curve = Callable[[np.ndarray], np.ndarray]  # steps → chance


@cache
def study(name: str) -> StudyConfig:
    return read_study(STUDIES / f"{name}.yaml")


def rises(at: float, until: float = 1.0) -> Curve:
    """A concept that is learned around a step, and ends at `until`."""
    return lambda step: until / (1 + (at / np.maximum(step, 1)) ** 8)


def dips(at: float, dip: float, depth: float = 0.8) -> Curve:
    """The same, and it is lost again around a later step."""
    return lambda step: rises(at)(step) * (1 - depth * np.exp(-(((step - dip) / 150) ** 2)))


def constant(value: float) -> Curve:
    return lambda step: np.full(len(step), value)


def words_of(planned: PlannedRun) -> dict[str, tuple[str, ...]]:
    return {name: one.values for name, one in planned.config.world.concepts.items()}


def image_rows(
    planned: PlannedRun,
    combination: tuple[str, ...],
    split: str,
    curves: Mapping[str, Curve],
    images: int,
    intervention: str = PLAIN,
    factorial: bool = False,
) -> pd.DataFrame:
    """Rows of `scores` of one combination at all scored steps. Image k has the same luck at all of
    them: shares are as planted, and no curve wiggles.

    factorial: every luck with one concept meets every luck with the others, so that joint accuracy
    is the product; the number of images is a power.
    """
    steps, values = np.array(scored_steps(planned.config)), words_of(planned)
    tables = []
    for number, (concept, asked) in enumerate(zip(values, combination, strict=True)):
        luck = _digits(number, images, len(values)) if factorial else _shuffled(number, images)
        right = luck < curves[concept](steps)[:, None]
        other = next(word for word in values[concept] if word != asked)
        step, sample = (place.ravel() for place in np.indices(right.shape))
        about = {"concept": concept, "target": asked, "combination": " ".join(combination)}
        one = pd.DataFrame({"step": steps[step], "sample": sample, "right": right.ravel()})
        tables.append(one.assign(predicted=np.where(one["right"], asked, other), **about))
    rows = pd.concat(tables, ignore_index=True)
    right = rows.pop("right")
    return rows.assign(
        p_target=np.where(right, 0.97, 0.03),
        target_value=1.0,
        predicted_value=right.astype(float),
        images_seen=rows["step"] * planned.config.train.batch_size,
        split=split,
        prompt=rows["combination"],
        intervention=intervention,
        run=planned.name,
    )


def _shuffled(number: int, images: int) -> np.ndarray:
    return (np.random.default_rng(number).permutation(images) + 0.5) / images


def _digits(number: int, images: int, concepts: int) -> np.ndarray:
    side = round(images ** (1 / concepts))
    return (np.arange(images) // side**number % side + 0.5) / side


def denoiser_rows(
    planned: PlannedRun, curves: Mapping[str, Curve], levels: tuple[float, ...]
) -> pd.DataFrame:
    """Rows of `denoiser` on what is held out, with planted obedience."""
    steps = np.array(scored_steps(planned.config))
    places = pd.MultiIndex.from_product(
        [range(len(steps)), levels, range(SCENES), curves],
        names=["place", "level", "scene", "concept"],
    ).to_frame(index=False)
    of_each = {name: curve(steps) for name, curve in curves.items()}
    obeyed = [of_each[c][p] for c, p in zip(places["concept"], places.pop("place"), strict=True)]
    step = np.repeat(steps, len(places) // len(steps))
    return places.assign(
        response=obeyed,
        ideal_response=1.0,
        refused=pd.Series(None, index=places.index, dtype="string"),
        step=step,
        images_seen=step * planned.config.train.batch_size,
        run=planned.name,
        combination="held",
        split="held_out",
    )


def image_run(
    name: str,
    planned: PlannedRun,
    tables: Mapping[str, pd.DataFrame],
    probe: float = 1.0,
    diverged: bool = False,
) -> ImageRun:
    concepts = {concept: probe for concept in planned.config.terms.exam({}, 0).concepts}
    small = {} if diverged else {key: compact(key, table) for key, table in tables.items()}
    return ImageRun(name, planned, small, {**SURE, **concepts}, diverged)


def image_runs(*runs: ImageRun) -> ImageRuns:
    return ImageRuns(runs, GATES)
