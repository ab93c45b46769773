"""Sections of a study's report: what its variants have learned, when, and how they differ."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.sim import phase_figure
from analysis.figures.variants import (
    learning_law_figure,
    variant_accuracy_figure,
    variant_path_figure,
)
from analysis.report.study import Section
from analysis.tables.trajectory import in_reading_order
from studies.findings.study_tables import StudyTables

SPLITS = ("held_out", "train")  # what is shown first, if there is such
MOST_IMAGES = 1e9
LEARNED = (
    "Learned: read as asked in 80 % of the images, by an isotonic fit; linear between two "
    "snapshots in ln(images seen)."
)
OVER_SEEDS = (
    "Intervals are 95 % ones over seeds and noise: Student's t below 30 seeds, from there on a "
    "bootstrap. With few seeds they are wide, and rest on the seeds being normally distributed. Of "
    "a variant with one seed they speak of other noise alone."
)


def shown_split(tables: StudyTables) -> str:
    """Return the split that is shown where there is room for one."""
    there = [*tables.curves["split"].unique()]
    return next((split for split in SPLITS if split in there), there[0])


def sections_of(tables: StudyTables) -> Iterator[Section]:
    """Yield all that can be shown of a study's tables."""
    yield _accuracy(tables)
    if _has_paths(tables):
        figure = variant_path_figure(tables.paths, tables.variants)
        caption = "Mean path of the held-out combinations through concept space, by variant."
        yield Section("Trajectories", [(caption, figure)])
    if tables.one_setting:
        yield _law(tables, tables.one_setting)
    if tables.two_settings:
        yield _heat_maps(tables)
    if len(tables.differences):
        yield _differences(tables)


def _has_paths(tables: StudyTables) -> bool:
    held_out = tables.paths[tables.paths["split"] == "held_out"]
    return held_out["concept"].nunique() > 1


def _accuracy(tables: StudyTables) -> Section:
    joint = tables.last[tables.last["measure"] == "joint"]
    times = tables.typical[tables.typical["measure"] == "joint"]
    splits = in_reading_order(joint["split"])
    rows = [
        {
            "variant": str(variant),
            **{f"joint, {_said(s)}": _text(_of(joint, variant, s), "accuracy") for s in splits},
            **{f"learned, {_said(s)}": time_text(_of(times, variant, s)) for s in splits},
            "seeds": str(int(own["seeds"].max())),
        }
        for variant, own in joint.groupby("variant", sort=False)
    ]
    caption = "Accuracy against training images seen, mean over the seeds of each variant."
    figures = [(caption, variant_accuracy_figure(tables.over_seeds, {}))]
    notes = ["Joint: every concept right in one image, at the last snapshot.", LEARNED, OVER_SEEDS]
    return Section("Variants", figures, rows, notes)


def _of(table: pd.DataFrame, variant: Any, split: str) -> Any:
    """Return the row of a variant and split; None if there is none."""
    own = table[(table["variant"] == variant) & (table["split"] == split)]
    return own.iloc[0] if len(own) else None


def _text(row: Any, value: str, sign: str = "") -> str:
    """Return a number and its interval, such as 0.981 [0.972, 0.989]."""
    if row is None:
        return "–"
    return f"{row[value]:{sign}.3f} [{row['low']:{sign}.3f}, {row['high']:{sign}.3f}]"


def time_text(row: Any) -> str:
    """Return a learning time in images seen, or how many runs have not learned."""
    if row is None:
        return "–"
    runs, censored = int(row["runs"]), int(row["censored"])
    if np.isnan(row["images_seen"]):
        return f"not known: in {censored} of {runs} not between snapshots"
    late = f"; in {censored} of {runs} not between snapshots" if censored else ""
    return f"{row['images_seen']:,.0f} [{row['low']:,.0f}, {_upper(row['high'])}]{late}"


def _upper(images: float) -> str:
    """Return the end of an interval; two seeds may leave it as good as open."""
    return f"{images:,.0f}" if images < MOST_IMAGES else "∞"


def _said(split: str) -> str:
    return split.replace("_", "-")


def _law(tables: StudyTables, setting: str) -> Section:
    split = shown_split(tables)
    settings = tables.about[["variant", setting]].drop_duplicates("variant")
    times = tables.times.merge(tables.about[["run", setting]], on="run")
    typical = tables.typical.merge(settings, on="variant")
    laws = {row["measure"]: row for row in tables.laws_of(split)}
    titles = {measure: _exponent(row, 2) for measure, row in laws.items()}
    figure = learning_law_figure(
        times[times["split"] == split], typical[typical["split"] == split], setting, titles
    )
    caption = (
        f"Images seen until each concept is learned ({_said(split)}), against {setting}. Above "
        f"each panel the exponent of the law, time ∝ setting^exponent, with its interval."
    )
    rows = [{"measure": m, "exponent": _exponent(row, 3)} for m, row in laws.items()]
    notes = [LEARNED, "Runs that have not learned in time count as censored; none is left out."]
    return Section("Learning time by setting", [(caption, figure)], rows, notes)


def _exponent(row: Any, digits: int) -> str:
    if np.isnan(row["exponent"]):
        return "no law: too few"
    middle, low, high = (
        f"{round(row[key], digits) + 0.0:.{digits}f}"  # no −0
        for key in ("exponent", "low", "high")
    )
    return f"{middle} [{low}, {high}]"


def _heat_maps(tables: StudyTables) -> Section:
    split = shown_split(tables)
    row, column, grid = tables.grid("joint", split)
    values = {
        f"joint accuracy, {_said(split)}": grid["accuracy"].to_numpy(np.float64),
        "thousand images until learned": grid["images_seen"].to_numpy(np.float64) / 1000,
    }
    rows, columns = (
        [f"{value:g}" for value in axis] for axis in (grid.index, grid["accuracy"].columns)
    )
    figure = phase_figure(values, rows, columns, blank="none")
    caption = f"Rows: {row}. Columns: {column}. Means over seeds, at the last snapshot."
    return Section("Two settings at once", [(caption, figure)], notes=[LEARNED])


def _differences(tables: StudyTables) -> Section:
    rows = [
        {
            "variant": row["variant"],
            "split": _said(row["split"]),
            "difference": _text(row, "difference", "+"),
            "seeds": str(row["seeds"]),
            "in each seed": row["each_seed"],
        }
        for _, row in tables.differences.iterrows()
    ]
    first = tables.differences["against"].iloc[0]
    notes = [
        f"Joint accuracy at the last snapshot, minus that of {first}: runs of equal seed, image by "
        f"image from the same noise.",
        "In each seed: more or less if the interval over noise of every single seed says so. That "
        "speaks of these seeds, not of others.",
    ]
    return Section("Differences from the first variant", rows=rows, notes=notes)
