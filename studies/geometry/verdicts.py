"""Verdicts by site, level and step: of one run by its noise seeds, of several over the runs."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.measures.geometry import NAMES, over_runs, shape_of
from analysis.measures.intervals import Interval
from studies.geometry.measured import most_of
from studies.geometry.swaps import answer
from studies.worlds.condition_grid import ConditionGrid

PLACE = ["step", "images_seen", "site", "level", "first", "second"]


def verdicts(rows: pd.DataFrame, grid: ConditionGrid) -> pd.DataFrame:
    """Return a row per step, site, level and pair of features: means over runs, 95 % intervals and
    the verdict. Intervals are over runs, of a single run over its noise seeds."""
    most = {
        (grid.features[i].name, grid.features[j].name): most_of(grid.features[i], grid.features[j])
        for i, j in grid.pairs
    }
    found = []
    for place, own in rows.groupby(PLACE, sort=False):
        about = dict(zip(PLACE, place, strict=True))
        intervals = {name: _interval(own, name) for name in NAMES}
        row = {**about, "runs": len(own)}
        row["verdict"] = shape_of(intervals, most[str(about["first"]), str(about["second"])])
        for name, interval in intervals.items():
            row |= {name: own[name].mean(), f"{name}_low": interval.low}
            row |= {f"{name}_high": interval.high}
        found.append(row)
    return pd.DataFrame(found)


def _interval(own: pd.DataFrame, name: str) -> Interval:
    if len(own) == 1:
        return Interval(*own[[f"{name}_low", f"{name}_high"]].iloc[0])
    return over_runs(own[name].to_numpy())


def swap_answers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what swaps say of every site and step of every run."""
    place = ["run", "step", "images_seen", "site"]
    found = []
    for key, own in rows.groupby(place, sort=False):
        records: Any = [{str(k): v for k, v in row.items()} for row in own.to_dict("records")]
        found.append({**dict(zip(place, key, strict=True)), "answer": answer(records)})
    return pd.DataFrame(found)


def verdict_lines(frames: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Yield a line for every site, level and pair at the last step, and for every swap there."""
    rows = frames["verdicts"]
    for row in rows[rows["step"] == rows["step"].max()].to_dict("records"):
        numbers = ", ".join(
            f"{sign} {row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
            for sign, name in (("κ", "kappa"), ("Ω", "omega"), ("PR", "pr_x"), ("PR", "pr_y"))
        )
        pair = f"{row['first']}, {row['second']}"
        yield (
            f"step {row['step']}, level {row['level']:g}, {row['site']} ({pair}): "
            f"{row['verdict']}; {numbers}"
        )
    for row in frames.get("swap_answers", pd.DataFrame()).to_dict("records"):
        yield f"step {row['step']}, {row['site']}, swapped in {row['run']}: {row['answer']}"
