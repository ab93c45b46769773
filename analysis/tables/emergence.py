"""How combinations emerge in one run: by distance from training, and from their concepts.

The distance of a combination is the least number of concepts in which it differs from one that
trains. Rows are of the images that all snapshots after the first step have. Means over combinations
count these alike; they are fixed, not drawn.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.emergence import constant_rate, emergence
from analysis.tables.trajectory import BASELINES, joint_right

DRAWS, NUM_DRAWS = 1 << 13, 499


def distances_from_training(scores: pd.DataFrame) -> pd.Series:
    """Distance of every combination from those that train, 0 of these; int, by combination."""
    first = scores.drop_duplicates(["combination", "concept"])
    asked = first.pivot(index="combination", columns="concept", values="target").astype(str)
    split = scores.drop_duplicates("combination").set_index("combination")["split"]
    trains = asked[(split == "train").reindex(asked.index)].to_numpy()
    apart = (asked.to_numpy()[:, None] != trains).sum(2).min(1)
    return pd.Series(apart, asked.index, name="distance")


def distance_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Joint accuracy of one run at every snapshot, by distance from training.

    scores: of one run, one instrument and one way of drawing.

    Returns run, distance, images_seen, accuracy, variance (over noise) and combinations (how many).
    """
    generated = _generated(scores)
    return _by_distance(generated, _joint_by_image(generated))


def distance_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of `distance_curves` over ln(images seen), from the first snapshot to the last: the
    sooner something is learned, the higher. Columns as there, but for images_seen."""
    generated = _generated(scores)
    right = _joint_by_image(generated)
    mean = right.to_numpy() @ _weights(right.columns.to_numpy(np.float64))
    means = pd.DataFrame({0.0: mean}, index=right.index)
    return _by_distance(generated, means).drop(columns="images_seen")


def _by_distance(generated: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """values: in [0, 1], (combination, sample) × images seen."""
    of_combination = values.groupby(level="combination")
    noise = of_combination.var(ddof=0).div(of_combination.size(), axis=0)
    distance = distances_from_training(generated).reindex(noise.index)
    count = distance.value_counts()
    means = of_combination.mean().groupby(distance).mean()
    variances = noise.groupby(distance).sum().div(count**2, axis=0)
    table = pd.DataFrame({"accuracy": means.stack(), "variance": variances.stack()})
    table = table.rename_axis(["distance", "images_seen"]).reset_index()
    table["combinations"] = table["distance"].map(count)
    table.insert(0, "run", generated["run"].iloc[0])
    return table


def _generated(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[~scores["run"].isin(BASELINES) & (scores["images_seen"] > 0)]


def _joint_by_image(generated: pd.DataFrame) -> pd.DataFrame:
    """0 and 1: (combination, sample) × images seen."""
    seen = generated.drop_duplicates("step").set_index("step")["images_seen"]
    right = joint_right(generated).droplevel("run").unstack("step").dropna()
    return right.astype(np.float64).rename(columns=seen.to_dict())


def _weights(seen: np.ndarray) -> np.ndarray:
    """Weights of snapshots in a mean over ln(images seen), by the trapezoidal rule."""
    if len(seen) == 1:
        return np.ones(1)
    steps = np.diff(np.log(seen))
    around = np.concatenate([[0], steps, [0]])
    return np.asarray((around[:-1] + around[1:]) / 2 / steps.sum())


def emergence_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Joint accuracy of every held-out combination at every snapshot of one run, beside what its
    concepts say.

    Returns run, combination, images_seen, joint, product and minimum (of the accuracies of the
    concepts); nothing without held-out combinations or with a single concept.
    """
    right = _held_out_right(scores)
    if right is None:
        return pd.DataFrame(
            columns=["run", "combination", "images_seen", "joint", "product", "minimum"]
        )
    cells, single, joint = right
    rules = {
        "joint": joint.mean(1),
        "product": single.mean(1).prod(1),
        "minimum": single.mean(1).min(1),
    }
    return cells.assign(**rules)


