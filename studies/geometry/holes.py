"""Holes of the code of a snapshot: Betti numbers, the scales on which they hold, and what passes
for noise."""

from itertools import combinations
from typing import Any

import numpy as np

from analysis.measures.homology import (
    FEWEST_POINTS,
    MOST_POINTS,
    TORUS,
    Persistence,
    bar_lengths,
    persistence,
)
from analysis.measures.structureless import holes_beyond, noise_line
from studies.geometry.measured import DRAWS
from studies.worlds.condition_grid import ConditionGrid

MOST_HALVES = 10


def has_surface(grid: ConditionGrid) -> bool:
    """Return whether the grid is one of two coordinates, so that its code is a surface."""
    return len(grid.features) == 2 and all(f.kind != "values" for f in grid.features)


def enough_points(grid: ConditionGrid) -> bool:
    """Return whether the grid has as many conditions as homology needs."""
    return len(grid.prompts) >= FEWEST_POINTS


def homology_row(codes: np.ndarray) -> dict[str, Any]:
    """Return the Betti numbers that hold over the widest range of scales, and the range of those of
    a torus, of the mean code and of halves of the noises; nothing of a code whose places are all
    alike.

    bars: lengths of the three longest bars of dimension 1, over the threshold. line: the longest
    that the same covariance without structure has. holes: how many bars are longer, where
    the code is a torus.
    """
    mean = codes.mean(0)
    if not np.ptp(mean, axis=0).any():
        return {}
    found = persistence(mean, MOST_POINTS)
    widest, torus = found.longest(), found.longest(TORUS)
    line = noise_line(mean, MOST_POINTS, rng=np.random.default_rng(DRAWS))
    lengths = bar_lengths(found.diagrams[1], found.threshold)
    bars = np.pad(lengths[:3], (0, max(0, 3 - len(lengths))))
    return {
        **({f"betti{i}": n for i, n in enumerate(widest.betti)} if widest else {}),
        "window": widest.ratio if widest else 1.0,
        "window_alive": bool(widest and widest.alive),
        "torus_window": torus_window(found),
        "torus_alive": bool(torus and torus.alive),
        **_of_halves(codes),
        **{f"bar{i + 1}": bar for i, bar in enumerate(bars)},
        "line": line,
        "holes": holes_beyond(line, found),
        "points": found.points,
    }


def torus_window(found: Persistence) -> float:
    """Return the ratio of the ends of the widest range with a torus's Betti numbers; 1: none."""
    window = found.longest(TORUS)
    return window.ratio if window else 1.0


def _of_halves(codes: np.ndarray) -> dict[str, Any]:
    """Return the least and largest range of a torus of halves of the noises, how many have one, and
    of how many."""
    windows = [torus_window(persistence(half.mean(0), MOST_POINTS)) for half in halves(codes)]
    return {
        "torus_window_low": min(windows),
        "torus_window_high": max(windows),
        "halves_with_torus": sum(window > 1 for window in windows),
        "halves": len(windows),
    }


def halves(codes: np.ndarray) -> list[np.ndarray]:
    """Return codes of half of the noise seeds: of every such half, or of MOST_HALVES at random."""
    seeds = list(combinations(range(len(codes)), len(codes) // 2))
    chosen = np.random.default_rng(DRAWS).permutation(len(seeds))[:MOST_HALVES]
    return [codes[list(seeds[i])] for i in sorted(chosen)]
