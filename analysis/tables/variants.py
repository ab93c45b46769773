"""Tables over the seeds of each variant: the tables of single runs in, means and intervals out.

`about` is a table of the runs: `run`, `variant`, `seed`, and a column for each setting in which
variants differ. Runs that are not in it are left out. An interval speaks of other seeds and other
noise (`analysis/measures/hierarchical.py`); of a variant of one seed, of other noise alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.hierarchical import mean_over_seeds_and_noise
from analysis.measures.intervals import binomial_bounds, clopper_pearson
from analysis.measures.learning_times import Fit, signal_law, typical_time
from analysis.measures.paired import bonett_price_interval
from analysis.measures.swing_test import chance_of_count
from analysis.measures.verdicts import in_each, more

DRAWS = 1 << 13  # seed of the bootstrap
CELL = ["images_seen", "split", "measure"]
IMAGE = ["images_seen", "split", "combination", "sample"]  # of which two runs share the noise


def curves_over_seeds(curves: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds of each variant of the curves of its runs.

    curves: as `trajectory.accuracy_curves` returns them, of any runs.

    Returns variant, images_seen, split, measure, accuracy, low, high (all three in [0, 1]), unsure
    (the mean share of unsure images), seeds (that have this snapshot: one that ended early has
    fewer) and of_seeds (of the variant).
    """
    joined = curves.merge(about[["run", "variant"]], on="run")
    return _by_variant(joined, about, _curve_over_seeds)


def _by_variant(joined: pd.DataFrame, about: pd.DataFrame, make: Any) -> pd.DataFrame:
    """`make` of the rows of each variant that has any, in the order of `about`."""
    tables = []
    for variant, runs in about.groupby("variant", sort=False):
        own = joined[joined["variant"] == variant]
        if len(own):
            table = make(own)
            table.insert(0, "variant", variant)
            tables.append(table.assign(of_seeds=len(runs)))
    return pd.concat(tables, ignore_index=True)


