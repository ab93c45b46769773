"""Small tables of one run: which images are right, and when a share of them is.

Rows are of the table `scores`, of one run and one instrument.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.measures.learning_times import LearningTimes, learning_times
from analysis.tables.coordinates import Coordinate, probe_coordinates, swing_table
from analysis.tables.learning import learning_time_table
from analysis.tables.trajectory import MOST_UNSURE
from studies.claims.images.runs import ImageRun

IMAGE = ["combination", "prompt", "sample"]


def right_images(rows: pd.DataFrame, concept: str | None = None) -> pd.DataFrame:
    """Return which images are read as asked, 0 or 1: (images seen, images that all snapshots have).

    concept: of which; None: of all, in one image. Unsure is not read as asked.
    """
    own = rows if concept is None else rows[rows["concept"] == concept]
    read, asked = (own[name].astype("string") for name in ("predicted", "target"))
    right = own.assign(right=read.eq(asked).fillna(False).astype(np.float64))
    by_image = right.groupby(["images_seen", *IMAGE], observed=True)["right"].min()
    return by_image.unstack(IMAGE).dropna(axis=1)


def held_out(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of held-out combinations, after the first step."""
    return rows[(rows["split"] == "held_out") & (rows["images_seen"] > 0)]


def counting(rows: pd.DataFrame) -> pd.Index:
    """Return the images seen at snapshots of which half of the images at least are sure, of every
    concept."""
    unsure = rows["predicted"].isna().groupby([rows["images_seen"], rows["concept"]]).mean()
    worst = unsure.groupby(level="images_seen").max()
    return worst.index[worst <= MOST_UNSURE]


def time_of(right: np.ndarray, seen: np.ndarray, threshold: float) -> LearningTimes:
    """Return when the share of images (times, images) that are right crosses a threshold."""
    return learning_times(seen, right.mean(1), threshold)


def within(times: LearningTimes, seen: np.ndarray) -> float:
    """Return a time; one after the last snapshot counts as that one, before the first as it."""
    if np.isfinite(times.time):
        return float(times.time)
    return float(seen[-1] if np.isinf(times.high) else seen[0])


def in_time(times: LearningTimes) -> bool:
    """Return whether something is learned by the last snapshot."""
    return bool(np.isfinite(times.high))


def paths(run: ImageRun, gated: bool) -> dict[str, Coordinate]:
    """Return the softmax coordinate of every concept; gated: of snapshots that count for all."""
    found = {one.measure: one for one in probe_coordinates(held_out(run.plain)) if _is_softmax(one)}
    if not gated:
        return found
    counts = np.logical_and.reduce([one.counting for one in found.values()])
    return {name: only(one, counts) for name, one in found.items()}


def _is_softmax(one: Coordinate) -> bool:
    return one.instrument == "softmax"


def only(one: Coordinate, snapshots: np.ndarray) -> Coordinate:
    """Return a coordinate at some of its snapshots."""
    parts = {key: getattr(one, key)[snapshots] for key in ("images_seen", "sums", "counts")}
    return one._replace(**parts, counting=one.counting[snapshots])


def path_gate(run: ImageRun) -> str:
    """Return why the path of a run is not judged, or "": too few snapshots count, or it does not
    compose (`coordinates.swing_table`)."""
    coordinates = [one for one in probe_coordinates(held_out(run.plain)) if _is_softmax(one)]
    gates = swing_table(coordinates, learning_time_table(run.plain), final_joint(run.last))["gate"]
    return next((gate for gate in gates if gate), "")


def final_joint(last: pd.DataFrame, split: str = "held_out") -> float:
    """Return the joint accuracy of a split in rows of one snapshot; nan if nothing is of it."""
    own = last[last["split"] == split]
    return float(right_images(own).to_numpy().mean()) if len(own) else float("nan")


def drawn(images: int, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return weights (draws, images) of redrawn images; each row sums to 1."""
    return rng.multinomial(images, np.full(images, 1 / images), size=draws) / images


def by_combination(last: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (combination, which images are right) of rows of one snapshot."""
    for name, own in last.groupby("combination", sort=False, observed=True):
        yield str(name), right_images(own).to_numpy()[0]
