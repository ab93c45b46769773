"""What the explorable part of a report shows: tables and samples in, compact data and sprites out.

The page has numbers of all snapshots, packed as 16-bit integers, and sprites of as many images as
fit (sprites.py). Everything is one PNG per view and one JSON text.
"""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.sprites import Thinned, sheet, thin
from analysis.tables.readouts import ARGMAX, OBEDIENCE, ORACLE, PLACE, SOFTMAX, readout_curves
from analysis.tables.trajectory import accuracy_curves, in_reading_order

ACCURACY = "accuracy"
TITLES = {
    ACCURACY: "probe: share read as asked, unsure is wrong",
    SOFTMAX: "probe: mean probability of the asked value",
    ARGMAX: "probe: share read as asked, of sure images",
    ORACLE: "oracle: share read as asked, of sure images",
    PLACE: "oracle: place (1: at the asked value, 0: at the next)",
    OBEDIENCE: "denoiser: obedience at level {} (1: follows the word, 0: ignores it)",
}
FIELDS = ("value", "low", "high", "unsure")
ABSENT, LARGEST = -32768, 32767


@dataclass(frozen=True)
class View:
    """One kind of weights of a run: what instruments say of it, and its samples.

    probe, oracle: rows of `scores` of one way of drawing, or None. denoiser: rows of `denoiser`.
    copies: rows of `copies`; of all three None is: not measured.
    samples: returns the images of a step, uint8 (combinations, n, H, W, 3), in the order in which
        `combinations` of `explored` has them; image k is `sample` k of the tables. There may be
        fewer than rows, but as many at every step as at the first.
    """

    name: str
    probe: pd.DataFrame
    samples: Callable[[int], np.ndarray]
    oracle: pd.DataFrame | None = None
    denoiser: pd.DataFrame | None = None
    copies: pd.DataFrame | None = None


@dataclass(frozen=True)
class Explored:
    """Data of the page: `json` is safe inside a script element, whatever the tables hold; sheets
    are PNG files, one per view."""

    json: str
    sheets: Sequence[bytes]


def explored(views: Sequence[View], combinations: Sequence[str], runs: int = 1) -> Explored:
    """Data and sprites of views that have the same snapshots, combinations and prompts.

    combinations: all of them, in the order of the samples. runs: on the page, which share its room
    for sprites. Raises ValueError where there is no view.
    """
    probe = views[0].probe
    steps = np.sort(probe["step"].unique())
    seen = probe.drop_duplicates("step").set_index("step")["images_seen"]
    first = views[0].samples(int(steps[0]))
    there, side = first.shape[1:3]
    images = int(probe.groupby("step")["sample"].max().min()) + 1
    asked = probe.drop_duplicates("combination")
    splits = dict(zip(asked["combination"], asked["split"], strict=True))
    thinned = thin(combinations, splits, [*map(int, steps)], images, side, len(views) * runs, there)
    measures = [*probe["concept"].unique()]
    groups = in_reading_order(splits.values())
    rows = [*(("split", g) for g in groups), *(("combination", c) for c in thinned.combinations)]
    words = _words(views)
    data = {
        "concepts": measures,
        "steps": [*map(int, steps)],
        "seen": [int(seen[step]) for step in steps],
        "splits": groups,
        "combinations": [{"name": c, "split": splits[c]} for c in thinned.combinations],
        "prompts": _prompts(probe, thinned),
        "shown": [int(np.searchsorted(steps, step)) for step in thinned.steps],
        "images": thinned.images,
        "px": side // thinned.factor,
        "words": words,
        "asked": _asked(probe, thinned, measures, words),
        "notes": thinned.notes,
        "views": [
            {
                "name": view.name,
                "readouts": [*_readouts(view, rows, [*measures, "joint"], steps, thinned)],
                "readings": [*_readings(view, thinned, measures, words)],
                "copies": _distances(view.copies, thinned),
            }
            for view in views
        ],
    }
    sheets = [sheet(view.samples, thinned, combinations) for view in views]
    return Explored(_safe(data), sheets)


def pack(values: np.ndarray) -> dict[str, Any] | None:
    """Numbers as 16-bit integers, little-endian base64, times a unit; None if all are NaN.

    ABSENT stands for NaN. The largest magnitude is LARGEST units; integers up to that stay exact.
    """
    largest = float(np.nanmax(np.abs(values), initial=0)) if np.isfinite(values).any() else None
    if largest is None:
        return None
    whole = largest <= LARGEST and bool(np.all(np.isnan(values) | (values == np.round(values))))
    unit = 1.0 if whole else largest / LARGEST
    scaled = np.where(np.isnan(values), ABSENT, np.round(np.nan_to_num(values) / unit))
    text = base64.b64encode(scaled.astype("<i2").tobytes()).decode("ascii")
    return {"unit": unit, "data": text}


