"""Checks of the readable parts of scores.parquet: is every image scored once?"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd

from classifiers.scores import KEY
from studies.run.opened import Experiment
from studies.run.plans import RENDER, Plan, make_plans, memoriser_plan, part_name
from studies.run.provenance import ORACLE
from studies.scoring.units import make_jobs

COUNT = re.compile(r"-n(\d+)-")  # images per combination, in a part's name
OF_A_PLAN = tuple(field.name for field in fields(Plan) if field.name in KEY)
THE_SAME = (*OF_A_PLAN, "probe")  # in all rows of a part


def wrong_part(
    name: str, scores: pd.DataFrame, prompts: Mapping[str, int], real: bool = False
) -> str:
    """Return what is wrong with one part, on one line, or nothing.

    prompts: how many every set has, as far as that is known; a part has all of one set.
    real: the ceiling is of real images, of which there may be fewer than asked for.
    """
    if scores.empty:
        return "has no rows"
    uneven = real and scores["run"].iloc[0] == RENDER
    return (
        _bad_key(scores)
        or _mixed(scores)
        or _incomplete(scores, prompts, uneven)
        or _misnamed(name, scores, uneven)
    )


def _bad_key(scores: pd.DataFrame) -> str:
    key = scores[list(KEY)]
    empty = key.isna().any(axis=1)
    if empty.any():
        return f"row {int(empty.argmax())} has a null in its key"
    doubled = key.duplicated()
    if doubled.any():
        row = int(doubled.argmax())
        first = int((key == key.iloc[row]).all(axis=1).argmax())
        return f"row {row} has the key of row {first}; {doubled.sum()} rows are doubled"
    return ""


def _mixed(scores: pd.DataFrame) -> str:
    for column in THE_SAME:
        values = scores[column].unique()
        if len(values) > 1:
            return f"mixes rows of {column} {values[0]} and {values[1]}"
    return ""


def _incomplete(scores: pd.DataFrame, prompts: Mapping[str, int], uneven: bool) -> str:
    """Return what is missing, or nothing: every prompt, or section of bumps, has all images (or,
    uneven, at least one), an image all concepts that are asked for."""
    counts = scores.groupby("prompt")["sample"].max() + 1
    first = scores.loc[scores["sample"] == 0, ["combination", "prompt"]]
    kinds = prompts.get(scores["intervention"].iloc[0], len(first.drop_duplicates()))
    images, concepts = int(counts.max()), scores["concept"].nunique()
    expected = kinds * images * concepts
    if uneven and len(counts) == kinds:
        expected = int(counts.sum()) * concepts
    if len(scores) == expected:
        return ""
    return (
        f"has {len(scores)} rows, expected {expected}: {kinds} prompts, {images} images of "
        f"each, {concepts} concepts"
    )


def _misnamed(name: str, scores: pd.DataFrame, uneven: bool) -> str:
    """Return whose rows a part holds under the name of another: it is doubled, or takes another's
    place. An uneven one is named by the number of images that were asked for."""
    row, images = scores.iloc[0], int(scores["sample"].max()) + 1
    plan = Plan(
        **{column: row[column] for column in OF_A_PLAN},
        images_per_combination=max(images, _count(name)) if uneven else images,
    )
    expected = part_name(plan, row["probe"])
    return "" if name == expected else f"holds the rows of {expected}: doubled, or mixed up"


def overlapping(parts: Iterable[Path]) -> list[Path]:
    """Return the parts whose rows are in another too, of the same settings but more images per
    combination: the keys are the same. An evaluation with more images leaves them behind."""
    by_settings: dict[str, list[Path]] = {}
    for path in parts:
        by_settings.setdefault(COUNT.sub("-", path.name), []).append(path)
    sizes = [sorted(paths, key=lambda path: _count(path.name)) for paths in by_settings.values()]
    return [path for paths in sizes for path in paths[:-1]]


def _count(name: str) -> int:
    found = COUNT.search(name)
    return int(found[1]) if found else 0


def unknown_to_older_versions(experiment: Experiment) -> list[Path]:
    """Return the parts that a finished run may lack: what the probe reads in the memoriser's
    images, and all that the oracle reads, if it has read none of the snapshots."""
    run, config, probe = experiment.run, experiment.config, experiment.probe_name
    begun = any(plan.part(run, ORACLE).is_file() for plan in make_plans(config))
    by_oracle = [] if begun else [job.parts.get(ORACLE) for job in make_jobs(experiment)]
    return [memoriser_plan(config).part(run, probe), *filter(None, by_oracle)]


def is_sampled_for(samples: Path, parts: Sequence[str]) -> bool:
    """Return whether some probe has scored a samples file, by the names of both."""
    return any(name.startswith(f"{samples.parent.name}-{samples.stem}-") for name in parts)
