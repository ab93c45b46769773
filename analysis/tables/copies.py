"""Copies among generated images: rows of the table `copies` in, the copied share out.

An image counts as a copy if its nearest training image is less than a third as far away as the
second nearest (arXiv:2505.17638 and others before it).
"""

import numpy as np
import pandas as pd

from analysis.measures.intervals import binomial_bounds
from analysis.tables.denoiser import HALF, crossing
from analysis.tables.trajectory import BASELINES

COPIED = 1 / 3  # of the distance to the second nearest training image
NUM_DRAWS = 499
_SNAPSHOT = ["run", "step", "images_seen"]


def copied(copies: pd.DataFrame) -> pd.Series:
    """Whether each image is a copy; bool."""
    return copies["nearest"] < COPIED * copies["second_nearest"]


def copied_shares(copies: pd.DataFrame) -> pd.DataFrame:
    """Share of copies per snapshot and split, baselines too, with its interval over noise.

    Returns run, step, images_seen, split, copied, low, high (the last three in [0, 1]).
    """
    groups = copied(copies).groupby([copies[key] for key in (*_SNAPSHOT, "split")])
    sums, counts = groups.sum().to_numpy(float), groups.size().to_numpy(float)
    low, high = binomial_bounds(sums, counts)
    table = groups.size().index.to_frame(index=False)
    return table.assign(copied=sums / counts, low=low, high=high)


def memory_clock(copies: pd.DataFrame, threshold: float = HALF) -> pd.DataFrame:
    """Clock of memory: the images seen when half of all generated images are copies.

    As `analysis.tables.denoiser.rule_clock`, its interval over images: those that every snapshot
    has are drawn anew, the same at all of them.

    Returns run, images_seen, low, high, after, before.
    """
    own = copies[~copies["run"].isin(BASELINES) & (copies["images_seen"] > 0)]
    found = []
    for run, rows in own.groupby("run", sort=True):
        images = rows.assign(copied=copied(rows).astype(float)).pivot_table(
            index="images_seen", columns=["combination", "prompt", "sample"], values="copied"
        )
        whole = images.dropna(axis="columns").sort_index()
        found.append({"run": run, **_clock(whole, threshold)})
    columns = ["run", "images_seen", "low", "high", "after", "before"]
    return pd.DataFrame(found, columns=columns)


def _clock(images: pd.DataFrame, threshold: float) -> dict[str, float]:
    """images: 1 for a copy, else 0; a row per snapshot, a column per image."""
    count = images.shape[1]
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), NUM_DRAWS)
    weights = np.concatenate([np.ones((1, count)), draws]) / count
    return crossing(images.index.to_numpy(float), weights @ images.to_numpy().T, threshold)
