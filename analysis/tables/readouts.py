"""Readouts of every concept over training, by several instruments: scores in, curves out.

A readout is 1 where all is as asked:

    softmax    mean probability that the probe gives the asked value, over all images
    argmax     share of images that the probe reads as asked, among those of which it is sure
    oracle     the same by the oracle
    place      mean place of the number that the oracle reads, among those of which it is sure:
               1 at the mean of the asked value, 0 at that of the next one, linear between
    obedience  how far the denoiser follows the word, at one noise level (denoiser.py)

Guessing gives softmax and argmax the share of chance, and obedience 0. A snapshot counts for an
instrument that is unsure of at most MOST_UNSURE of its images.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.measures.intervals import binomial_bounds
from analysis.tables.denoiser import obedience_curves
from analysis.tables.trajectory import BASELINES, MOST_UNSURE

SOFTMAX, ARGMAX, ORACLE, PLACE, OBEDIENCE = "softmax", "argmax", "oracle", "place", "obedience"
APART = 0.1  # differences of which more is worth a look
_SNAPSHOT = ["run", "step", "images_seen"]
_READ = ["readout", "value", "low", "high", "images", "unsure", "counts"]


def readout_curves(
    probe: pd.DataFrame,
    oracle: pd.DataFrame | None = None,
    denoiser: pd.DataFrame | None = None,
    by: str = "split",
) -> pd.DataFrame:
    """Curves of every readout that there is, with 95 % intervals over noise, or over scenes.

    probe, oracle: rows of `scores`, of one instrument and one way of drawing; baselines are left
    out. denoiser: rows of `denoiser`. by: what images are pooled by, split or combination.

    Returns run, step, images_seen, `by`, concept (in the order of `probe`), readout, value, low,
    high, images (that it rests on; of obedience none), unsure (the share of all images; null of
    obedience) and counts (whether the snapshot counts for this readout).
    """
    readings = [(SOFTMAX, _softmax(probe)), (ARGMAX, _as_asked(probe))]
    if oracle is not None:
        readings += [(ORACLE, _as_asked(oracle)), (PLACE, _places(oracle))]
    tables = [_curves(values, by, name) for name, values in readings]
    if denoiser is not None and len(denoiser):
        tables.append(_obedience(denoiser, by))
    table = pd.concat(tables, ignore_index=True)
    order = pd.Categorical(table["concept"], probe["concept"].unique(), ordered=True)
    keys = ["run", "step", by, "concept"]
    table = table.assign(concept=order).sort_values(keys, kind="stable", ignore_index=True)
    return table.astype({"concept": str})[[*_SNAPSHOT, by, "concept", *_READ]]


def readout_differences(curves: pd.DataFrame, by: str = "split") -> pd.DataFrame:
    """How far apart any two readouts are, at every snapshot; `place`, a finer reading of what
    `oracle` reads, is left out.

    The interval is that of two independent values with the intervals that they have (method of
    variance estimates recovery, Zou and Donner 2008). Two readings of the same images hang
    together, so theirs is too wide rather than too narrow.

    curves: as `readout_curves` returns them.

    Returns run, step, images_seen, `by`, concept, first, second (readouts), difference (of the
    first minus the second), low, high, counts (whether the snapshot counts for both) and apart
    (whether it counts and its interval lies beyond ±APART).
    """
    keys = [*_SNAPSHOT, by, "concept"]
    read = curves[curves["readout"] != PLACE]
    pairs = combinations(read["readout"].unique(), 2)
    sides = {name: own.drop(columns="readout") for name, own in read.groupby("readout")}
    tables = [
        _differences(sides[first].merge(sides[second], on=keys, suffixes=("", "_2")), keys).assign(
            first=first, second=second
        )
        for first, second in pairs
    ]
    columns = [*keys, "first", "second", "difference", "low", "high", "counts", "apart"]
    return pd.concat(tables, ignore_index=True)[columns]


def independent_difference(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], widening: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference of two independent values with their intervals, each (value, low, high); its
    value, low and high. widening: of the distances to the ends of the intervals."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    below, above = np.hypot(a - a_low, b_high - b), np.hypot(a_high - a, b - b_low)
    return a - b, a - b - widening * below, a - b + widening * above


def three_readouts(curves: pd.DataFrame) -> pd.DataFrame:
    """Rows of softmax, argmax and place; of concepts that have no number, `oracle` as their
    place."""
    has_place = {*curves.loc[curves["readout"] == PLACE, "concept"]}
    stands_in = (curves["readout"] == ORACLE) & ~curves["concept"].isin(has_place)
    named = curves.assign(readout=curves["readout"].mask(stands_in, PLACE))
    return named[named["readout"].isin([SOFTMAX, ARGMAX, PLACE])]


def four_instruments(curves: pd.DataFrame) -> pd.DataFrame:
    """Rows of softmax, argmax, oracle and obedience, of this the middle one of the levels that
    count at some snapshot."""
    levels = curves["readout"].str.startswith(OBEDIENCE)
    counting = [*curves.loc[levels & curves["counts"], "readout"].unique()]
    shown = [SOFTMAX, ARGMAX, ORACLE, *counting[len(counting) // 2 :][:1]]
    return curves[curves["readout"].isin(shown)]


def shown_split(table: pd.DataFrame) -> str:
    """Return the split that is shown where one is: what training never shows, if there is such."""
    splits = [*table["split"].unique()]
    return next((split for split in ("held_out", "train") if split in splits), splits[0])


def _differences(pairs: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    first, second = (
        [pairs[f"{c}{side}"].to_numpy(np.float64) for c in ("value", "low", "high")]
        for side in ("", "_2")
    )
    difference, low, high = independent_difference(first, second)
    counts = pairs["counts"] & pairs["counts_2"]
    found = pairs[[*keys]].assign(difference=difference, low=low, high=high, counts=counts)
    return found.assign(apart=counts & ((low > APART) | (high < -APART)))


def _softmax(probe: pd.DataFrame) -> pd.DataFrame:
    return probe.assign(value=probe["p_target"])


def _as_asked(scores: pd.DataFrame) -> pd.DataFrame:
    """`value` 1 where what was asked is read, 0 where something else is, null where unsure."""
    read, asked = (scores[name].astype("string") for name in ("predicted", "target"))
    right = read.eq(asked).astype("Float64").astype(np.float64)
    return scores.assign(value=right.where(scores["predicted"].notna()))


def _places(oracle: pd.DataFrame) -> pd.DataFrame:
    """`value`: the place of the number that is read, null where the oracle is unsure; concepts
    without a number, or with one value alone, are left out."""
    numbers = oracle[oracle["target_value"].notna()]
    found = [
        own.assign(value=_between(own).where(own["predicted"].notna()))
        for _, own in numbers.groupby("concept", sort=False)
        if own["target_value"].nunique() > 1
    ]
    return pd.concat([numbers.iloc[:0].assign(value=np.nan), *found])


def _between(own: pd.DataFrame) -> pd.Series:
    """Place of each number: linear from 1 at the asked value's mean to 0 at the next one's; beyond
    the outermost mean as at it."""
    means = np.sort(own["target_value"].unique())
    number, asked = own["predicted_value"].to_numpy(), own["target_value"].to_numpy()
    at = np.stack([np.interp(number, means, means == mean) for mean in means])
    return pd.Series(at[np.searchsorted(means, asked), np.arange(len(own))], own.index)


def _curves(values: pd.DataFrame, by: str, name: str) -> pd.DataFrame:
    """Mean of `value`, in [0, 1], with Clopper and Pearson's interval; null values are left out."""
    generated = values[~values["run"].isin(BASELINES)]
    keys = [*_SNAPSHOT, by, "concept"]
    groups = generated.assign(is_unsure=generated["predicted"].isna()).groupby(keys, sort=False)
    found = groups.agg(
        total=("value", "sum"), images=("value", "count"), unsure=("is_unsure", "mean")
    )
    total, images = found["total"].to_numpy(np.float64), found["images"].to_numpy(np.float64)
    low, high = binomial_bounds(total, images)
    value = np.divide(total, images, out=np.full(len(total), np.nan), where=images > 0)
    counts = (found["unsure"] <= MOST_UNSURE) & (images > 0)
    found = found.assign(readout=name, value=value, low=low, high=high, counts=counts)
    return found.drop(columns="total").reset_index()


def _obedience(denoiser: pd.DataFrame, by: str) -> pd.DataFrame:
    """Obedience as a readout, called "obedience 0.1" at level 0.1."""
    curves = obedience_curves(denoiser, by)
    names = OBEDIENCE + curves["level"].map(" {:g}".format)
    counts = curves["obedience"].notna()
    told = curves.rename(columns={"obedience": "value"})[[*_SNAPSHOT, by, "concept", "value"]]
    ends = {end: curves[end] for end in ("low", "high")}
    return told.assign(readout=names, **ends, images=0, unsure=np.nan, counts=counts)
