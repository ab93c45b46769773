"""Curves of what a denoiser means: rows of the table `denoiser` in, smaller tables out.

Every interval is a 95 % one over scenes: each combination's are drawn anew, 499 times, the same
draws at every snapshot and in every run, as their scenes and noise are the same. It says nothing of
other training seeds.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.measures.learning_times import learning_times
from analysis.measures.obedience import (
    coordinates,
    error_along,
    error_within,
    obedience,
    redrawn,
)

NUM_DRAWS = 499
HALF = 0.5  # obedience at which a word counts as followed
_SETTINGS = ["train_seed", "weights", "eval_seed", "intervention"]
_SNAPSHOT = ["run", "step", "images_seen"]


class DrawnObedience(NamedTuple):
    """Obedience of one run at one level, on one split, with its redraws.

    Attributes:
        concepts: those that are not refused.
        refused: why the others are.
        step, images_seen: (times,), increasing.
        curves: (concepts, 1 + draws, times), the curve itself first.
    """

    concepts: list[str]
    refused: dict[str, str]
    step: np.ndarray
    images_seen: np.ndarray
    curves: np.ndarray


class _View(NamedTuple):
    """Scenes of one snapshot, group and level. Arrays are (scenes, concepts), where a concept's
    numbers are null if it is refused."""

    concepts: list[str]
    combination: np.ndarray
    columns: dict[str, np.ndarray]
    products: np.ndarray
    refused: list[str]


def obedience_curves(rows: pd.DataFrame, by: str = "split") -> pd.DataFrame:
    """Obedience and coordinates of every concept, per snapshot and level, and the score error.

    by: what scenes are pooled by, split or combination.

    Returns run, step, images_seen, `by`, level, concept (in the order in which `rows` first has
    them); obedience, low, high; coordinate, coordinate_low, coordinate_high; error (mean squared
    x_0 error against the ideal denoiser, per number), error_along (its part along this concept),
    error_beside (its part along none), least_error (what the ideal denoiser itself cannot know);
    effective_renders (of a scene in the middle), and refused: why there are no numbers, or "". A
    level that is refused for one pooled combination is refused for all. Coordinates are null where
    any concept is refused, since they are fitted together. Raises ValueError if a run mixes
    weights, seeds or interventions.
    """
    _check(rows)
    keys = [*_SNAPSHOT, by, "level"]
    found = [
        dict(zip(keys, key, strict=True)) | line
        for key, own in rows.groupby(keys, sort=True)
        for line in _lines(_view(own))
    ]
    return pd.DataFrame(found)


def obedience_draws(rows: pd.DataFrame) -> dict[tuple[float, str, float, str], np.ndarray]:
    """Obedience and coordinate of one run, by all scenes and as they are drawn, (2, 1 + draws).

    By images seen, split, level and concept; what is refused is left out. The coordinate is NaN
    where another concept of that level is refused. Raises ValueError as `obedience_curves` does.
    """
    _check(rows)
    found = {}
    groups: Any = rows.groupby(["images_seen", "split", "level"], sort=True)
    for (seen, split, level), own in groups:
        view = _view(own)
        placed = _coordinates(view)
        for i, concept in enumerate(view.concepts):
            if not view.refused[i]:
                key = (float(seen), str(split), float(level), str(concept))
                found[key] = np.stack([_obedience(view, i), placed[:, i]])
    return found


def rule_clock(
    rows: pd.DataFrame, threshold: float = HALF, split: str = "held_out"
) -> pd.DataFrame:
    """Clock of the rule: the images seen when obedience on held-out combinations crosses a half; or
    on those of another split.

    By isotonic regression over snapshots, linear in the logarithm; NaN where it never does, or did
    before the first snapshot: then the bracket says between which images it lies.

    Returns run, level, concept, images_seen, low, high (of the interval; infinite: after the last
    snapshot), after, before (the bracket). Levels that are refused are left out. Raises ValueError
    as `obedience_curves` does.
    """
    _check(rows)
    asked = rows[(rows["split"] == split) & (rows["images_seen"] > 0)]
    found = []
    for (run, level), own in asked.groupby(["run", "level"], sort=True):
        times = np.sort(own["images_seen"].unique()).astype(np.float64)
        views = [_view(own[own["images_seen"] == seen]) for seen in times]
        for i, concept in enumerate(views[0].concepts):
            if not any(view.refused[i] for view in views):
                curves = np.stack([_obedience(view, i) for view in views], axis=1)
                clock = crossing(times, curves, threshold)
                found.append({"run": run, "level": level, "concept": concept, **clock})
    columns = ["run", "level", "concept", "images_seen", "low", "high", "after", "before"]
    return pd.DataFrame(found, columns=columns)


def drawn_obedience(rows: pd.DataFrame) -> DrawnObedience:
    """Obedience of every concept with its redraws, of rows of one run, split and level.

    Raises ValueError as `obedience_curves` does.
    """
    _check(rows)
    snapshots = [(key, _view(own)) for key, own in rows.groupby(["step", "images_seen"], sort=True)]
    steps, seen = np.array([key for key, _ in snapshots], dtype=np.float64).T
    views = [view for _, view in snapshots]
    concepts = views[0].concepts
    whys = {
        concept: next((view.refused[i] for view in views if view.refused[i]), "")
        for i, concept in enumerate(concepts)
    }
    read = [i for i, concept in enumerate(concepts) if not whys[concept]]
    curves = [np.stack([_obedience(view, i) for view in views], axis=1) for i in read]
    return DrawnObedience(
        [concepts[i] for i in read],
        {concept: why for concept, why in whys.items() if why},
        steps,
        seen,
        np.array(curves).reshape(len(read), 1 + NUM_DRAWS, len(views)),
    )


def crossing(times: np.ndarray, curves: np.ndarray, threshold: float) -> dict[str, float]:
    """When a curve crosses a threshold. curves: (1 + draws, times), the first the curve itself."""
    found = learning_times(times, curves, threshold)
    censored = np.where(found.low > 0, np.inf, 0.0)
    drawn = np.where(np.isnan(found.time), censored, found.time)[1:]
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    bracket = {"after": float(found.low[0]), "before": float(found.high[0])}
    return {"images_seen": float(found.time[0]), "low": float(low), "high": float(high), **bracket}


def _check(rows: pd.DataFrame) -> None:
    there = [name for name in _SETTINGS if name in rows]  # older tables have no intervention
    settings = rows.groupby("run")[there].nunique(dropna=False).max()
    if (settings > 1).any():
        mixed = ", ".join(settings.index[settings > 1])
        raise ValueError(f"rows mix several values of {mixed} in one run; keep one of each")


def _view(own: pd.DataFrame) -> _View:
    own = own.sort_values(["combination", "scene"], kind="stable")
    concepts = list(own["concept"].unique())
    shape = (-1, len(concepts))
    numbers = own.select_dtypes("number")
    refused = own["refused"].to_numpy().reshape(shape)
    combination = own["combination"].to_numpy().reshape(shape)[:, 0]
    absent = [np.nan] * len(concepts)
    products = [absent if one is None else list(one) for one in own["products"]]
    return _View(
        concepts,
        combination,
        {str(name): numbers[name].to_numpy(np.float64).reshape(shape) for name in numbers},
        np.array(products).reshape(*shape, len(concepts)),
        [_reason(combination, refused[:, i]) for i in range(len(concepts))],
    )


def _reason(combination: np.ndarray, refused: np.ndarray) -> str:
    """Which combinations are refused, and why, or nothing."""
    whys = {c: why for c, why in zip(combination, refused, strict=True) if not pd.isna(why)}
    if not whys:
        return ""
    (name, why), more = next(iter(whys.items())), len(whys) - 1
    return f"{name}: {why}" + (f"; and {more} other combinations" if more else "")


def _weights(view: _View) -> np.ndarray:
    """(1 + draws, scenes): all scenes once, then as they are drawn."""
    groups = np.unique(view.combination, return_inverse=True)[1]
    draws = redrawn(groups, NUM_DRAWS, rng=np.random.default_rng(0))
    return np.concatenate([np.ones((1, len(groups))), draws])


def _obedience(view: _View, concept: int) -> np.ndarray:
    response, ideal = (view.columns[n][:, concept] for n in ("response", "ideal_response"))
    return obedience(_weights(view), response, ideal)


def _coordinates(view: _View) -> np.ndarray:
    """(1 + draws, concepts); NaN where any concept is refused."""
    if any(view.refused):
        return np.full((1 + NUM_DRAWS, len(view.concepts)), np.nan)
    return coordinates(_weights(view), view.columns["offset"], view.products)


def _lines(view: _View) -> Iterator[dict[str, Any]]:
    """A line of `obedience_curves` for every concept."""
    placed, errors = _coordinates(view), _errors(view)
    for i, concept in enumerate(view.concepts):
        yield {
            "concept": concept,
            **_with_interval(_obedience(view, i), ("obedience", "low", "high")),
            **_with_interval(placed[:, i], ("coordinate", "coordinate_low", "coordinate_high")),
            **{name: float(values[i]) for name, values in errors.items()},
            "effective_renders": float(np.median(view.columns["effective_renders"][:, i])),
            "refused": view.refused[i],
        }


def _with_interval(drawn: np.ndarray, names: tuple[str, str, str]) -> dict[str, float]:
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return dict(zip(names, (float(drawn[0]), float(low), float(high)), strict=True))


def _errors(view: _View) -> dict[str, np.ndarray]:
    """Means over scenes of the parts of the score error, (concepts,) each."""
    columns, nothing = view.columns, np.full(len(view.concepts), np.nan)
    means = {name: columns[name].mean(0) for name in ("error", "least_error")}
    if any(view.refused):
        return {**means, "error_along": nothing, "error_beside": nothing}
    within = error_within(columns["offset"], view.products)[:, None]
    return {
        **means,
        "error_along": error_along(columns["offset"], view.products).mean(0),
        "error_beside": (columns["error"] - within).mean(0),
    }
