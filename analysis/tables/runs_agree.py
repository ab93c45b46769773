"""Do runs agree: last accuracies and learning times of several runs, and a plain verdict on each.

Runs that differ in their training seed alone are one variant. What is compared are variants or, of
one variant, its runs; of several the two that lie farthest apart, with an interval that allows for
having chosen among all pairs (Bonferroni). Shares are compared by their difference, learning times
by that of their logarithms.

    one run on each side     the interval is over noise: it speaks of these runs, not of other seeds
    several on either side   Welch's interval over seeds, never narrower than that of noise; seeds
                             stand for others from FEWEST_SEEDS on, of fewer there is no verdict

Verdicts: the two *agree* if the interval lies within the margin, *differ* if it does not hold 0,
and else one *cannot say*. A time that lies beyond the counting snapshots is told apart from another
only by intervals that do not meet.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.measures.intervals import FEWEST_SEEDS
from analysis.tables.readouts import independent_difference

ACCURACY, TIME = "last accuracy", "learning time"
MARGINS = {ACCURACY: 0.1, TIME: float(np.log(1.25))}  # within which two values agree
CELL = ["quantity", "measure", "instrument"]
COLUMNS = [
    *(*CELL, "groups", "first", "second", "first_value", "second_value", "difference"),
    *("low", "high", "over", "seeds", "verdict"),
]


def run_values(curves: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """Values of runs that can be compared: accuracies at the last snapshot, and learning times.

    curves: as `trajectory.accuracy_curves` returns them, learned: as `learned.learned_table` does,
    both of one split and any runs. Accuracies are compared at the last snapshot that all runs have,
    times among runs that were read at the same snapshots; other times are left out.

    Returns run, quantity, measure, instrument, value, low, high; a time that is not between two
    snapshots is 0 or infinite.
    """
    return pd.concat([_accuracies(curves), _times(learned)], ignore_index=True)


def _accuracies(curves: pd.DataFrame) -> pd.DataFrame:
    runs = curves.groupby("images_seen")["run"].nunique()
    last = runs.index[runs == curves["run"].nunique()].max()
    own = curves[curves["images_seen"] == last].rename(columns={"accuracy": "value"})
    named = own.assign(quantity=ACCURACY, instrument="probe")
    return named[["run", *CELL, "value", "low", "high"]]


def _times(learned: pd.DataFrame) -> pd.DataFrame:
    beyond = np.where(np.isinf(learned["by"]), np.inf, 0.0)
    value = learned["images_seen"].where(learned["images_seen"].notna(), beyond)
    named = learned.assign(quantity=TIME, measure=learned["concept"], value=value)
    same = named.groupby("instrument")[["snapshots", "last_step"]].transform("nunique").max(axis=1)
    return named.loc[same == 1, ["run", *CELL, "value", "low", "high"]]


def runs_agree(values: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Compare runs, a row per quantity, measure and instrument that two groups have.

    values: as `run_values` returns them. about: run and variant.

    Returns quantity, measure, instrument, groups (how many were compared), first, second (the two
    farthest apart), first_value, second_value (their means; of times geometric ones), difference
    (first minus second; of times in logarithms), low, high (its interval), over (noise, or seeds),
    seeds (the fewer of the two) and verdict. No rows of fewer than two groups.
    """
    variants = dict(zip(about["run"], about["variant"], strict=True))
    several = len({*variants.values()}) > 1
    group = values["run"].map(variants) if several else values["run"]
    rows = [
        {**dict(zip(CELL, cell, strict=True)), **_compare(own, str(cell[0]))}
        for cell, own in values.assign(group=group).groupby(CELL, sort=False)
        if own["group"].nunique() > 1
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _compare(own: pd.DataFrame, quantity: str) -> dict[str, Any]:
    """The two groups that lie farthest apart."""
    groups = {str(name): rows for name, rows in own.groupby("group", sort=False)}
    with np.errstate(divide="ignore"):
        means = [float(_scaled(rows, quantity)[0].mean()) for rows in groups.values()]
    ends = {int(np.argmin(means)), int(np.argmax(means))}
    first, second = ([*groups][i] for i in (sorted(ends) if len(ends) > 1 else (0, 1)))
    found = _pair(groups[first], groups[second], quantity, math.comb(len(groups), 2))
    return {"groups": len(groups), "first": first, "second": second, **found}


def _pair(a: pd.DataFrame, b: pd.DataFrame, quantity: str, pairs: int) -> dict[str, Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = _scaled(a, quantity), _scaled(b, quantity)
        over_seeds = max(len(a), len(b)) > 1
        compare = _over_seeds if over_seeds else _over_noise
        interval = compare(*sides, pairs)
        middle = [_middle(side, quantity) for side in sides]
    told = {"over": "seeds" if over_seeds else "noise", "seeds": min(len(a), len(b))}
    values = dict(zip(("first_value", "second_value"), middle, strict=True))
    ends = dict(zip(("difference", "low", "high"), interval, strict=True))
    return {**values, **ends, **told, "verdict": _verdict(sides, ends, told, quantity)}


def _scaled(side: pd.DataFrame, quantity: str) -> np.ndarray:
    """(value, low, high) of every run of a side, in logarithms if they are times."""
    values = side[["value", "low", "high"]].to_numpy(np.float64).T
    return np.log(values) if quantity == TIME else values


def _middle(side: np.ndarray, quantity: str) -> float:
    mean = side[0].mean()
    return float(np.exp(mean)) if quantity == TIME else float(mean)


def _over_noise(a: np.ndarray, b: np.ndarray, pairs: int) -> Sequence[float]:
    """Difference of means with the interval that noise gives it; intervals are widened as a normal
    value's would be."""
    quantile = NormalDist().inv_cdf
    widening = quantile(1 - 0.025 / pairs) / quantile(0.975)
    found = independent_difference(_mean_with_noise(a), _mean_with_noise(b), widening)
    return [float(end) for end in found]


def _mean_with_noise(side: np.ndarray) -> Sequence[np.ndarray]:
    """(mean, low, high) of runs whose noise is independent."""
    value, low, high = side
    below, above = (np.sqrt(((value - end) ** 2).sum()) / len(value) for end in (low, high))
    return value.mean(), value.mean() - below, value.mean() + above


def _over_seeds(a: np.ndarray, b: np.ndarray, pairs: int) -> Sequence[float]:
    """Welch's interval, but never narrower than that of noise with these very seeds; of one run on
    a side, of noise alone."""
    difference, low, high = _over_noise(a, b, pairs)
    if min(a.shape[1], b.shape[1]) < 2 or not np.isfinite(difference):
        return difference, low, high
    half = _welch(a[0], b[0], 0.05 / pairs)
    return difference, min(low, difference - half), max(high, difference + half)


def _welch(a: np.ndarray, b: np.ndarray, error: float) -> float:
    """Half of the width of Welch's interval of a difference of means."""
    parts = np.array([side.var(ddof=1) / len(side) for side in (a, b)])
    if not parts.any():
        return 0.0
    freedom = parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum()
    return float(stats.t.ppf(1 - error / 2, freedom) * np.sqrt(parts.sum()))


def _verdict(
    sides: Sequence[np.ndarray], ends: Mapping[str, float], told: Mapping[str, Any], quantity: str
) -> str:
    if told["over"] == "seeds" and told["seeds"] < FEWEST_SEEDS:
        return "cannot say (few seeds)"
    if not np.isfinite(ends["difference"]):
        return _beyond(*sides)
    low, high, margin = ends["low"], ends["high"], MARGINS[quantity]
    if -margin < low and high < margin:
        return "agree"
    if low > 0 or high < 0:
        return f"differ by {_size(ends['difference'], quantity)}"
    return "cannot say (wide interval)"


def _beyond(a: np.ndarray, b: np.ndarray) -> str:
    """Where some time is beyond its snapshots: all on the same side of them, or how they part."""
    values = np.concatenate([a[0], b[0]])
    if np.isinf(values).all() and len({*np.sign(values)}) == 1:
        never = values[0] > 0
        return "agree (neither has learned)" if never else "cannot say (before the first snapshot)"
    if a[2].max() < b[1].min() or b[2].max() < a[1].min():
        return "differ (not between snapshots in one of them)"
    return "cannot say (not between snapshots)"


def _size(difference: float, quantity: str) -> str:
    if quantity == TIME:
        return f"a factor of {np.exp(abs(difference)):.2f}"
    return f"{abs(difference):.3f}"


def agree_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Text of `runs_agree`, by column, a row per quantity, measure and instrument."""
    return [
        {
            "of": f"{row['quantity']}, {row['measure']}, by {row['instrument']}",
            "farthest apart": f"{row['first']}: {_value(row, 'first_value')}; "
            f"{row['second']}: {_value(row, 'second_value')}",
            "difference": _difference(row),
            "over": f"{row['over']}, {row['seeds']} seeds" if row["over"] == "seeds" else "noise",
            "verdict": row["verdict"],
        }
        for row in table.to_dict("records")
    ]


def agree_sentences(table: pd.DataFrame) -> Iterator[str]:
    """Say in a sentence for last accuracies and one for learning times whether the runs agree."""
    for quantity, own in table.groupby("quantity", sort=False):
        parts = [
            f"{row['measure']} (by {row['instrument']}) {row['verdict']}"
            for row in own.to_dict("records")
        ]
        first, groups = own.iloc[0], int(own["groups"].max())
        names = f"{first['first']} and {first['second']}" if groups == 2 else f"the {groups}"
        yield f"Do {names} agree in {quantity}? {'; '.join(parts)}."


def _value(row: Mapping[Any, Any], side: str) -> str:
    value = row[side]
    if row["quantity"] != TIME:
        return f"{value:.3f}"
    if np.isinf(value):
        return "never"
    return "before the first snapshot" if value == 0 else f"{value:,.0f} images"


def _difference(row: Mapping[Any, Any]) -> str:
    ends = [row[name] for name in ("difference", "low", "high")]
    if not np.isfinite(ends).all():
        return "–"
    if row["quantity"] == TIME:
        middle, low, high = np.exp(ends)
        return f"× {middle:.2f} [{low:.2f}, {high:.2f}]"
    middle, low, high = ends
    return f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]"
