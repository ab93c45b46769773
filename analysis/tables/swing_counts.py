"""How many runs of each variant turn back, by each instrument; and which concept comes first.

`about` is a table of the runs, as in `analysis/tables/variants.py`.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.intervals import clopper_pearson
from analysis.measures.swing_test import FEWEST, mean_swing_test
from analysis.measures.verdicts import share
from analysis.tables.coordinates import AXIS, DRAWS

GATED = "undecided (gate)"
FEWEST_SNAPSHOTS = 3  # up, and back


def swing_counts(swings: pd.DataFrame, curves: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Count the runs of each variant that turn back, and test the mean over its seeds beside.

    swings, curves: as `coordinates.swing_table` and `coordinates.coordinate_curves` return them, of
    any runs. The test is `swing_test.mean_swing_test` of minus the coordinate, at the snapshots
    that count in every seed.

    Returns variant, instrument, measure, swings (runs that turn back, gate or not), runs,
    passed (those that pass the gate), share, low, high (Clopper–Pearson), verdict (whether most
    runs turn back: holds, fails or undecided; "undecided (gate)" if a run does not pass), mean_fall
    (of the mean over seeds), p, and untested: why there is no test, or "".
    """
    joined = swings.merge(about[["run", "variant"]], on="run")
    by_axis = {key: own for key, own in curves.groupby(["run", *AXIS])}
    rows = []
    for key, own in joined.groupby(["variant", *AXIS], sort=False):
        names = dict(zip(["variant", *AXIS], key, strict=True))
        seeds = [by_axis[(run, *key[1:])] for run in own["run"]]
        rows.append({**names, **_counted(own), **_tested(seeds)})
    columns = [
        *("variant", *AXIS, "swings", "runs", "passed", "share", "low", "high", "verdict"),
        *("mean_fall", "p", "untested"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _counted(own: pd.DataFrame) -> dict[str, Any]:
    count, runs = int(own["swings"].fillna(False).sum()), len(own)
    passed = int((own["gate"] == "").sum())
    found = share("MOST", count, runs)
    return {
        **{"swings": count, "runs": runs, "passed": passed, "share": found.effect},
        **{"low": found.interval.low, "high": found.interval.high},
        "verdict": found.word if passed == runs else GATED,
    }


def _tested(seeds: Sequence[pd.DataFrame]) -> dict[str, Any]:
    nothing = {"mean_fall": np.nan, "p": np.nan}
    if len(seeds) < FEWEST:
        return {**nothing, "untested": f"needs {FEWEST} seeds, has {len(seeds)}"}
    counting = [one[one["counts"]].set_index("images_seen")["coordinate"] for one in seeds]
    together = pd.concat(counting, axis=1, join="inner").sort_index()
    if len(together) < FEWEST_SNAPSHOTS:
        return {**nothing, "untested": f"{len(together)} snapshots count in every seed"}
    found = mean_swing_test(-together.to_numpy().T, rng=np.random.default_rng(DRAWS))
    return {"mean_fall": found.rise, "p": found.p, "untested": ""}


def concept_orders(times: pd.DataFrame, about: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Count for every two concepts the runs of each variant in which the first comes first.

    times: learning times or clocks of any runs: run, `keys`, measure (a concept), images_seen,
    after and by (the bracket). What has not come by the last snapshot is later than all that has;
    of two that have not, or that came before the first snapshot, neither is first.

    Returns variant, `keys`, first, then, earlier (runs in which `first` is earlier), later, runs
    (all), share (of those in which one is earlier), low, high (Clopper–Pearson; NaN of none) and
    verdict: whether most are, with those in which neither is first counted as "no".
    """
    joined = times.merge(about[["run", "variant"]], on="run")
    when = joined["images_seen"].fillna(joined["by"].where(joined["after"] > 0, 0.0))
    rows = []
    for key, own in joined.assign(when=when).groupby(["variant", *keys], sort=False):
        wide = own.pivot(index="run", columns="measure", values="when")[own["measure"].unique()]
        for first, then in combinations(wide, 2):
            names = dict(zip(["variant", *keys], key, strict=True))
            rows.append({**names, **_order(wide, str(first), str(then))})
    columns = [
        *("variant", *keys, "first", "then", "earlier", "later", "runs"),
        *("share", "low", "high", "verdict"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _order(when: pd.DataFrame, first: str, then: str) -> Mapping[str, Any]:
    """`first` is the one that is earlier in more runs."""
    counts = {
        first: int((when[first] < when[then]).sum()),
        then: int((when[then] < when[first]).sum()),
    }
    first, then = (first, then) if counts[first] >= counts[then] else (then, first)
    earlier, later, runs = counts[first], counts[then], len(when)
    decided = earlier + later
    low, high = clopper_pearson(earlier, decided) if decided else (np.nan, np.nan)
    return {
        **{"first": first, "then": then, "earlier": earlier, "later": later, "runs": runs},
        "share": earlier / decided if decided else np.nan,
        **{"low": low, "high": high, "verdict": share("MOST", earlier, runs).word},
    }
