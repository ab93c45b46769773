"""How combinations emerge over the seeds of each variant: tables of `emergence` in, intervals out.

`about` is a table of the runs, as in `analysis/tables/variants.py`. Images of equal number start
from the same noise in all runs, so intervals take the noise to be shared by the seeds: they are too
wide rather than too narrow. What holds in each seed is said of these seeds, by the noise within
each.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.hierarchical import mean_over_seeds_of_shared_noise
from analysis.measures.intervals import Interval
from analysis.measures.verdicts import Word, in_each, more, same

SOONER = 0.02  # of a mean joint accuracy, to be learned sooner
ALIKE = 0.05  # joint accuracy and product are the same within this


def distances_over_seeds(curves: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Mean joint accuracy over the seeds of each variant, by distance and images seen.

    curves: as `emergence.distance_curves` returns them, of any runs.

    Returns variant, distance, images_seen, accuracy, low, high (in [0, 1]), seeds and of_seeds.
    """
    joined = curves.merge(about[["run", "variant"]], on="run")
    seeds = about["variant"].value_counts()
    rows = []
    keys = ["variant", "distance", "images_seen"]
    groups: Any = joined.groupby(keys, sort=False)
    for key, own in groups:
        middle, low, high = _mean(own["accuracy"], own["variance"])
        ends = {"low": max(low, 0.0), "high": min(high, 1.0), "seeds": len(own)}
        names = dict(zip(keys, key, strict=True))
        rows.append({**names, "accuracy": middle, **ends, "of_seeds": seeds[key[0]]})
    return pd.DataFrame(rows)


