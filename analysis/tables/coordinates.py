"""Coordinates of held-out combinations as each instrument reads them, of one run.

    softmax     mean probability that the probe gives the asked value, unsure or not
    sure        share read as asked, of the images of which the probe is sure
    oracle      mean place between the two class means, 0 to 1, of the images of which the oracle
                is sure: of concepts of two values that it reads as a number
    denoiser 0.2   obedience at this level

A snapshot counts where the instrument is sure of half of its images at least: what it reads in
images of no scene is no place of a path. The denoiser itself sees at all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.measures.cross_fitted import cross_fitted_swing
from analysis.measures.forecasts import scatter_fall
from analysis.tables.trajectory import BASELINES, MOST_UNSURE

DENOISER = "denoiser"
FEWEST_COUNTING = 8  # snapshots between learning of the first and the last concept
LEAST_JOINT = 0.5  # held-out accuracy at the end: a path that never arrives cannot return
TOO_LITTLE = "needs 2 snapshots that count, and 4 images or scenes of each combination"
DRAWS = 1 << 13  # seed of the bootstrap
AXIS = ["instrument", "measure"]


class Coordinate(NamedTuple):
    """One coordinate of one run: Σ sums / Σ counts over units. sums, counts: (snapshots, units);
    a unit is all images of one number, or all scenes. counting: bool (snapshots,)."""

    run: str
    instrument: str
    measure: str
    images_seen: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    counting: np.ndarray

    @property
    def values(self) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.sums.sum(1) / self.counts.sum(1))

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of the values over units."""
        off = self.sums - self.values[:, None] * self.counts
        return np.asarray(np.sqrt((off**2).sum(1)) / self.counts.sum(1))

    @property
    def names(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("run", *AXIS)}


def probe_coordinates(scores: pd.DataFrame) -> Iterator[Coordinate]:
    """Yield what a probe reads. scores: of one run, one probe and one way of drawing."""
    for concept, own in _held_out(scores):
        sure = own["predicted"].notna()
        right = sure & (own["predicted"].astype("string") == own["target"].astype("string"))
        yield _coordinate("softmax", concept, own, own["p_target"], pd.Series(1.0, own.index))
        yield _coordinate("sure", concept, own, right.fillna(False), sure)


def oracle_coordinates(scores: pd.DataFrame) -> Iterator[Coordinate]:
    """Yield what the oracle reads. scores: of one run and one way of drawing, all combinations,
    which say where the class means are."""
    means = scores.groupby("concept", observed=True)["target_value"].unique()
    for concept, own in _held_out(scores):
        ends = np.unique([mean for mean in means[concept] if np.isfinite(mean)])
        if len(ends) == 2:
            asked = own["target_value"]
            place = (own["predicted_value"] - (ends.sum() - asked)) / (2 * asked - ends.sum())
            sure = own["predicted"].notna() & place.notna()
            yield _coordinate("oracle", concept, own, place.clip(0, 1).where(sure, 0), sure)


def denoiser_coordinates(rows: pd.DataFrame) -> Iterator[Coordinate]:
    """Yield obedience, by level; those that are refused are left out. rows: of the table
    `denoiser`, of one run."""
    held_out = rows[rows["split"] == "held_out"]
    for (level, concept), own in held_out.groupby(["level", "concept"], sort=False):
        if own["refused"].isna().all():
            sums, counts = (
                own.pivot_table(name, "images_seen", "scene", aggfunc="sum")
                for name in ("response", "ideal_response")
            )
            everywhere = np.ones(len(sums), dtype=bool)
            yield _of(own, f"{DENOISER} {level:g}", str(concept), sums, counts, everywhere)


