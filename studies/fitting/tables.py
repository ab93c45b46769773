"""Tables of forecasts: what was predicted of each concept, how well, and the curves themselves."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.forecasts import root_mean_square, same_order, skill
from analysis.measures.rank_agreement import RankAgreement, rank_agreement
from studies.fitting.forecast import BASELINES, LINE, STAYS, Forecast, Predicted

INTERVAL = (0.025, 0.975)


def concepts_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """Return a row per run, level, model and concept.

    rate: a_k per 1000 images at the full learning rate; start: e(0). crossing, measured: images
    seen at e = ½, infinite: not by the last snapshot, 0: by the first; ratio: of the two, null
    where one of them is not known. Each has the 95 % interval name_low, name_high. rmse: over the
    snapshots after the fitted part. turn: images seen at the predicted peak, null without a turn;
    turn_seen: at the measured one.
    """
    return pd.DataFrame(
        [row for one in forecasts for found in one.predictions for row in _rows(one, found)]
    )


def models_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """Return a row per run, level and model, over all concepts: rmse, skill over each baseline,
    order and whether it is right (null where the predicted or the measured one is not known)."""
    return pd.DataFrame([_scores(one, found) for one in forecasts for found in one.predictions])


def measured_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """Return the measured curves, a row per run, level, concept and snapshot: obedience with its
    interval over scenes, and whether it was fitted."""
    return pd.DataFrame([row for one in forecasts for row in _measured_rows(one)])


def predicted_table(forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """Return the predicted curves, a row per run, level, model, concept and place on the grid."""
    tables = [
        pd.DataFrame({**_key(one), "model": found.name, "concept": name, **_curve(one, found, k)})
        for one in forecasts
        for found in one.predictions
        for k, name in enumerate(one.part.names)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def agreement(forecasts: Sequence[Forecast], model: str) -> tuple[int, RankAgreement] | None:
    """Return how many runs a model predicts, and the rank correlation of its times of e = ½ with
    the measured ones; nothing of fewer than two. A run in which a concept has no prediction is left
    out."""
    pairs = [
        (one.crossings(found)[0], one.measured_crossings[0])
        for one in forecasts
        for found in one.predictions
        if found.name == model
    ]
    most = max((len(first) for first, _ in pairs), default=0)
    pairs = [pair for pair in pairs if len(pair[0]) == most]
    if len(pairs) < 2:
        return None
    predicted, measured = (np.array(side) for side in zip(*pairs, strict=True))
    return len(pairs), rank_agreement(predicted, measured, rng=np.random.default_rng(0))


def _key(one: Forecast) -> dict[str, Any]:
    return {"run": one.part.measured.run, "level": one.part.measured.level}


def _rows(one: Forecast, found: Predicted) -> Iterator[dict[str, Any]]:
    crossings, measured = one.crossings(found), one.measured_crossings
    turns, seen = one.turns(found), one.measured_turns
    for k, name in enumerate(one.part.names):
        rates, start = (
            None if drawn is None else drawn[:, k] for drawn in (found.rates, found.start)
        )
        yield {
            **_key(one),
            "model": found.name,
            "concept": name,
            **_with_interval("rate", rates),
            **_with_interval("start", start),
            **_with_interval("crossing", crossings[:, k]),
            **_with_interval("measured", measured[:, k]),
            **_with_interval("ratio", _ratio(crossings[:, k], measured[:, k])),
            "rmse": root_mean_square(found.later[0, k] - one.later[k]),
            "turn": turns.peak[k],
            "turn_seen": seen.peak[k],
        }


def _ratio(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray | None:
    """Return predicted over measured times, where both are known."""
    if not (np.isfinite(predicted[0]) and np.isfinite(measured[0]) and measured[0] > 0):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(predicted / measured, nan=1.0, posinf=np.inf)


def _with_interval(name: str, drawn: np.ndarray | None) -> dict[str, float]:
    """Return the first value of some draws, and the interval of the others."""
    if drawn is None:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    low, high = np.quantile(drawn[1:], INTERVAL, method="nearest")
    return {name: float(drawn[0]), f"{name}_low": float(low), f"{name}_high": float(high)}


def _scores(one: Forecast, found: Predicted) -> dict[str, Any]:
    errors = {p.name: root_mean_square(p.later[0] - one.later) for p in one.predictions}
    predicted = one.crossings(found)[0]
    return {
        **_key(one),
        "model": found.name,
        "fitted_snapshots": one.part.size,
        "fitted_images": one.fitted_images,
        "rmse": errors[found.name],
        "skill_over_stays": skill(errors[found.name], errors[STAYS]),
        "skill_over_line": skill(errors[found.name], errors[LINE]),
        "order": ", ".join(_order(predicted, one.part.names)),
        "measured_order": ", ".join(_order(one.measured_crossings[0], one.part.names)),
        "order_is_right": same_order(predicted, one.measured_crossings[0]),
        "is_baseline": found.name in BASELINES,
    }


def _order(times: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return the names by their times, those of equal times joined by =."""
    ends = sorted({*times})
    return [" = ".join(n for n, t in zip(names, times, strict=True) if t == end) for end in ends]


def _measured_rows(one: Forecast) -> Iterator[dict[str, Any]]:
    drawn, part = one.part.drawn, one.part
    for k, name in enumerate(part.names):
        for i, seen in enumerate(part.images_seen):
            fitted = {"images_seen": seen, "is_fitted": i < part.size}
            values = _with_interval("obedience", drawn[:, k, i])
            yield {**_key(one), "concept": name, **fitted, **values}


def _curve(one: Forecast, found: Predicted, k: int) -> dict[str, Any]:
    low, high = np.quantile(found.curves[1:, k], INTERVAL, axis=0)
    values = {"predicted": found.curves[0, k], "predicted_low": low, "predicted_high": high}
    return {"images_seen": one.grid, **values}