def distance_differences(means: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """How much sooner what is near to training is learned than what is one step farther: paired
    differences, run by run, of the mean joint accuracy over ln(images seen).

    means: as `emergence.distance_means` returns them, of any runs.

    Returns variant, nearer, farther (distances), difference, low, high, seeds, and each_seed:
    "sooner" if the interval of every seed lies above .02, "not" if below it, else "undecided".
    """
    wide = means.pivot(index="run", columns="distance", values=["accuracy", "variance"])
    joined = about[about["run"].isin(wide.index)]
    rows: list[dict[str, Any]] = []
    distances = sorted(means["distance"].unique())
    for nearer, farther in zip(distances, distances[1:], strict=False):
        apart = wide["accuracy", nearer] - wide["accuracy", farther]
        noise = wide["variance", nearer] + wide["variance", farther]
        for variant, own in joined.groupby("variant", sort=False):
            difference, variance = (one[own["run"]].dropna() for one in (apart, noise))
            if len(difference):
                names = {"variant": variant, "nearer": nearer, "farther": farther}
                rows.append({**names, **_difference(difference, variance)})
    columns = ["variant", "nearer", "farther", "difference", "low", "high", "seeds", "each_seed"]
    return pd.DataFrame(rows, columns=columns)


def _difference(difference: pd.Series, variance: pd.Series) -> dict[str, Any]:
    middle, low, high = _mean(difference, variance)
    words = [more(SOONER, d, _within(d, v)).word for d, v in _pairs(difference, variance)]
    each = {"holds": "sooner", "fails": "not"}.get(in_each(words), "undecided")
    return {"difference": middle, "low": low, "high": high, "seeds": len(words), "each_seed": each}


def _pairs(values: pd.Series, variances: pd.Series) -> Sequence[tuple[float, float]]:
    return [*zip(values.tolist(), variances.tolist(), strict=True)]


def _within(value: float, variance: float, level: float = 0.95) -> Interval:
    half = NormalDist().inv_cdf((1 + level) / 2) * variance**0.5
    return Interval(value - half, value + half)


def _mean(values: pd.Series, variances: pd.Series) -> tuple[float, float, float]:
    """Mean over seeds, and its ends."""
    m, v = (one.to_numpy(np.float64)[:, None] for one in (values, variances))
    low, high = mean_over_seeds_of_shared_noise(m, np.sqrt(v).mean(0) ** 2)
    return float(m.mean()), float(low[0]), float(high[0])


def emergence_over_seeds(rows: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Is joint accuracy the product of the concepts' accuracies, or their minimum?

    rows: as `emergence.emergence_row` returns them, of any runs. Runs with fewer than ten cells
    have no number and are left out.

    Returns variant; excess, low, high (mean of joint − product); product_error, minimum_error
    (means over seeds); advantage, advantage_low, advantage_high (the second minus the first, above
    0 if the product is the better rule); seeds, of_seeds; alike_each (is the excess the same as 0
    within .05, in each seed?) and product_each (is the product better, in each seed?): holds, fails
    or undecided.
    """
    joined = rows.merge(about[["run", "variant"]], on="run")
    found = []
    for variant, own in joined.groupby("variant", sort=False):
        known = own.dropna(subset="excess")
        numbers = _emergence(known) if len(known) else {}
        found.append({"variant": variant, **numbers, "seeds": len(known), "of_seeds": len(own)})
    columns = [
        *("variant", "excess", "low", "high", "product_error", "minimum_error"),
        *("advantage", "advantage_low", "advantage_high", "seeds", "of_seeds"),
        *("alike_each", "product_each"),
    ]
    return pd.DataFrame(found, columns=columns)


def _emergence(known: pd.DataFrame) -> dict[str, Any]:
    excess = _mean(known["excess"], known["excess_variance"])
    advantage = _mean(known["advantage"], known["advantage_variance"])
    alike: list[Word] = [
        same(ALIKE, d, _within(d, v), _within(d, v, 0.9)).word
        for d, v in _pairs(known["excess"], known["excess_variance"])
    ]
    better: list[Word] = [
        more(0.0, d, _within(d, v)).word
        for d, v in _pairs(known["advantage"], known["advantage_variance"])
    ]
    return {
        **dict(zip(("excess", "low", "high"), excess, strict=True)),
        **{name: known[name].mean() for name in ("product_error", "minimum_error")},
        **dict(zip(("advantage", "advantage_low", "advantage_high"), advantage, strict=True)),
        **{"alike_each": in_each(alike), "product_each": in_each(better)},
    }


def growth_over_seeds(growth: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Typical time and n of (1 − e^(−images/time))^n over the seeds of each variant: geometric
    means, with Student's interval of their logarithms.

    growth: as `emergence.growth_table` returns it, of any runs.

    Returns variant, measure, time, time_low, time_high (images seen), n, n_low, n_high (ends NaN of
    one seed), error (mean), seeds (with a fit), of_seeds, and refused: why one has none, or "".
    """
    joined = growth.merge(about[["run", "variant"]], on="run")
    rows = []
    for (variant, measure), own in joined.groupby(["variant", "measure"], sort=False):
        fitted = own[own["refused"] == ""]
        refused = own["refused"][own["refused"] != ""]
        rows.append(
            {
                **{"variant": variant, "measure": measure},
                **(_typical(fitted) if len(fitted) else {}),
                **{"seeds": len(fitted), "of_seeds": len(own)},
                "refused": refused.iloc[0] if len(refused) else "",
            }
        )
    columns = [
        *("variant", "measure", "time", "time_low", "time_high", "n", "n_low", "n_high"),
        *("error", "seeds", "of_seeds", "refused"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _typical(fitted: pd.DataFrame) -> dict[str, float]:
    names = ("time", "n")
    logs = np.log(fitted[[*names]].to_numpy(np.float64))
    low, high = mean_over_seeds_of_shared_noise(logs, np.zeros(2))
    several = len(fitted) > 1
    numbers = {"error": float(fitted["error"].mean())}
    for i, name in enumerate(names):
        ends = (low[i], high[i]) if several else (np.nan, np.nan)
        numbers |= {name: float(np.exp(logs[:, i].mean()))}
        numbers |= {f"{name}_low": float(np.exp(ends[0])), f"{name}_high": float(np.exp(ends[1]))}
    return numbers
