"""How much data is needed, and how that grows with the size of the canvas.

Runs of one size and one seed differ in how many images they learned from. Their accuracy, in the
order of that number, is fitted isotonically; where the fit crosses the threshold, linear in
ln(number), is the number that is needed (`learning_times.learning_times`). It is known up to the
bracket of the two numbers around the crossing, and censored where there is none.

The exponent b of needed ∝ size^b, with its interval, is fitted to the brackets of all seeds and
sizes (`learning_times.signal_law`).
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.intervals import Interval, from_independent
from analysis.measures.learning_times import Fit, learning_times, signal_law, typical_time

THRESHOLD = 0.6  # accuracy (arXiv:2408.13256, figure 5)


def data_needed(
    runs: pd.DataFrame, size: str, groups: Sequence[str], threshold: float = THRESHOLD
) -> pd.DataFrame:
    """The number of images that each seed needs at each size.

    runs: a row per run: seed, images (how many it learned from, above 0), accuracy in [0, 1], the
        column `size`, of numbers above 0, and the columns `groups`, whose laws are told apart.

    Returns `groups`, size, seed, needed (NaN where censored), after and by (its bracket: 0 and
    infinity at the ends).
    """
    keys = [*groups, size, "seed"]
    rows = []
    for key, own in runs.groupby(keys, sort=False):
        mean = own.groupby("images")["accuracy"].mean()
        images = mean.index.to_numpy(np.float64)
        found = learning_times(images, mean.to_numpy(), threshold)
        ends = {"needed": found.time, "after": found.low, "by": found.high}
        rows.append({**dict(zip(keys, key, strict=True)), **{k: float(v) for k, v in ends.items()}})
    return pd.DataFrame(rows)


def typical_needed(needed: pd.DataFrame, size: str, groups: Sequence[str]) -> pd.DataFrame:
    """The typical number over the seeds of each size: a log-normal fit to their brackets.

    Returns `groups`, size, needed, low, high (95 %, over seeds; NaN where more than half of them
    are censored, or of one seed), runs and censored.
    """
    return _fitted(
        needed, [*groups, size], "needed", lambda low, high, own: typical_time(low, high)
    )


def exponents(needed: pd.DataFrame, size: str, groups: Sequence[str]) -> pd.DataFrame:
    """The exponent of needed ∝ size^exponent of each group.

    Returns `groups`, exponent, low, high (95 %; NaN where more than half of the seeds and sizes are
    censored), runs (seeds × sizes) and censored.
    """

    def law(low: np.ndarray, high: np.ndarray, own: pd.DataFrame) -> Fit:
        return signal_law(low, high, own[size].to_numpy(np.float64))

    return _fitted(needed.assign(all=0), [*groups] or ["all"], "exponent", law)


def _fitted(needed: pd.DataFrame, keys: Sequence[str], name: str, fit: Any) -> pd.DataFrame:
    rows = []
    for key, own in needed.groupby([*keys], sort=False):
        found = fit(own["after"].to_numpy(), own["by"].to_numpy(), own)
        ends = {"low": found.interval.low, "high": found.interval.high}
        counts = {"runs": found.runs, "censored": found.censored}
        rows.append({**dict(zip(keys, key, strict=True)), name: found.estimate, **ends, **counts})
    return pd.DataFrame(rows)


def exponent_differences(laws: pd.DataFrame, group: str) -> pd.DataFrame:
    """Exponents of each two groups, the first minus the second. Their runs are independent.

    laws: as `exponents` returns them, of one column `group`.

    Returns first, second, difference, low and high (95 %).
    """
    return pd.DataFrame(_differences(laws, group))


def _differences(laws: pd.DataFrame, group: str) -> Iterator[dict[str, Any]]:
    for first, second in combinations(laws.to_dict("records"), 2):
        ends = [Interval(row["low"], row["high"]) for row in (first, second)]
        middle = [row["exponent"] for row in (first, second)]
        found = from_independent(middle, ends)
        names = {"first": first[group], "second": second[group]}
        yield {**names, "difference": middle[0] - middle[1], "low": found.low, "high": found.high}
