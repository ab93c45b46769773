"""When each concept is learned, by which instrument: tables in, a row per concept and instrument.

Learned means, by probe and oracle: read as asked in LEARNED of the images, where unsure is not read
as asked; by the denoiser, at each level: obedience is HALF. Times are read off an isotonic fit,
linear in ln(images seen). Snapshots of whose images an instrument is mostly unsure do not count:
what it says of them is neither that a concept was learned nor that it was not.

Intervals are 95 % ones, over noise (probe and oracle: images are drawn anew) or over scenes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.tables.denoiser import HALF, crossing, obedience_curves, rule_clock
from analysis.tables.learning import IMAGE
from analysis.tables.trajectory import BASELINES, MOST_UNSURE

LEARNED = 0.8  # of the images
NUM_DRAWS = 499
NOWHERE = {"images_seen": np.nan, "low": 0.0, "high": np.inf, "after": 0.0, "before": np.inf}
COLUMNS = (
    *("run", "split", "concept", "instrument", "threshold", "step", "images_seen", "low", "high"),
    *("after", "by", "images_per_step", "counting", "snapshots", "last_step", "last"),
    *("unsure", "wrong"),
)


def learned_table(
    probe: pd.DataFrame,
    oracle: pd.DataFrame | None,
    denoiser: pd.DataFrame | None,
    split: str,
) -> pd.DataFrame:
    """When one run has learned each concept, by each instrument that there is.

    probe, oracle: rows of `scores` of one run, of one instrument and way of drawing each; baselines
    and what was drawn before training are left out. denoiser: rows of `denoiser`. split: of the
    images that count.

    Returns run, split, concept, instrument (probe, oracle, or denoiser and its level), threshold,
    step and images_seen (when; null where it was not between two counting snapshots), low, high
    (its interval, in images seen; 0: before the first that counts, infinite: not by the last),
    after, by (the counting snapshots between which it was; 0 and infinite at the ends),
    images_per_step, counting (snapshots that count), snapshots (of how many), last_step, and last,
    unsure, wrong (shares at the last snapshot that there is: read as asked, unsure, read otherwise;
    of the denoiser `last` is its obedience, and the others are null).
    """
    rows: list[dict[str, Any]] = []
    for name, scores in (("probe", probe), ("oracle", oracle)):
        if scores is not None:
            rows += _by_readings(scores, name, split)
    if denoiser is not None and len(denoiser):
        rows += _by_denoiser(denoiser, split)
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = pd.Categorical(table["concept"], probe["concept"].unique(), ordered=True)
    table = table.assign(concept=order).sort_values("concept", kind="stable", ignore_index=True)
    return table.astype({"concept": str})


def _by_readings(scores: pd.DataFrame, instrument: str, split: str) -> Iterator[dict[str, Any]]:
    generated = ~scores["run"].isin(BASELINES) & (scores["images_seen"] > 0)
    asked = scores[generated & (scores["split"] == split)]
    for concept, own in asked.groupby("concept", sort=False):
        about = {"split": split, "concept": concept, "instrument": instrument}
        yield {**about, "threshold": LEARNED, **_time_of(own), **_last_of(own)}


def _time_of(own: pd.DataFrame) -> dict[str, Any]:
    """When images are read as asked, by the snapshots that count."""
    unsure = own["predicted"].isna().groupby(own["images_seen"]).mean()
    counting = own[own["images_seen"].map(unsure) <= MOST_UNSURE]
    there = {"counting": counting["images_seen"].nunique(), "snapshots": len(unsure)}
    if counting.empty:
        return {**_in_steps(NOWHERE, own), **there}
    right = counting.assign(right=_as_asked(counting).astype(np.float64))
    images = right.pivot(index="images_seen", columns=IMAGE, values="right").dropna(axis=1)
    rng = np.random.default_rng(0)
    count = images.shape[1]
    draws = rng.multinomial(count, np.full(count, 1 / count), NUM_DRAWS)
    weights = np.concatenate([np.ones((1, count)), draws]) / count
    seen = images.index.to_numpy(np.float64)
    found = crossing(seen, weights @ images.to_numpy().T, LEARNED)
    return {**_in_steps(found, own), **there}


def _as_asked(own: pd.DataFrame) -> pd.Series:
    read, asked = (own[name].astype("string") for name in ("predicted", "target"))
    return read.eq(asked).fillna(False).astype(bool)


def _in_steps(found: Mapping[str, float], own: pd.DataFrame) -> dict[str, float]:
    """A crossing with its step; every step shows equally many images."""
    last = own.iloc[int(own["images_seen"].to_numpy().argmax())]
    images_per_step = float(last["images_seen"] / last["step"])
    return {
        **{name: found[name] for name in ("images_seen", "low", "high", "after")},
        **{"by": found["before"], "step": found["images_seen"] / images_per_step},
        **{"images_per_step": images_per_step, "last_step": int(last["step"])},
    }


def _last_of(own: pd.DataFrame) -> dict[str, Any]:
    last = own[own["step"] == own["step"].max()]
    right, unsure = _as_asked(last), last["predicted"].isna()
    shares = {"last": right.mean(), "unsure": unsure.mean(), "wrong": (~right & ~unsure).mean()}
    return {"run": last["run"].iloc[0], **{name: float(share) for name, share in shares.items()}}


def _by_denoiser(denoiser: pd.DataFrame, split: str) -> Iterator[dict[str, Any]]:
    own = denoiser[(denoiser["split"] == split) & (denoiser["images_seen"] > 0)]
    if own.empty:
        return
    curves = obedience_curves(own[own["step"] == own["step"].max()])
    last = curves.set_index(["level", "concept"])["obedience"]
    count = own["step"].nunique()
    for row in rule_clock(own, split=split).to_dict("records"):
        level, concept = row["level"], str(row["concept"])
        yield {
            **{"run": row["run"], "split": split, "concept": concept},
            **{"instrument": f"denoiser, level {level:g}", "threshold": HALF},
            **_in_steps({str(k): v for k, v in row.items()}, own),
            **{"counting": count, "snapshots": count, "last": float(last[level, concept])},
        }


def learned_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Text of `learned_table` of one run, by column, a row per concept and instrument."""
    return [
        {
            "concept": row["concept"],
            "by": row["instrument"],
            "learned": _when(row),
            "images seen": "–" if np.isnan(row["images_seen"]) else f"{row['images_seen']:,.0f}",
            "95 % interval, steps": _interval(row),
            "snapshots that count": f"{row['counting']} of {row['snapshots']}",
            "at the last snapshot": _at_last(row),
        }
        for row in table.to_dict("records")
    ]


