"""Forecasts in words and as plain data."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from analysis.figures.style import short_count
from analysis.measures.intervals import FEWEST_SEEDS
from studies.fitting.forecast import BASELINES, Forecast
from studies.fitting.tables import agreement, concepts_table, models_table

LEGEND = (
    "rate: a_k per 1000 images at the full learning rate; e(0): fitted too; every model ends at "
    "e = 1, by choice",
    "e = 1/2: images seen; ratio: predicted over measured; rmse: of e after the fitted part; turn: "
    "images seen where e begins to fall by .05, predicted (seen)",
    "skill: 1 - rmse/rmse of the baseline; brackets: 95 % intervals over scenes and, of fits, over "
    "snapshots",
)
HEAD = ("model", "concept", "rate", "e(0)", "e = 1/2", "measured", "ratio", "rmse", "turn (seen)")
SCORES = ("model", "rmse", "skill over staying", "over the line", "order at e = 1/2")


def forecast_lines(forecasts: Sequence[Forecast], until: float) -> list[str]:
    """Return the tables of every run and level and, of several runs, how far times agree."""
    lines = [*LEGEND] if any(one.predictions for one in forecasts) else []
    for one in forecasts:
        lines += ["", *_lines(one, until)]
    return [*lines, *_agreements(forecasts)]


def _lines(one: Forecast, until: float) -> Iterator[str]:
    part = one.part
    name = f"{part.measured.run}, level {part.measured.level:g}"
    if not one.predictions:
        yield f"{name}: {one.remarks[0]}"
        return
    later = len(part.images_seen) - part.size
    yield (
        f"{name}: fitted to {part.size} snapshots up to {short_count(one.fitted_images)} images "
        f"(e = {until:g} is reached); {later} later ones up to "
        f"{short_count(part.images_seen[-1])} predicted"
    )
    yield from one.remarks
    yield from _table(HEAD, [_concept_row(row) for row in concepts_table([one]).to_dict("records")])
    scores = models_table([one]).to_dict("records")
    yield f"measured order: {scores[0]['measured_order']}"
    yield from _table(SCORES, [_score_row(row) for row in scores])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _concept_row(row: Any) -> tuple[str, ...]:
    is_fitted = not math.isnan(row["rate"])
    return (
        row["model"],
        row["concept"],
        _interval(row, "rate", "{:.3g}".format) if is_fitted else "",
        _interval(row, "start", "{:.2f}".format) if is_fitted else "",
        _interval(row, "crossing", _when),
        _interval(row, "measured", _when),
        "" if math.isnan(row["ratio"]) else _interval(row, "ratio", "{:.2f}".format),
        f"{row['rmse']:.3f}",
        f"{_turn(row['turn'])} ({_turn(row['turn_seen'])})",
    )


def _interval(row: Any, name: str, as_text: Any) -> str:
    value, low, high = (as_text(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    return value if value == low == high else f"{value} [{low}, {high}]"


def _when(images: float) -> str:
    return "never" if math.isinf(images) else "by the first" if images == 0 else short_count(images)


def _turn(images: float) -> str:
    return "no" if math.isnan(images) else short_count(images)


def _score_row(row: Any) -> tuple[str, ...]:
    words = {True: "right", False: "wrong", None: "undecided"}
    return (
        row["model"],
        f"{row['rmse']:.3f}",
        f"{row['skill_over_stays']:.2f}",
        f"{row['skill_over_line']:.2f}",
        f"{row['order']}: {words[row['order_is_right']]}",
    )


def _agreements(forecasts: Sequence[Forecast]) -> list[str]:
    """Return a line per level and model with the rank correlation over runs."""
    levels = sorted({one.part.measured.level for one in forecasts})
    names = [name for one in forecasts for found in one.predictions for name in [found.name]]
    lines, fewest = [], math.inf
    for level in levels:
        own = [one for one in forecasts if one.part.measured.level == level]
        for name in dict.fromkeys(name for name in names if name not in BASELINES):
            found = agreement(own, name)
            if found:
                runs, (rho, (low, high)) = found
                fewest = min(fewest, runs)
                interval = "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"
                value = "none, all are equal" if math.isnan(rho) else f"{rho:.2f}{interval}"
                lines.append(f"{name}, level {level:g}, {runs} runs: {value}")
    if not lines:
        return []
    few = [f"no intervals below {FEWEST_SEEDS} runs"] if fewest < FEWEST_SEEDS else []
    return ["", "rank correlation of predicted with measured times of e = 1/2", *lines, *few]


def forecast_data(forecasts: Sequence[Forecast], until: float) -> dict[str, Any]:
    """Return all that is printed as plain data; null: not a number, or infinite."""
    return {
        "until": until,
        "forecasts": [
            {
                "run": one.part.measured.run,
                "level": one.part.measured.level,
                "fitted_snapshots": one.part.size,
                "remarks": [*one.remarks],
                "models": _records(models_table([one])),
                "concepts": _records(concepts_table([one])),
            }
            for one in forecasts
        ],
    }


def _records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    rows = table.to_dict("records")
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
