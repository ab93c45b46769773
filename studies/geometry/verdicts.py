"""Verdicts by site, level and step: of one run by its noise seeds, of several over the runs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.geometry import NAMES, jackknife, over_runs, shape_of
from analysis.measures.intervals import Interval
from analysis.measures.origins import origin_of
from studies.geometry.measured import most_of
from studies.geometry.swaps import answer
from studies.worlds.condition_grid import ConditionGrid

CODE = ["site", "level", "first", "second"]
PLACE = ["step", "images_seen", *CODE]


def verdicts(rows: pd.DataFrame, changed: pd.DataFrame, grid: ConditionGrid) -> pd.DataFrame:
    """Return a row per step, site, level and pair of features: means over runs, 95 % intervals, the
    verdict and its origin.

    Intervals are over runs, of a single run over its noise seeds. origin: of step 0 "untrained";
    empty where step 0 was not read, and of undecided verdicts. each_run: what the runs say apart,
    each over its noise seeds. changed: by `changes`.
    """
    most = {
        (grid.features[i].name, grid.features[j].name): most_of(grid.features[i], grid.features[j])
        for i, j in grid.pairs
    }
    groups: Any = {place: own for place, own in rows.groupby(PLACE, sort=False)}
    intervals = {place: {n: _interval(own, n) for n in NAMES} for place, own in groups.items()}
    first = {place[2:]: found for place, found in intervals.items() if place[0] == 0}
    moves = {
        place: {row["number"]: Interval(row["low"], row["high"]) for row in own.to_dict("records")}
        for place, own in changed.groupby(PLACE, sort=False)
    }
    found = []
    for place, own in groups.items():
        now, bars = intervals[place], most[place[4:]]
        row = {**dict(zip(PLACE, place, strict=True)), "runs": len(own)}
        row |= {"verdict": shape_of(now, bars), "origin": "untrained" if place[0] == 0 else None}
        if place[0] != 0 and place[2:] in first:
            row["origin"] = origin_of(now, first[place[2:]], moves[place], bars)
        row["each_run"] = _each_run(own, bars)
        for name, interval in now.items():
            row |= {name: own[name].mean(), f"{name}_low": interval.low}
            row |= {f"{name}_high": interval.high}
        found.append(row)
    return pd.DataFrame(found)


def _interval(own: pd.DataFrame, name: str) -> Interval:
    return _of_noises(own, name) if len(own) == 1 else over_runs(own[name].to_numpy())


def _of_noises(run: pd.DataFrame, name: str) -> Interval:
    return Interval(*run[[f"{name}_low", f"{name}_high"]].iloc[0])


def _each_run(own: pd.DataFrame, bars: Any) -> str:
    """Return how many runs have which verdict by themselves, such as "2 coupled, 1 undecided"."""
    runs = [run for _, run in own.groupby("run", sort=False)]
    words = Counter(shape_of({n: _of_noises(run, n) for n in NAMES}, bars) for run in runs)
    return ", ".join(f"{count} {word}" for word, count in words.most_common())


def changes(rows: pd.DataFrame, left_out: pd.DataFrame | None) -> pd.DataFrame:
    """Return a row per step after 0, site, level, pair of features and number: how much it has
    changed since step 0, with its paired 95 % interval: over runs, of a single run over its noise
    seeds. Empty where step 0 was not read.

    left_out: the numbers of each run without each of its noise seeds; None of two seeds, which
    have no interval.
    """
    columns = [*PLACE, "number", "change", "low", "high"]
    if not (rows["step"] == 0).any():
        return pd.DataFrame(columns=columns)
    runs, without = _since_start(rows, ["run"]), {}
    if left_out is not None:
        seeds = _since_start(left_out, ["run", "left_out"])
        without = {place: own for place, own in seeds.groupby(PLACE, sort=False)}
    found = []
    for place, own in runs.groupby(PLACE, sort=False):
        for name in NAMES:
            if len(own) == 1:
                left = without[place][name].to_numpy() if place in without else np.zeros(0)
                interval = jackknife(own[name].iloc[0], left)
            else:
                interval = over_runs(own[name].to_numpy())
            found.append([*place, name, own[name].mean(), interval.low, interval.high])
    return pd.DataFrame(found, columns=columns)


def _since_start(rows: pd.DataFrame, unit: list[str]) -> pd.DataFrame:
    """Return rows after step 0, whose numbers are the differences from those of step 0."""
    key, names = [*unit, *CODE], list(NAMES)
    start = rows[rows["step"] == 0].set_index(key)[names]
    later = rows[rows["step"] != 0].copy()
    before = start.reindex(pd.MultiIndex.from_frame(later[key])).to_numpy()
    later[names] = later[names].to_numpy() - before
    return later


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
        origin = f" ({row['origin']})" if row["origin"] else ""
        yield (
            f"step {row['step']}, level {row['level']:g}, {row['site']} ({pair}): "
            f"{row['verdict']}{origin}; {numbers}"
        )
    for row in frames.get("swap_answers", pd.DataFrame()).to_dict("records"):
        yield f"step {row['step']}, {row['site']}, swapped in {row['run']}: {row['answer']}"
