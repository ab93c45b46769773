"""Two ways of making the same images, compared image by image: paired differences of shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.paired import bonett_price_interval, design_effect

LEVELS = (0.95, 0.90)  # a 90 % interval inside ±δ is a test of equality within δ at 5 %
POOLED = "pooled"


def paired_differences(right: pd.DataFrame, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """A row per step and, of several, a last one of all, pooled.

    right: bool columns `first` and `second`; its index has the step and what numbers images, the
        same at every step. Pooled, counts are divided by their `design_effect` for the interval.

    Returns step (a number or "pooled"), pairs, first and second (shares right), first_alone and
    second_alone (counts), difference, and low and high of each level, such as low_95.
    """
    by_step: Any = right.sort_index().astype(int).groupby("step")
    steps = {int(step): rows[["first", "second"]].to_numpy()[:, None] for step, rows in by_step}
    rows = [_row(step, pairs, levels) for step, pairs in steps.items()]
    pooled = [_row(POOLED, np.concatenate([*steps.values()], axis=1), levels)]
    return pd.DataFrame(rows + (pooled if len(rows) > 1 else []))


def _row(step: int | str, right: np.ndarray, levels: Sequence[float]) -> dict[str, Any]:
    """right: 0 or 1, (images, snapshots, ways)."""
    difference = right[..., 0] - right[..., 1]
    first, second, n = int((difference > 0).sum()), int((difference < 0).sum()), difference.size
    row: dict[str, Any] = {"step": step, "pairs": n}
    row |= {"first": float(right[..., 0].mean()), "second": float(right[..., 1].mean())}
    row |= {"first_alone": first, "second_alone": second, "difference": (first - second) / n}
    effect = design_effect(difference)
    for level in levels:
        low, high = bonett_price_interval(first / effect, second / effect, n / effect, level)
        row |= {f"low_{100 * level:.0f}": low, f"high_{100 * level:.0f}": high}
    return row


def format_differences(differences: pd.DataFrame, first: str, second: str) -> str:
    """Text of `paired_differences`, a line per row; first, second: what the two ways are called."""
    table = pd.DataFrame(
        {
            "step": differences["step"].astype(str),
            "pairs": differences["pairs"],
            first: differences["first"].map("{:.3f}".format),
            second: differences["second"].map("{:.3f}".format),
            "difference": differences["difference"].map("{:+.3f}".format),
            **{f"{100 * level:.0f} % interval": _texts(differences, level) for level in LEVELS},
        }
    )
    return table.to_string(index=False)


def _texts(differences: pd.DataFrame, level: float) -> list[str]:
    low, high = (differences[f"{end}_{100 * level:.0f}"] for end in ("low", "high"))
    return [f"[{a:+.3f}, {b:+.3f}]" for a, b in zip(low, high, strict=True)]
