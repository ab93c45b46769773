"""Accuracy curves and concept trajectories: the scores table in, smaller tables out.

Every interval is a 95 % one and speaks of other noise, not of other training seeds. Each image of
each combination starts from noise of its own, so of one snapshot they are independent, and what is
right among them is a sum of independent trials: its interval is Clopper and Pearson's, which covers
at least as often as it says, near 0 and 1 too. The combinations are fixed, not drawn. Two snapshots
of a run start from the same noise: their intervals may overlap though their difference is certain
(`joint_differences`, `analysis/tables/paired.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.intervals import binomial_bounds
from analysis.measures.paired import bonett_price_interval

BASELINES = ("render", "memoriser")  # values of `run` that are no run
MOST_UNSURE = 0.5  # of the images of a snapshot, for its coordinates to count
SPLITS = ("train", "held_out", "partial")

_SNAPSHOT = ["run", "step", "images_seen"]
_IMAGE = [*_SNAPSHOT, "split", "combination", "prompt", "sample"]
_SETTINGS = [
    *("train_seed", "weights", "intervention", "sampler", "num_inference_steps"),
    *("guidance_scale", "eval_seed", "probe"),
]


def accuracy_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Share of images in which the probe sees what was asked for, per snapshot and split.

    A null prediction is wrong. "joint" counts the images with every concept right; it comes after
    the concepts, which keep the order in which `scores` first has them. Baselines (runs "render"
    and "memoriser") are left out.

    Returns run, step, images_seen, split, measure (a concept or "joint"), accuracy, low, high
    (all three in [0, 1]), images (how many) and unsure (the share of them of which the probe is
    unsure; of "joint" in any concept). Raises ValueError as `concept_trajectories` does.
    """
    single = _right(_generated(scores))
    values = pd.concat([single, _joint(single)], ignore_index=True)
    keys = [*_SNAPSHOT, "split", "measure"]
    means = _means_with_intervals(values, keys).rename(columns={"mean": "accuracy"})
    unsure = values.groupby(keys)["unsure"].mean()
    return means.join(unsure, on=keys)


