"""Obedience and coordinates of the denoiser over the seeds of a variant, by level.

Scenes and noise are the same in all runs of a world, so other scenes would move every seed alike:
the interval holds the spread over seeds, and that of the scenes beside it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.hierarchical import mean_over_seeds_of_shared_noise
from analysis.tables.denoiser import obedience_draws, rule_clock

KEYS = ["images_seen", "split", "level", "concept"]
VALUES = ("obedience", "coordinate")


def obedience_over_seeds(runs: Sequence[pd.DataFrame], variant: str) -> pd.DataFrame:
    """Mean obedience and coordinate over the runs of one variant.

    runs: rows of the table `denoiser` of each, with the same scenes.

    Returns variant, images_seen, split, level, concept; obedience, low, high; coordinate,
    coordinate_low, coordinate_high; seeds (that have this snapshot and level) and of_seeds. Rows
    that no run has a number for are left out. Raises ValueError as `denoiser.obedience_curves`.
    """
    drawn = [obedience_draws(rows) for rows in runs]
    keys = dict.fromkeys(key for own in drawn for key in own)
    rows = []
    for key in keys:
        there = np.array([own[key] for own in drawn if key in own])  # (seeds, 2, 1 + draws)
        names = dict(zip(KEYS, key, strict=True))
        ends = {
            n: v
            for name, one in zip(VALUES, there.swapaxes(0, 1), strict=True)
            for n, v in _mean(name, one)
        }
        rows.append(
            {"variant": variant, **names, **ends, "seeds": len(there), "of_seeds": len(runs)}
        )
    return pd.DataFrame(rows)


def _mean(name: str, drawn: np.ndarray) -> Iterator[tuple[str, float]]:
    """drawn: (seeds, 1 + draws), the same draws of scenes in every seed."""
    means, shared = drawn[:, :1], drawn[:, 1:].mean(0).var(keepdims=True)
    low, high = mean_over_seeds_of_shared_noise(means, shared)
    before = "" if name == "obedience" else f"{name}_"
    yield name, float(means.mean())
    yield f"{before}low", float(low[0])
    yield f"{before}high", float(high[0])


def obedience_times(rows: pd.DataFrame) -> pd.DataFrame:
    """When a word is obeyed by half on held-out combinations, of one run, per level, with the names
    that `variants.typical_times` and `variants.signal_laws` know.

    Returns run, level, measure (the concept), images_seen, after, by, low, high.
    """
    clock = rule_clock(rows).rename(columns={"concept": "measure", "before": "by"})
    return clock[["run", "level", "measure", "images_seen", "after", "by", "low", "high"]]


def refusals(rows: pd.DataFrame) -> dict[tuple[float, str], str]:
    """Return why a level of a concept has no numbers on held-out combinations, of those that have
    none."""
    refused: Any = rows[(rows["split"] == "held_out") & rows["refused"].notna()]
    first = refused.groupby(["level", "concept"])["refused"].first()
    return {(float(level), str(concept)): str(why) for (level, concept), why in first.items()}