def emergence_row(scores: pd.DataFrame) -> pd.DataFrame:
    """How far joint accuracy lies from the product of the concepts' accuracies and from their
    minimum, over the cells of one run (`measures.emergence.emergence`).

    Returns run, excess (mean of joint − product), product_error, minimum_error (root mean squares),
    advantage (the second minus the first), excess_variance and advantage_variance (over noise: one
    draw of images for all snapshots and combinations) and cells; a row, or none as of
    `emergence_cells`.
    """
    right = _held_out_right(scores)
    columns = [
        *("run", "excess", "product_error", "minimum_error", "advantage"),
        *("excess_variance", "advantage_variance", "cells"),
    ]
    if right is None:
        return pd.DataFrame(columns=columns)
    cells, single, joint = right
    found = emergence(*_drawn(single, joint))
    advantage = found.minimum_error - found.product_error
    row: dict[str, Any] = {
        **{"run": cells["run"].iloc[0], "excess": found.excess[0], "cells": found.cells},
        **{"product_error": found.product_error[0], "minimum_error": found.minimum_error[0]},
        **{"advantage": advantage[0], "advantage_variance": advantage[1:].var()},
        "excess_variance": found.excess[1:].var(),
    }
    return pd.DataFrame([row], columns=columns)


def _drawn(single: np.ndarray, joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies by all images and as they are drawn."""
    images = joint.shape[1]
    rng = np.random.default_rng(DRAWS)
    draws = rng.multinomial(images, np.full(images, 1 / images), size=NUM_DRAWS)
    weights = np.concatenate([np.ones((1, images)), draws]) / images
    return np.einsum("di,cik->dck", weights, single, optimize=True), weights @ joint.T


def _held_out_right(
    scores: pd.DataFrame,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray] | None:
    """Cells (run, combination, images_seen), and which images are right: (cells, images, concepts)
    and (cells, images). None without held-out combinations or with a single concept."""
    generated = _generated(scores)
    own = generated[generated["split"] == "held_out"]
    if own.empty or own["concept"].nunique() < 2:
        return None
    read, asked = (own[c].astype("string") for c in ("predicted", "target"))
    right = own.assign(right=read.eq(asked).fillna(False).astype(np.float64))
    cell = ["combination", "images_seen"]
    table = right.pivot(index=[*cell, "concept"], columns="sample", values="right").dropna(axis=1)
    table = table.sort_index(level=cell, sort_remaining=True)
    concepts = own["concept"].nunique()
    single = table.to_numpy().reshape(-1, concepts, table.shape[1]).swapaxes(1, 2)
    cells = table.index.to_frame(index=False)[cell].iloc[::concepts].reset_index(drop=True)
    cells.insert(0, "run", own["run"].iloc[0])
    return cells, single, single.min(2)


def growth_table(curves: pd.DataFrame) -> pd.DataFrame:
    """Fit of (1 − e^(−images/time))^n to the held-out accuracy of each concept and of all at once.

    curves: as `trajectory.accuracy_curves` returns them, of one run.

    Returns run, measure, time (images seen), n, error (root mean square) and refused: why there is
    no fit, or "".
    """
    own = curves[(curves["split"] == "held_out") & (curves["images_seen"] > 0)]
    rows = [
        {"run": one["run"].iloc[0], "measure": measure, **_growth(one.sort_values("images_seen"))}
        for measure, one in own.groupby("measure", sort=False)
    ]
    return pd.DataFrame(rows, columns=["run", "measure", "time", "n", "error", "refused"])


def _growth(curve: pd.DataFrame) -> dict[str, Any]:
    seen, right, images = (
        curve[name].to_numpy(np.float64) for name in ("images_seen", "accuracy", "images")
    )
    if not right[0] < 0.5 <= right[-1]:
        refused = f"accuracy goes from {right[0]:.2f} to {right[-1]:.2f}, not through .5"
        return {"time": np.nan, "n": np.nan, "error": np.nan, "refused": refused}
    return {**constant_rate(seen, right, images)._asdict(), "refused": ""}