def _safe(data: Any) -> str:
    """JSON that no text in it can end: within a script element only "<" could."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _readouts(
    view: View, rows: Sequence[Any], measures: Sequence[str], steps: np.ndarray, thinned: Thinned
) -> Iterator[dict[str, Any]]:
    """Yield each readout with its numbers, packed (rows, measures, steps) each."""
    pooled = {}
    for by in ("split", "combination"):
        own = view if by == "split" else _only(view, thinned)
        curves = [
            _accuracy(own.probe, by),
            readout_curves(own.probe, own.oracle, own.denoiser, by),
        ]
        pooled[by] = pd.concat(curves, ignore_index=True).rename(columns={by: "row"})
    table = pd.concat(pooled, names=["by"]).reset_index("by")
    index = pd.MultiIndex.from_tuples([(*r, m, s) for r in rows for m in measures for s in steps])
    for name, one in table.groupby("readout", sort=False):
        found = one.set_index(["by", "row", "concept", "step"])[[*FIELDS]].reindex(index)
        title = TITLES.get(str(name)) or TITLES[OBEDIENCE].format(str(name).split()[-1])
        packed = {field: pack(found[field].to_numpy(np.float64)) for field in FIELDS}
        yield {"name": name, "title": title, **packed}


def _of(table: pd.DataFrame, thinned: Thinned) -> pd.DataFrame:
    return table[table["combination"].isin(thinned.combinations)]


def _only(view: View, thinned: Thinned) -> View:
    """The view of the combinations that are shown."""
    oracle, denoiser = (
        table if table is None else _of(table, thinned) for table in (view.oracle, view.denoiser)
    )
    return replace(view, probe=_of(view.probe, thinned), oracle=oracle, denoiser=denoiser)


def _accuracy(probe: pd.DataFrame, by: str) -> pd.DataFrame:
    """`accuracy_curves` by split or combination, as a readout."""
    curves = accuracy_curves(probe.assign(split=probe[by]))
    names = {"split": by, "measure": "concept", "accuracy": "value"}
    return curves.rename(columns=names).assign(readout=ACCURACY)


def _words(views: Sequence[View]) -> list[str]:
    """All that is asked for or read."""
    tables = [table for view in views for table in (view.probe, view.oracle) if table is not None]
    found = [table[name].dropna().unique() for table in tables for name in ("target", "predicted")]
    return [*dict.fromkeys(str(word) for words in found for word in words)]


def _index(thinned: Thinned, *more: Sequence[Any]) -> pd.MultiIndex:
    return pd.MultiIndex.from_product([thinned.combinations, range(thinned.images), *more])


def _prompts(probe: pd.DataFrame, thinned: Thinned) -> list[list[str]]:
    """The prompt of each combination or, where they differ, of each of its images."""
    keys = ["combination", "sample"]
    found = probe.drop_duplicates(keys).set_index(keys)["prompt"].reindex(_index(thinned))
    own = found.to_numpy().reshape(-1, thinned.images)
    return [[str(p) for p in (row[:1] if len({*row}) == 1 else row)] for row in own]


def _asked(
    probe: pd.DataFrame, thinned: Thinned, concepts: Sequence[str], words: Sequence[str]
) -> dict[str, Any] | None:
    """Numbers of the words asked for, (combinations, images, concepts)."""
    keys = ["combination", "sample", "concept"]
    first = probe.drop_duplicates(keys).set_index(keys)["target"]
    return pack(_numbers(first.reindex(_index(thinned, concepts)), words))


def _numbers(texts: pd.Series, words: Sequence[str]) -> np.ndarray:
    places = {word: float(i) for i, word in enumerate(words)}
    return texts.astype(object).map(places).to_numpy(np.float64)


def _readings(
    view: View, thinned: Thinned, concepts: Sequence[str], words: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield what probe and oracle see in every sprite, (steps, combinations, images, concepts):
    the word that is read, null: unsure; the probability of the asked and of the likeliest value;
    the number that is read, and that which was asked for."""
    keys = ["step", "combination", "sample", "concept"]
    index = pd.MultiIndex.from_product(
        [thinned.steps, thinned.combinations, range(thinned.images), concepts]
    )
    for name, table in (("probe", view.probe), ("oracle", view.oracle)):
        if table is not None:
            own = table[table["step"].isin(thinned.steps) & (table["sample"] < thinned.images)]
            own = _of(own, thinned).set_index(keys).reindex(index)
            largest = own["probabilities"].map(_largest).to_numpy(np.float64)
            numbers = {"p": "p_target", "number": "predicted_value", "askedNumber": "target_value"}
            yield {
                "name": name,
                "read": pack(_numbers(own["predicted"], words)),
                "largest": pack(largest),
                **{key: pack(own[column].to_numpy(np.float64)) for key, column in numbers.items()},
            }


def _largest(probabilities: Any) -> float:
    return float(np.max(probabilities)) if isinstance(probabilities, (list, np.ndarray)) else np.nan


def _distances(copies: pd.DataFrame | None, thinned: Thinned) -> dict[str, Any] | None:
    """Distance of every sprite to its nearest and second nearest training image, (steps,
    combinations, images, 2); None where it was not measured."""
    if copies is None or copies.empty:
        return None
    keys = ["step", "combination", "sample"]
    own = copies.drop_duplicates(keys).set_index(keys)[["nearest", "second_nearest"]]
    index = pd.MultiIndex.from_product([thinned.steps, thinned.combinations, range(thinned.images)])
    return pack(own.reindex(index).to_numpy(np.float64))