def joint_differences(scores: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Joint accuracy minus that of `reference`, image by image: image k of a combination beside
    image k of the same combination, snapshot and split, which starts from the same noise.

    The interval is that of paired shares (`bonett_price_interval`).

    Returns run, step, images_seen, split, difference, low, high (all three in [−1, 1]) of the
    images that both have. Raises ValueError as `concept_trajectories` does, and for none in common.
    """
    keys = [*_SNAPSHOT, "split", "combination", "sample"]
    own, other = (
        _joint(_right(_generated(table))).set_index(keys)["value"] for table in (scores, reference)
    )
    difference = (own - other).dropna()
    if difference.empty:
        raise ValueError("scores and reference have no images in common")
    pairs = difference.groupby([*_SNAPSHOT, "split"])
    return pairs.apply(_paired_interval).unstack().reset_index()


def _paired_interval(difference: pd.Series) -> pd.Series:
    """difference: 1 or −1 where one of a pair alone is right, else 0."""
    first, second = int((difference > 0).sum()), int((difference < 0).sum())
    low, high = bonett_price_interval(first, second, len(difference), 0.95)
    return pd.Series({"difference": difference.mean(), "low": low, "high": high})


def concept_trajectories(scores: pd.DataFrame) -> pd.DataFrame:
    """Where each combination stands in concept space at each snapshot.

    The coordinate along a concept is the mean probability that the probe gives the asked-for
    value. Park et al., 2024 (arXiv:2406.19370) draw such paths.

    Returns run, combination, split, step, images_seen, concept, coordinate, low, high (these three
    in [0, 1]), images (how many) and unsure (the share of them of which the probe is unsure: where
    it is above MOST_UNSURE, the coordinate reads no scenes and counts for nothing). Concepts are in
    the order in which `scores` first has them.

    Raises ValueError if `scores` has no generated images, if a run mixes settings whose images must
    not be averaged (two probes, two guidance scales, …), if an image was scored twice, or by the
    oracle, which gives no probabilities.
    """
    values = _probable(_generated(scores)).rename(columns={"p_target": "value"})
    keys = ["run", "combination", "split", "step", "images_seen", "concept"]
    paths = _means_with_intervals(values, keys).rename(columns={"mean": "coordinate"})
    unsure = values["predicted"].isna().groupby([values[key] for key in keys], observed=True).mean()
    return paths.join(unsure.rename("unsure"), on=keys)


def joint_right(scores: pd.DataFrame) -> pd.Series:
    """Whether every concept of an image is read as asked; a null prediction is wrong.

    bool, by run, step, combination and sample: of rows that differ in nothing else but the concept.
    """
    right = scores["predicted"].astype("string").eq(scores["target"].astype("string"))
    keys = [scores[key] for key in ("run", "step", "combination", "sample")]
    return right.fillna(False).astype(bool).groupby(keys).min()


def prompt_effect(scores: pd.DataFrame) -> pd.Series:
    """How much asking for a value moves what is seen, per concept, at the last step of each run.

    P(reads v | asked v) − P(reads v | asked another value), averaged over the values v: 1 if
    prompts are obeyed, 0 if they have no effect, whatever the images look like: where the probe is
    unsure, its likeliest value counts. Concepts with a single value have none and are left out.
    """
    generated = _probable(_generated(scores))
    last = generated[generated["step"] == generated.groupby("run")["step"].transform("max")]
    choices = last.groupby("concept")["target"].transform("nunique")
    asked = last[choices > 1].groupby("concept", sort=False)
    effects = {concept: _effect(rows) for concept, rows in asked}
    return pd.Series(effects, dtype=np.float64).rename_axis("concept")


def last_unsure(scores: pd.DataFrame) -> pd.Series:
    """Share of images of which the probe is unsure, per concept, at the last step of each run."""
    generated = _generated(scores)
    last = generated[generated["step"] == generated.groupby("run")["step"].transform("max")]
    return last["predicted"].isna().groupby(last["concept"], sort=False).mean()


def _effect(rows: pd.DataFrame) -> float:
    """Mean over values of the difference of two columns of the table asked × read."""
    unsure, effects = rows["predicted"].isna(), []
    predicted = _likeliest(rows) if unsure.any() else rows["predicted"]
    for value in rows["target"].unique():
        asked, reads = rows["target"] == value, predicted == value
        effects.append(reads[asked].mean() - reads[~asked].mean())
    return float(np.mean(effects))


def _likeliest(rows: pd.DataFrame) -> pd.Series:
    """The value of the largest probability; where a value's stands is where its p_target does."""
    p = np.stack(rows["probabilities"].to_list())
    place = pd.Series((p == rows["p_target"].to_numpy()[:, None]).argmax(1), rows.index)
    values = {int(at.mode()[0]): value for value, at in place.groupby(rows["target"])}
    return pd.Series(p.argmax(1), rows.index).map(values)


def final_accuracy(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of `accuracy_curves` that belong to the last step of each run."""
    last = curves.groupby("run")["step"].transform("max")
    return curves[curves["step"] == last].reset_index(drop=True)


def accuracy_sentence(final: pd.DataFrame) -> str:
    """Say in how many images all is read as asked at the last snapshot, with intervals.

    final: as `final_accuracy` returns it, of one run.
    """
    rows = final[final["measure"] == "joint"].to_dict("records")
    joint = {str(row["split"]): row for row in rows}
    names = {"train": "training combinations", "held_out": "held-out combinations"}
    order = in_reading_order(joint)
    shares = [f"{names.get(split, split)} {_short(joint[split])}" for split in order]
    return (
        f"Share of images in which all is read as asked at step {final['step'].iloc[0]:,}: "
        f"{', '.join(shares)}."
    )


def _short(row: Mapping[Any, Any]) -> str:
    """Such as ".987 [.970, .996]"."""
    value, low, high = (
        f"{row[name]:.3f}".replace("0.", ".", 1) for name in ("accuracy", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def mean_over_runs(table: pd.DataFrame, keys: list[str], value: str) -> pd.Series:
    """Mean of the column `value` by `keys`, where every run has it: no jump where a run ends."""
    groups = table.groupby(keys, sort=True)[value]
    return groups.mean()[groups.size() == table["run"].nunique()]


def format_accuracy(final: pd.DataFrame, concepts: Sequence[str]) -> str:
    """Text of `final_accuracy`: a line per split (and run, if there are several).

    Columns: split, joint, then `concepts`; a cell reads "0.981 [0.972, 0.989]".
    """
    texts = [
        f"{accuracy:.3f} [{low:.3f}, {high:.3f}]"
        for accuracy, low, high in zip(final["accuracy"], final["low"], final["high"], strict=True)
    ]
    table = final.assign(text=texts).pivot(
        index=["run", "split"], columns="measure", values="text"
    )[["joint", *concepts]]
    table = table.fillna("-").rename_axis(columns=None).reset_index()
    table = table.sort_values(["run", "split"], key=_reading_order)
    hidden = ["run"] if table["run"].nunique() == 1 else []
    return table.drop(columns=hidden).to_string(index=False)


def _generated(scores: pd.DataFrame) -> pd.DataFrame:
    generated = scores[~scores["run"].isin(BASELINES)]
    if generated.empty:
        raise ValueError("scores has no generated images, only baselines or none")
    different = generated[["run", *_SETTINGS]].drop_duplicates()  # few: to count these is fast
    settings = different.groupby("run")[_SETTINGS].nunique(dropna=False).max()
    if (settings > 1).any():
        mixed = ", ".join(settings.index[settings > 1])
        raise ValueError(f"scores mixes several values of {mixed} in one run; keep one of each")
    repeated = generated.duplicated([*_IMAGE, "concept"])
    if repeated.any():
        row = generated[repeated].iloc[0][[*_IMAGE, "concept"]].to_dict()
        raise ValueError(f"scores has {repeated.sum()} rows twice; the first is {row}")
    return generated


def _right(generated: pd.DataFrame) -> pd.DataFrame:
    """`value` 1 where what was asked is read, else 0; the concept is the `measure`; `unsure`."""
    right = generated["predicted"].astype("string").eq(generated["target"].astype("string"))
    return generated.assign(
        measure=generated["concept"],
        value=right.fillna(False).astype(np.float64),
        unsure=generated["predicted"].isna(),
    )


def _joint(single: pd.DataFrame) -> pd.DataFrame:
    """A row per image: `value` 1 where every concept is right, else 0; `unsure` if of any."""
    joint = single.groupby(_IMAGE, as_index=False, sort=False).agg(
        {"value": "min", "unsure": "max"}
    )
    return joint.assign(measure="joint")


def _probable(scores: pd.DataFrame) -> pd.DataFrame:
    if scores["p_target"].isna().any():
        raise ValueError("scores has rows without p_target: the oracle's; keep the probe's alone")
    return scores


def _means_with_intervals(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean of `value`, in [0, 1], per `keys`, with the ends of its interval and how many there are;
    sorted by the keys.

    The last key (the concept or measure) is sorted by first appearance, the others by value.
    """
    last = pd.Categorical(values[keys[-1]], categories=values[keys[-1]].unique(), ordered=True)
    groups = values.assign(**{keys[-1]: last}).groupby(keys, observed=True)["value"]
    sums, counts = groups.sum().to_numpy(), groups.size().to_numpy().astype(np.float64)
    low, high = binomial_bounds(sums, counts)
    result = groups.size().index.to_frame(index=False).astype({keys[-1]: str})
    return result.assign(mean=sums / counts, low=low, high=high, images=counts.astype(int))


def in_reading_order(splits: Iterable[str]) -> list[str]:
    """Splits in reading order, each once: first those of SPLITS in their order, then others as they
    come."""
    different = list(dict.fromkeys(splits))
    return sorted(different, key=lambda s: SPLITS.index(s) if s in SPLITS else len(SPLITS))


def _reading_order(column: pd.Series) -> pd.Series:
    """Sort key: the splits as in SPLITS, anything else by name."""
    return column.map({split: str(i) for i, split in enumerate(SPLITS)}).fillna(column)
