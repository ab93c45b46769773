"""Accuracy curves and concept trajectories: the scores table in, smaller tables out.

Every interval is a 95 % percentile bootstrap over the noise indices `sample`. An index is drawn
together with all of its combinations and snapshots, because image k of a combination starts from
the same noise at every snapshot: within a run, rows with the same indices share one draw, so the
differences between their snapshots are paired. A snapshot with other indices (often the last,
which has more of them) is drawn from its own. The combinations are fixed, not drawn: an interval
says what other noise would have changed, not what another training seed would.

Where every image is right, or none is, a bootstrap has no width; there an accuracy's interval ends
at the exact binomial bound, α/2 = (1 − bound)ⁿ or boundⁿ for n images.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

BASELINES = ("render", "memoriser")  # values of `run` that are no run
SPLITS = ("train", "held_out", "partial")

_SNAPSHOT = ["run", "step", "images_seen"]
_IMAGE = [*_SNAPSHOT, "split", "combination", "prompt", "sample"]
_SETTINGS = [
    *("train_seed", "weights", "intervention", "sampler", "num_inference_steps"),
    *("guidance_scale", "eval_seed", "probe"),
]


def accuracy_curves(
    scores: pd.DataFrame, *, rng: np.random.Generator, num_draws: int = 1000
) -> pd.DataFrame:
    """Share of images in which the probe sees what was asked for, per snapshot and split.

    A null prediction is wrong. "joint" counts the images with every concept right; it comes after
    the concepts, which keep the order in which `scores` first has them. Baselines (runs "render"
    and "memoriser") are left out.

    Returns run, step, images_seen, split, measure (a concept or "joint"), accuracy, low, high
    (all three in [0, 1]). Raises ValueError as `concept_trajectories` does.
    """
    single = _right(_generated(scores))
    values = pd.concat([single, _joint(single)], ignore_index=True)
    keys = [*_SNAPSHOT, "split", "measure"]
    curves = _means_with_intervals(values, keys, rng, num_draws)
    return _widened(curves).drop(columns="count").rename(columns={"mean": "accuracy"})


def joint_differences(
    scores: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    rng: np.random.Generator,
    num_draws: int = 1000,
) -> pd.DataFrame:
    """Joint accuracy minus that of `reference`, image by image: image k of a combination beside
    image k of the same combination, snapshot and split, which starts from the same noise.

    Where all n pairs differ alike, the interval ends where 1 in n would be likely not to have been
    seen (Clopper–Pearson): a pair may differ by 1 + |difference| more.

    Returns run, step, images_seen, split, difference, low, high (all three in [−1, 1]) of the
    images that both have. Raises ValueError as `concept_trajectories` does, and for none in common.
    """
    keys = [*_SNAPSHOT, "split", "combination", "sample"]
    own, other = (
        _joint(_right(_generated(table))).set_index(keys)["value"] for table in (scores, reference)
    )
    values = (own - other).dropna().rename("value").reset_index().assign(measure="joint")
    if values.empty:
        raise ValueError("scores and reference have no images in common")
    keys = [*_SNAPSHOT, "split", "measure"]
    means = _means_with_intervals(values, keys, rng, num_draws)
    alike, unseen = means["low"] == means["high"], 1 - 0.025 ** (1 / means["count"])
    reach = unseen * (1 + means["mean"].abs())
    low = means["low"].mask(alike, (means["mean"] - reach).clip(lower=-1))
    high = means["high"].mask(alike, (means["mean"] + reach).clip(upper=1))
    differences = means.assign(low=low, high=high).drop(columns=["measure", "count"])
    return differences.rename(columns={"mean": "difference"})


def concept_trajectories(
    scores: pd.DataFrame, *, rng: np.random.Generator, num_draws: int = 1000
) -> pd.DataFrame:
    """Where each combination stands in concept space at each snapshot.

    The coordinate along a concept is the mean probability that the probe gives the asked-for
    value. Park et al., 2024 (arXiv:2406.19370) draw such paths.

    Returns run, combination, split, step, images_seen, concept, coordinate, low, high (the last
    three in [0, 1]), concepts in the order in which `scores` first has them. Raises ValueError
    if `scores` has no generated images, if a run mixes settings whose images must not be
    averaged (two probes, two guidance scales, …), or if an image was scored twice.
    """
    values = _generated(scores).rename(columns={"p_target": "value"})
    keys = ["run", "combination", "split", "step", "images_seen", "concept"]
    means = _means_with_intervals(values, keys, rng, num_draws).drop(columns="count")
    return means.rename(columns={"mean": "coordinate"})


def prompt_effect(scores: pd.DataFrame) -> pd.Series:
    """How much asking for a value moves what is seen, per concept, at the last step of each run.

    P(reads v | asked v) − P(reads v | asked another value), averaged over the values v: 1 if
    prompts are obeyed, 0 if they have no effect, whatever the images look like: where the probe is
    unsure, its likeliest value counts. Concepts with a single value have none and are left out.
    """
    generated = _generated(scores)
    last = generated[generated["step"] == generated.groupby("run")["step"].transform("max")]
    choices = last.groupby("concept")["target"].transform("nunique")
    grouped = last[choices > 1].groupby("concept", sort=False)[list(last.columns)]
    return grouped.apply(_effect)


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


def format_accuracy(final: pd.DataFrame, concepts: Sequence[str]) -> str:
    """`final_accuracy` as text: a line per split (and run, if there are several).

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
    settings = generated.groupby("run")[_SETTINGS].nunique(dropna=False).max()
    if (settings > 1).any():
        mixed = ", ".join(settings.index[settings > 1])
        raise ValueError(f"scores mixes several values of {mixed} in one run; keep one of each")
    repeated = generated.duplicated([*_IMAGE, "concept"])
    if repeated.any():
        row = generated[repeated].iloc[0][[*_IMAGE, "concept"]].to_dict()
        raise ValueError(f"scores has {repeated.sum()} rows twice; the first is {row}")
    return generated


