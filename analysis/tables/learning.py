"""What one run has learned, and when: the scores table in, a row per concept out.

Rows are of the images that all snapshots of the run have: image k of a combination starts from the
same noise at each of them, so that a redraw of images redraws whole curves.
"""

from collections.abc import Iterator
from functools import reduce

import numpy as np
import pandas as pd

from analysis.measures.learning_times import learning_time_interval, learning_times
from analysis.measures.swing_test import rising_runs
from analysis.tables.trajectory import BASELINES, MOST_UNSURE, joint_right

DRAWS = 1 << 13  # seed of the bootstrap
NUM_DRAWS = 199
FEWEST_TO_TURN = 3  # snapshots: up, and back
IMAGE = ["combination", "prompt", "sample"]
NOWHERE = {"images_seen": np.nan, "after": 0.0, "by": np.inf, "low": 0.0, "high": np.inf}


def learning_time_table(scores: pd.DataFrame, threshold: float = 0.8) -> pd.DataFrame:
    """When each concept, and all at once, is read as asked in `threshold` of the images, per split.

    Snapshots count where the probe is unsure of MOST_UNSURE of the images at most, of "joint" in
    any concept; in those that count, unsure is not read as asked.

    scores: of one run, one instrument and one way of drawing. Times are in images seen; a snapshot
    before training has none and is left out.

    Returns run, split, measure (a concept or "joint"), images_seen (NaN where it is not learned by
    the last snapshot, or was by the first), after and by (the snapshots between which it is
    learned: 0 and infinity at the ends), low and high (95 %, over noise).
    """
    trained = scores[~scores["run"].isin(BASELINES) & (scores["images_seen"] > 0)]
    rows = [
        {"split": split, "measure": measure, **_time(curve, threshold)}
        for split, measure, curve in _curves(trained)
    ]
    table = pd.DataFrame(rows, columns=["split", "measure", *NOWHERE])
    table.insert(0, "run", scores["run"][~scores["run"].isin(BASELINES)].iloc[0])
    return table


def _curves(trained: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(split, measure, table of 0 and 1: snapshots that count × images) of every split and
    measure."""
    read, asked = (trained[c].astype("string") for c in ("predicted", "target"))
    right = read.eq(asked).fillna(False).astype(np.float64)
    valued = trained.assign(value=right, unsure=read.isna().astype(np.float64))
    for split, rows in valued.groupby("split", sort=False, observed=True):
        own = _numbered(rows)
        by_concept = [own[own["concept"] == c] for c in own["concept"].unique()]
        of_each = {
            str(rows["concept"].iloc[0]): (_by_image(rows), _by_image(rows, "unsure"))
            for rows in by_concept
        }
        values, unsure = zip(*of_each.values(), strict=True)
        joint = reduce(np.minimum, values), reduce(np.maximum, unsure)
        for measure, (table, blind) in {**of_each, "joint": joint}.items():
            yield str(split), measure, table[blind.mean(axis=1) <= MOST_UNSURE]


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the number of their `image`, in the order in which images first come."""
    return rows.assign(image=rows.groupby(IMAGE, sort=False, observed=True).ngroup())


def _by_image(rows: pd.DataFrame, name: str = "value") -> pd.DataFrame:
    """The column as snapshots × images, of images that all snapshots have: a `pivot`, faster."""
    seen, snapshot = np.unique(rows["images_seen"].to_numpy(), return_inverse=True)
    image = rows["image"].to_numpy()
    table = np.zeros((len(seen), image.max() + 1))
    there = np.zeros(table.shape, bool)
    table[snapshot, image], there[snapshot, image] = rows[name].to_numpy(), True
    if there.sum() < len(rows):
        raise ValueError("scores has an image twice")
    return pd.DataFrame(table[:, there.all(0)], index=seen)


def _time(right: pd.DataFrame, threshold: float) -> dict[str, float]:
    seen, values = right.index.to_numpy(np.float64), right.to_numpy()
    if not len(seen):
        return NOWHERE
    found = learning_times(seen, values.mean(1), threshold)
    rng = np.random.default_rng(DRAWS)
    low, high = learning_time_interval(
        seen, values, rng=rng, threshold=threshold, num_draws=NUM_DRAWS
    )
    return {
        "images_seen": float(found.time),
        "after": float(found.low),
        "by": float(found.high),
        "low": low,
        "high": high,
    }


def final_joint(scores: pd.DataFrame) -> pd.DataFrame:
    """Which images of the last snapshot of one run show all that was asked.

    Returns run, images_seen, split, combination, sample, right.
    """
    generated = scores[~scores["run"].isin(BASELINES)]
    last = generated[generated["step"] == generated["step"].max()]
    right = joint_right(last).rename("right").reset_index()
    about = last[["run", "images_seen", "split", "combination"]].drop_duplicates()
    return about.merge(right.drop(columns="step"), on=["run", "combination"])


def turn_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Whether the path of the held-out combinations turns back along each concept, by more than
    noise in its images (`swing_test.rising_runs`, of minus the coordinate).

    Snapshots count where the probe is unsure of MOST_UNSURE of the images at most: what it reads in
    images of no scene is no place of a path.

    scores: as of `learning_time_table`, of a probe: the coordinate is its p_target.

    Returns run, measure (the concept), turns (null where fewer than three snapshots count),
    counting (how many do) and snapshots (of how many); no rows without held-out combinations.
    """
    trained = scores[~scores["run"].isin(BASELINES) & (scores["split"] == "held_out")]
    rows = []
    for concept, own in _numbered(trained).groupby("concept", sort=False, observed=True):
        unsure = own["predicted"].isna().groupby(own["images_seen"]).mean()
        counting = own[own["images_seen"].map(unsure) <= MOST_UNSURE]
        rows.append(
            {
                "run": own["run"].iloc[0],
                "measure": concept,
                "turns": _turns(counting),
                "counting": counting["images_seen"].nunique(),
                "snapshots": len(unsure),
            }
        )
    columns = ["run", "measure", "turns", "counting", "snapshots"]
    return pd.DataFrame(rows, columns=columns).astype({"turns": "boolean"})


def _turns(counting: pd.DataFrame) -> bool | None:
    """Whether a path turns back, by the images of the snapshots that count; None if too few do."""
    if counting["images_seen"].nunique() < FEWEST_TO_TURN:
        return None
    values = -_by_image(counting.assign(value=counting["p_target"])).to_numpy()
    rng = np.random.default_rng(DRAWS)
    return bool(rising_runs(values[None], rng=rng, scale=1.0, num_draws=NUM_DRAWS)[0])
