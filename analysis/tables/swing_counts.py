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
ALL = "all"  # instead of a variant
NOTHING = {"mean_fall": np.nan, "p": np.nan}
FEWEST_SNAPSHOTS = 3  # up, and back


def swing_counts(swings: pd.DataFrame, curves: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Count the runs of each variant, and of all of them, that turn back; test the mean over the
    seeds of each beside.

    swings, curves: as `coordinates.swing_table` and `coordinates.coordinate_curves` return them, of
    any runs. The test is `swing_test.mean_swing_test` of minus the coordinate, at the snapshots
    that count in every seed.

    Returns variant (or ALL, if there are several), instrument, measure, swings (runs that turn
    back, gate or not), beyond (those that do by more than their snapshots scatter), runs, passed
    (those that pass the gate), share, low, high (of swings; Clopper–Pearson), verdict (whether most
    runs turn back: holds, fails or undecided; "undecided (gate)" if a run does not pass),
    beyond_verdict (the same of beyond), mean_fall (of the mean over seeds), p, and untested: why
    there is no test, or "".
    """
    joined = swings.merge(about[["run", "variant"]], on="run")
    by_axis = {key: own for key, own in curves.groupby(["run", *AXIS])}
    rows = []
    for key, own in joined.groupby(["variant", *AXIS], sort=False):
        names = dict(zip(["variant", *AXIS], key, strict=True))
        seeds = [by_axis[(run, *key[1:])] for run in own["run"]]
        rows.append({**names, **_counted(own), **_tested(seeds)})
    if joined["variant"].nunique() > 1:
        for axis, own in joined.groupby([*AXIS], sort=False):
            names = {"variant": ALL, **dict(zip(AXIS, axis, strict=True))}
            rows.append({**names, **_counted(own), **NOTHING, "untested": "variants differ"})
    columns = [
        *("variant", *AXIS, "swings", "beyond", "runs", "passed", "share", "low", "high"),
        *("verdict", "beyond_verdict", "mean_fall", "p", "untested"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _counted(own: pd.DataFrame) -> dict[str, Any]:
    runs, passed = len(own), int((own["gate"] == "").sum())
    swings, beyond = (int(own[name].fillna(False).sum()) for name in ("swings", "beyond"))
    found, further = (share("MOST", count, runs) for count in (swings, beyond))
    return {
        **{"swings": swings, "beyond": beyond, "runs": runs, "passed": passed},
        **{"share": found.effect, "low": found.interval.low, "high": found.interval.high},
        "verdict": found.word if passed == runs else GATED,
        "beyond_verdict": further.word if passed == runs else GATED,
    }


def _tested(seeds: Sequence[pd.DataFrame]) -> dict[str, Any]:
    if len(seeds) < FEWEST:
        return {**NOTHING, "untested": f"needs {FEWEST} seeds, has {len(seeds)}"}
    counting = [one[one["counts"]].set_index("images_seen")["coordinate"] for one in seeds]
    together = pd.concat(counting, axis=1, join="inner").sort_index()
    if len(together) < FEWEST_SNAPSHOTS:
        return {**NOTHING, "untested": f"{len(together)} snapshots count in every seed"}
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