def _right(generated: pd.DataFrame) -> pd.DataFrame:
    """`value` 1 where what was asked is read, else 0; the concept is the `measure`."""
    right = generated["predicted"].astype("string").eq(generated["target"].astype("string"))
    return generated.assign(
        measure=generated["concept"], value=right.fillna(False).astype(np.float64)
    )


def _joint(single: pd.DataFrame) -> pd.DataFrame:
    """A row per image: `value` 1 where every concept is right, else 0."""
    joint = single.groupby(_IMAGE, as_index=False, sort=False)["value"].min()
    return joint.assign(measure="joint")


def _means_with_intervals(
    values: pd.DataFrame, keys: list[str], rng: np.random.Generator, num_draws: int
) -> pd.DataFrame:
    """Mean of `value` per `keys`, its interval, the count behind it; rows sorted by the keys.

    The last key (the concept or measure) is sorted by first appearance, the others by value.
    """
    last = pd.Categorical(values[keys[-1]], categories=values[keys[-1]].unique(), ordered=True)
    values = values.assign(**{keys[-1]: last})
    per_index = values.groupby([*keys, "sample"], observed=True)["value"].agg(["sum", "count"])
    tables = per_index.unstack("sample", fill_value=0)
    sums, counts = tables["sum"].to_numpy(), tables["count"].to_numpy()
    result = tables.index.to_frame(index=False).astype({keys[-1]: str})
    bounds = np.empty((2, len(result)))
    for rows in _sharing_a_draw(result["run"], counts):
        columns = counts[rows[0]] > 0
        bounds[:, rows] = _bootstrap(
            sums[rows][:, columns], counts[rows][:, columns], rng, num_draws
        )
    count = counts.sum(1)
    return result.assign(mean=sums.sum(1) / count, low=bounds[0], high=bounds[1], count=count)


def _widened(curves: pd.DataFrame) -> pd.DataFrame:
    """Clopper–Pearson's bound where all of n images are right, or none is."""
    bound = 0.025 ** (1 / curves["count"])
    return curves.assign(
        low=curves["low"].mask(curves["mean"] == 1, bound),
        high=curves["high"].mask(curves["mean"] == 0, 1 - bound),
    )


def _sharing_a_draw(runs: pd.Series, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the row numbers that belong to one run and have the same noise indices."""
    signatures = [row.tobytes() for row in counts > 0]
    frame = pd.DataFrame({"run": runs.to_numpy(), "indices": signatures})
    for _, rows in frame.groupby(["run", "indices"]):
        yield rows.index.to_numpy()


def _bootstrap(
    sums: np.ndarray, counts: np.ndarray, rng: np.random.Generator, num_draws: int
) -> np.ndarray:
    """2.5th and 97.5th percentile, (2, R), of the means of R rows of per-index sums (R, K).

    Drawing K of K indices is a multinomial weight on each, so all rows and draws are one matmul.
    """
    num_indices = sums.shape[1]
    weights = rng.multinomial(num_indices, np.full(num_indices, 1 / num_indices), size=num_draws)
    return np.percentile((sums @ weights.T) / (counts @ weights.T), [2.5, 97.5], axis=1)


def _reading_order(column: pd.Series) -> pd.Series:
    """Sort key: the splits as in SPLITS, anything else by name."""
    return column.map({split: str(i) for i, split in enumerate(SPLITS)}).fillna(column)