def _curve_over_seeds(own: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(DRAWS)
    means, images, unsure = (
        own.pivot(index="run", columns=CELL, values=v) for v in ("accuracy", "images", "unsure")
    )
    tables = []
    for has, cells in _cells_by_runs(means):
        m, n = (t.loc[has, cells].to_numpy(np.float64) for t in (means, images))
        noise = binomial_bounds((m * n).sum(0), n.sum(0))
        low, high = mean_over_seeds_and_noise(m, m * (1 - m) / n, noise, rng=rng)
        table = cells.to_frame(index=False).assign(accuracy=m.mean(0))
        ends = {"low": low.clip(0), "high": high.clip(max=1)}
        blind = unsure.loc[has, cells].to_numpy(np.float64).mean(0)
        tables.append(table.assign(**ends, unsure=blind, seeds=len(m)))
    order = own[[*CELL]].drop_duplicates()
    return order.merge(pd.concat(tables, ignore_index=True), on=CELL)


def _cells_by_runs(means: pd.DataFrame) -> Iterator[tuple[np.ndarray, pd.MultiIndex]]:
    """(which runs, cells) of the cells that the same runs have."""
    patterns, which = np.unique(means.notna().to_numpy(), axis=1, return_inverse=True)
    for number, has in enumerate(patterns.T):
        yield has, means.columns[which.ravel() == number]


def typical_times(
    times: pd.DataFrame, about: pd.DataFrame, keys: Sequence[str] = ("split", "measure")
) -> pd.DataFrame:
    """Typical learning time of each variant: a log-normal fit to the brackets of its runs, of which
    some have not learned in time (`learning_times.typical_time`). Of one run it is that run's time,
    with its interval over noise.

    times: as `learning.learning_time_table` returns them, or other times with such columns. keys:
    what tells times of one run apart.

    Returns variant, `keys`, images_seen, low, high, runs, censored. More than half of the runs
    censored: no estimate (NaN), and they have not learned by their last snapshot.
    """
    joined = times.merge(about[["run", "variant"]], on="run")
    rows = [
        {**dict(zip(["variant", *keys], key, strict=True)), **_typical(own)}
        for key, own in joined.groupby(["variant", *keys], sort=False)
    ]
    return pd.DataFrame(rows)


def _typical(own: pd.DataFrame) -> dict[str, float]:
    if len(own) == 1:
        row = own.iloc[0]
        ends = {end: float(row[end]) for end in ("images_seen", "low", "high")}
        return {**ends, "runs": 1, "censored": int(np.isnan(row["images_seen"]))}
    brackets = (own[end].to_numpy(np.float64) for end in ("after", "by"))
    return _told(typical_time(*brackets), "images_seen")


def _told(fit: Fit, name: str) -> dict[str, float]:
    ends = {"low": fit.interval.low, "high": fit.interval.high}
    return {name: fit.estimate, **ends, "runs": fit.runs, "censored": fit.censored}


def signal_laws(
    times: pd.DataFrame,
    about: pd.DataFrame,
    setting: str,
    keys: Sequence[str] = ("split", "measure"),
) -> pd.DataFrame:
    """Exponent of learning times in a setting, over all runs, with its interval: −1 if twice the
    setting halves the time (`learning_times.signal_law`).

    setting: a column of `about`, of numbers above 0; others must not vary beside it. times, keys:
    as in `typical_times`.

    Returns `keys`, exponent, low, high, runs, censored.
    """
    joined = times.merge(about[["run", setting]], on="run")
    if not (joined[setting] > 0).all():
        raise ValueError(f"{setting}: allowed are numbers above 0")
    rows = [
        {**dict(zip(keys, key, strict=True)), **_told(_law(own, setting), "exponent")}
        for key, own in joined.groupby([*keys], sort=False)
    ]
    return pd.DataFrame(rows)


def _law(own: pd.DataFrame, setting: str) -> Fit:
    low, high = (own[end].to_numpy(np.float64) for end in ("after", "by"))
    return signal_law(low, high, own[setting].to_numpy(np.float64))


def differences_from_first(final: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Joint accuracy of each variant minus that of the first, at the last snapshot, image by image:
    runs of equal seed are paired, and image k of one with image k of the other.

    final: as `learning.final_joint` returns it, of any runs. Pairs of runs whose last snapshots
    differ are left out.

    Returns variant, against, split, difference, low, high (all three in [−1, 1]), seeds, and
    each_seed: "more" if the interval of every single seed is above 0, "less" if below it,
    else "undecided".
    """
    images = {run: own.set_index(IMAGE)["right"] for run, own in final.groupby("run")}
    runs = about[about["run"].isin(images.keys())]
    of = {v: dict(zip(own["seed"], own["run"], strict=True)) for v, own in runs.groupby("variant")}
    first, *others = about["variant"].unique()
    rows: list[dict[str, Any]] = []
    for variant in others:
        shared = [seed for seed in of.get(variant, {}) if seed in of.get(first, {})]
        pairs = [(images[of[variant][seed]], images[of[first][seed]]) for seed in shared]
        rows += _differences(pairs, {"variant": variant, "against": first})
    columns = ["variant", "against", "split", "difference", "low", "high", "seeds", "each_seed"]
    return pd.DataFrame(rows, columns=columns)


def _differences(
    pairs: Sequence[tuple[pd.Series, pd.Series]], names: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """A row per split. pairs: of every seed, which images are right, of the one and of the
    other."""
    apart = [(own.astype(int) - other.astype(int)).dropna() for own, other in pairs]
    apart = [difference for difference in apart if len(difference)]
    splits = dict.fromkeys(s for d in apart for s in d.index.unique("split"))
    for split in splits:
        own = [d.xs(split, level="split") for d in apart if split in d.index.unique("split")]
        yield {**names, "split": split, **_difference(own)}


def _difference(apart: Sequence[pd.Series]) -> dict[str, Any]:
    """apart: of every seed, 1 or −1 where one of a pair of images alone is right, else 0."""
    first, second, n = (
        np.array([count(d) for d in apart], np.float64)
        for count in (lambda d: (d > 0).sum(), lambda d: (d < 0).sum(), len)
    )
    means = (first - second) / n
    variances = ((first + second) / n - means**2) / n
    pooled = np.array(bonett_price_interval(first.sum(), second.sum(), n.sum(), 0.95))[:, None]
    rng = np.random.default_rng(DRAWS)
    ends = mean_over_seeds_and_noise(
        means[:, None], variances[:, None], (pooled[0], pooled[1]), rng=rng
    )
    low, high = (float(end[0].clip(-1, 1)) for end in ends)
    counts = zip(first.tolist(), second.tolist(), n.tolist(), strict=True)
    single = [bonett_price_interval(*count, 0.95) for count in counts]
    words = [
        more(0.0, mean, interval).word
        for mean, interval in zip(means.tolist(), single, strict=True)
    ]
    each = {"holds": "more", "fails": "less"}.get(in_each(words), "undecided")
    middle = float(means.mean())
    return {"difference": middle, "low": low, "high": high, "seeds": len(n), "each_seed": each}


def turn_counts(turns: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """How many runs of each variant turn back along each concept, of those that can be judged.

    turns: as `learning.turn_table` returns them, of any runs.

    Returns variant, measure, turning (runs that do), runs (of which enough snapshots count),
    of_runs (all), share, low, high (Clopper–Pearson; NaN of no runs) and p: how often as many would
    by chance, if 5 % of the runs without any turn were called turning.
    """
    joined = turns.merge(about[["run", "variant"]], on="run")
    rows = []
    for (variant, measure), own in joined.groupby(["variant", "measure"], sort=False):
        judged = own["turns"].dropna()
        count, runs = int(judged.sum()), len(judged)
        row = {"variant": variant, "measure": measure, "turning": count, "runs": runs}
        rows.append({**row, "of_runs": len(own), **_share_of(count, runs)})
    columns = ["variant", "measure", "turning", "runs", "of_runs", "share", "low", "high", "p"]
    return pd.DataFrame(rows, columns=columns)


def _share_of(count: int, runs: int) -> dict[str, float]:
    """Share with its ends and chance; of no runs nothing is known."""
    if not runs:
        return dict.fromkeys(("share", "low", "high", "p"), math.nan)
    low, high = clopper_pearson(count, runs)
    return {"share": count / runs, "low": low, "high": high, "p": chance_of_count(count, runs)}
