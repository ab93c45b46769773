"""Two ways of making the same images, compared image by image: paired differences of shares.

Of n pairs, `first` are right in the first way alone and `second` in the second alone. The interval
is Bonett and Price's (2012, Journal of Educational and Behavioral Statistics 37:479–488), a Wald
interval with one pair more of each kind:

    p₁ − p₂ ± z √((p₁ + p₂ − (p₁ − p₂)²) / (n + 2)),  p₁ = (first + 1) / (n + 2), p₂ likewise

Images are drawn, not training runs: an interval says what other noise would have changed.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

LEVELS = (0.95, 0.90)  # a 90 % interval inside ±δ is a test of equality within δ at 5 %
POOLED = "pooled"


def bonett_price_interval(
    first: float, second: float, n: float, level: float
) -> tuple[float, float]:
    """Of the difference of two paired shares, in [−1, 1].

    first, second: counts of discordant pairs of n, whole or not. level: of coverage, in (0, 1),
    which is kept from below: intervals of few discordant pairs are too wide rather than too narrow.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    p1, p2 = (first + 1) / (n + 2), (second + 1) / (n + 2)
    half = z * sqrt((p1 + p2 - (p1 - p2) ** 2) / (n + 2))
    return max(p1 - p2 - half, -1.0), min(p1 - p2 + half, 1.0)


def design_effect(difference: np.ndarray) -> float:
    """How many times the variance of its mean is what independent pairs would have (Kish 1965).

    difference: (n, m), of image i at m snapshots. Images are independent, snapshots of one are not:
    they start from the same noise. From 1, never below, to m, where an image's differences are all
    the same; m too where all are, which tell nothing of it.
    """
    m, variance = difference.shape[1], difference.var()
    return max(1.0, float(m * difference.mean(1).var() / variance)) if variance else float(m)


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
    """`paired_differences` as text, a line per row; first, second: what the two ways are called."""
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