def _held_out(scores: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    own = scores[~scores["run"].isin(BASELINES) & (scores["split"] == "held_out")]
    for concept, rows in own.groupby("concept", sort=False, observed=True):
        yield str(concept), rows


def _coordinate(
    instrument: str, concept: str, own: pd.DataFrame, value: pd.Series, count: pd.Series
) -> Coordinate:
    """Of the images that all snapshots have."""
    sums, counts = (_by_number(own, one.astype(np.float64)) for one in (value, count))
    unsure = own["predicted"].isna().groupby(own["images_seen"]).mean()
    counting = (unsure <= MOST_UNSURE).to_numpy()
    return _of(own, instrument, concept, sums, counts, counting)


def _by_number(own: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """Snapshots × numbers of images, summed over prompts."""
    table = own.assign(value=values).pivot(
        index="images_seen", columns=["combination", "prompt", "sample"], values="value"
    )
    return table.dropna(axis=1).T.groupby(level="sample").sum().T


def _of(
    own: pd.DataFrame,
    instrument: str,
    concept: str,
    sums: pd.DataFrame,
    counts: pd.DataFrame,
    counting: np.ndarray,
) -> Coordinate:
    run, seen = str(own["run"].iloc[0]), sums.index.to_numpy(np.float64)
    return Coordinate(run, instrument, concept, seen, sums.to_numpy(), counts.to_numpy(), counting)


def coordinate_curves(coordinates: Sequence[Coordinate]) -> pd.DataFrame:
    """Return run, instrument, measure (the concept), images_seen, coordinate and counts (bool)
    of every snapshot."""
    tables = [
        pd.DataFrame({"images_seen": one.images_seen, "coordinate": one.values})
        .assign(counts=one.counting, **one.names)
        for one in coordinates
    ]  # fmt: skip
    columns = ["run", *AXIS, "images_seen", "coordinate", "counts"]
    return (
        pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    )


def swing_table(
    coordinates: Sequence[Coordinate], times: pd.DataFrame, final_joint_accuracy: float
) -> pd.DataFrame:
    """Whether each coordinate of one run turns back, cross-fitted over images or scenes
    (`cross_fitted.cross_fitted_swing`), at the snapshots that count.

    Readings of images pass a gate or are not judged: at least eight snapshots count from the
    learning of the first concept to that of the last, and the held-out joint accuracy ends at .5 or
    above. What is never learned counts as learned at the last snapshot. Obedience needs no gate.

    times: as `learning.learning_time_table` returns them, of the run. final_joint_accuracy: of what
    is held out, at the last snapshot.

    Returns run, instrument, measure, fall (R), low, high, start, end (images seen, of the
    largest fall), scatter_fall (what one snapshot's scatter about its neighbours makes of a curve
    that does not fall: `forecasts.scatter_fall`), counting (how many snapshots count), snapshots
    (of how many), swings, beyond (whether it swings, and R is above scatter_fall; both null where
    there is no R) and gate: why the run is not judged, or "".
    """
    rows = []
    for one in coordinates:
        found, of_images = _swing(one), not one.instrument.startswith(DENOISER)
        gate = _gate(one, times, final_joint_accuracy) if of_images else ""
        gate = gate or (TOO_LITTLE if found["swings"] is None else "")
        counting = int(one.counting.sum())
        about = {"counting": counting, "snapshots": len(one.counting), "gate": gate}
        rows.append({**one.names, **found, **_beyond(one, found), **about})
    columns = [
        *("run", *AXIS, "fall", "low", "high", "start", "end"),
        *("scatter_fall", "counting", "snapshots", "swings", "beyond", "gate"),
    ]
    return pd.DataFrame(rows, columns=columns).astype({"swings": "boolean", "beyond": "boolean"})


def _swing(one: Coordinate) -> dict[str, Any]:
    sums, counts = one.sums[one.counting], one.counts[one.counting]
    if len(sums) < 2 or sums.shape[1] < 4:
        return {**dict.fromkeys(("fall", "low", "high", "start", "end"), np.nan), "swings": None}
    found = cross_fitted_swing(sums, counts, rng=np.random.default_rng(DRAWS))
    start, end = one.images_seen[one.counting][[found.start, found.end]]
    ends = {"start": start, "end": end, "swings": found.swings}
    return {"fall": found.fall, "low": found.low, "high": found.high, **ends}


def _beyond(one: Coordinate, found: Mapping[str, Any]) -> dict[str, Any]:
    """Images and scenes are redrawn within snapshots: that tells no turn from a snapshot that lies
    apart from the next for no other reason than the last steps of training."""
    if found["swings"] is None:
        return {"scatter_fall": np.nan, "beyond": None}
    scatter = scatter_fall(one.values[one.counting], rng=np.random.default_rng(DRAWS))
    return {"scatter_fall": scatter, "beyond": found["swings"] and found["fall"] > scatter}


def _gate(one: Coordinate, times: pd.DataFrame, joint: float) -> str:
    if joint < LEAST_JOINT:
        return f"held-out joint accuracy ends at {joint:.2f}, below {LEAST_JOINT:g}"
    own = times[(times["split"] == "held_out") & (times["measure"] != "joint")]
    learned = own["images_seen"].fillna(own["by"]).clip(upper=one.images_seen[-1])
    learned = learned.where(own["after"] > 0, 0)  # by the first snapshot
    within = (one.images_seen >= learned.min()) & (one.images_seen <= learned.max())
    count = int((within & one.counting).sum())
    if count < FEWEST_COUNTING:
        return f"{count} snapshots count between learning of the first and the last concept"
    return ""