def learned_sentences(table: pd.DataFrame) -> list[str]:
    """Say of each concept when it is learned by which instrument, with intervals; a sentence each.

    table: as `learned_table` returns it, of one run.
    """
    return [
        f"{concept} is learned, " + "; ".join(map(_clause, own.to_dict("records"))) + "."
        for concept, own in table.groupby("concept", sort=False)
    ]


def too_short_sentences(table: pd.DataFrame) -> list[str]:
    """Say that training was too short to be read, if the probe is unsure of most images of the last
    snapshot; one sentence, or none.

    table: as `learned_table` returns it, of one run.
    """
    probe = table[table["instrument"] == "probe"]
    if not (probe["unsure"] > MOST_UNSURE).any():
        return []
    unsure, step = probe["unsure"].max(), probe["last_step"].max()
    return [
        f"Too short to read: the probe is unsure of {unsure:.0%} of the images of the last "
        f"snapshot, step {step:,}; train longer than {step:,} steps (train.max_steps)."
    ]


def _clause(row: Mapping[Any, Any]) -> str:
    """Such as "by probe: at step 410 [380, 450]", or "by probe: never; at the last …"."""
    by = f"by {row['instrument']}: {_when(row)}"
    if not np.isnan(row["images_seen"]):
        return f"{by} {_interval(row)}"
    never = row["counting"] == 0 or np.isinf(row["by"])
    return f"{by}; at the last snapshot {_at_last(row)}" if never else by


def _when(row: Mapping[Any, Any]) -> str:
    if row["counting"] == 0:
        return "cannot say, mostly unsure at every snapshot"
    if not np.isnan(row["images_seen"]):
        return f"at step {row['step']:,.0f}"
    if np.isinf(row["by"]):
        return "never"
    first = f"by step {_steps(row['by'], row)}, the first that counts"
    blind = row["snapshots"] - row["counting"]
    return f"{first} ({blind} are mostly unsure)" if blind else first


def _interval(row: Mapping[Any, Any]) -> str:
    """Such as "[380, 450]"; an end before the first snapshot that counts, or after the last."""
    if row["counting"] == 0:
        return "–"
    low = "before" if row["low"] == 0 else _steps(row["low"], row)
    high = "never" if np.isinf(row["high"]) else _steps(row["high"], row)
    if np.isnan(row["images_seen"]) and {low, high} & {"before", "never"}:
        return "censored"
    return f"[{low}, {high}]"


def _steps(images_seen: float, row: Mapping[Any, Any]) -> str:
    return f"{images_seen / row['images_per_step']:,.0f}"


def _at_last(row: Mapping[Any, Any]) -> str:
    if np.isnan(row["unsure"]):
        return f"obedience {_short(row['last'])}"
    return f"{_short(row['unsure'])} unsure, {_short(row['wrong'])} wrong"


def _short(share: float) -> str:
    """A number without its leading zero, such as .31 or −.02."""
    return f"{share:.2f}".replace("0.", ".", 1).replace("-", "−")
