"""Geometry of the readings of a snapshot: rows of tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from analysis.measures.displacements import displacements, spectrum
from analysis.measures.geometry import (
    NAMES,
    Geometry,
    measure_geometry,
    one_circle,
    shape_of,
)
from analysis.measures.homology import (
    FEWEST_POINTS,
    MOST_POINTS,
    TORUS,
    pairwise_distances,
    persistence,
)
from analysis.measures.ideal_codes import IDEALS, angles, with_noise
from analysis.measures.linear_readout import FEWEST_ROWS, readout_r2
from studies.worlds.condition_grid import ConditionGrid, Feature

Rows = list[dict[str, Any]]

DRAWS = 0  # seed of random steps and folds: the same for all sites, levels, steps and runs
MEASURED = "measured"


def pair_codes(codes: np.ndarray, grid: ConditionGrid, pair: tuple[int, int]) -> np.ndarray:
    """Return codes (seeds, a, b, d) of two features, the mean over all others."""
    shaped = codes.reshape(len(codes), *grid.shape, codes.shape[-1])
    others = tuple(1 + i for i in range(len(grid.shape)) if i not in pair)
    return shaped.mean(others) if others else shaped


def geometry_rows(codes: np.ndarray, grid: ConditionGrid) -> Iterator[tuple[dict, Geometry]]:
    """Yield a row for every pair of features: all numbers with their 95 % intervals over noise
    seeds, and the verdict."""
    for pair in grid.pairs:
        x, y = (grid.features[place] for place in pair)
        found = measure_geometry(pair_codes(codes, grid, pair))
        numbers = {name: found.numbers[name] for name in NAMES}
        for name, interval in found.intervals.items():
            numbers |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        yield (
            {
                "first": x.name,
                "second": y.name,
                "verdict": shape_of(found.intervals, most_of(x, y)),
                **numbers,
                "noise": found.noise,
                "naive_pr": found.naive_pr,
            },
            found,
        )


def most_of(x: Feature, y: Feature) -> tuple[float, float]:
    """Return up to which participation ratio each feature takes one circle."""
    return one_circle(len(x.values), x.kind), one_circle(len(y.values), y.kind)


def readouts(codes: np.ndarray, grid: ConditionGrid) -> dict[str, float]:
    """Return R² of a linear readout by feature; nan of grids with too few conditions."""
    mean = codes.mean(0, dtype=np.float64)
    if len(mean) < FEWEST_ROWS:
        return {feature.name: float("nan") for feature in grid.features}
    return {
        feature.name: readout_r2(mean, grid.targets(i), rng=np.random.default_rng(DRAWS))
        for i, feature in enumerate(grid.features)
    }


def has_surface(grid: ConditionGrid) -> bool:
    """Return whether the grid is one of two coordinates, so that its code is a surface."""
    return len(grid.features) == 2 and all(f.kind != "values" for f in grid.features)


def homology_row(codes: np.ndarray) -> dict[str, Any]:
    """Return the Betti numbers that hold over the widest range of scales, and the range of those of
    a torus, of the mean code; nothing of a code whose places are all alike.

    bars: lengths of the three longest bars of dimension 1, over the threshold. line: how long a bar
    of the noise can be, by the largest difference of a distance between both halves of the seeds.
    """
    mean = codes.mean(0)
    if not np.ptp(mean, axis=0).any():
        return {}
    found = persistence(mean, MOST_POINTS)
    widest, torus = found.longest(), found.longest(TORUS)
    births, deaths = found.diagrams[1].T
    lengths = np.sort(np.minimum(deaths, found.threshold) - births)[::-1]
    bars = np.pad(lengths[:3] / found.threshold, (0, max(0, 3 - len(lengths))))
    return {
        **({f"betti{i}": n for i, n in enumerate(widest.betti)} if widest else {}),
        "window": widest.ratio if widest else 1.0,
        "window_alive": bool(widest and widest.alive),
        "torus_window": torus.ratio if torus else 1.0,
        "torus_alive": bool(torus and torus.alive),
        **{f"bar{i + 1}": bar for i, bar in enumerate(bars)},
        "line": noise_line(codes) / found.threshold,
        "points": found.points,
    }


def noise_line(codes: np.ndarray) -> float:
    """Return the largest difference of any distance between the mean codes of both halves of the
    seeds. Diagrams of the two differ by no more (stability, in the bottleneck distance)."""
    middle = len(codes) // 2
    halves = [
        pairwise_distances(half.mean(0, dtype=np.float64))
        for half in (codes[:middle], codes[middle:])
    ]
    return float(np.abs(halves[0] - halves[1]).max())


def displacement_rows(codes: np.ndarray, grid: ConditionGrid) -> Rows:
    """Return a row for every pair of features and kind of step: mean and quantiles of cosines."""
    rows: Rows = []
    for pair in grid.pairs:
        x, y = (grid.features[place] for place in pair)
        found = displacements(pair_codes(codes, grid, pair), rng=np.random.default_rng(DRAWS))
        rows += _cosine_rows(found, {"code": MEASURED, "first": x.name, "second": y.name})
    return rows


def ideal_rows(grid: ConditionGrid, seeds: int, width: int, noise: float) -> Rows:
    """Return rows as `displacement_rows` of ideal codes on the same grid, of the same width and
    noise; of words, which have no circle, of the one-hot code alone."""
    rows: Rows = []
    for pair in grid.pairs:
        x, y = (grid.features[place] for place in pair)
        own = {
            n: f for n, f in IDEALS.items() if "values" not in (x.kind, y.kind) or n == "one-hot"
        }
        turns = [angles(len(f.values), f.kind == "circle") for f in (x, y)]
        for name, ideal in own.items():
            code, rng = ideal(*turns), np.random.default_rng(DRAWS)
            noisy = with_noise(code, seeds, max(width, code.shape[-1]), noise, rng=rng)
            found = displacements(noisy, rng=np.random.default_rng(DRAWS))
            rows += _cosine_rows(found, {"code": name, "first": x.name, "second": y.name})
    return rows


def _cosine_rows(found: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Rows:
    rows: Rows = []
    for steps, cosines in found.items():
        read = cosines[np.isfinite(cosines)]
        row = {**about, "steps": steps, "unread": 1 - len(read) / len(cosines)}
        if len(read):
            low, quarter, median, third, high = np.quantile(read, [0.05, 0.25, 0.5, 0.75, 0.95])
            row |= {"mean": read.mean(), "q05": low, "q25": quarter, "q50": median}
            row |= {"q75": third, "q95": high}
        rows.append(row)
    return rows


def spectrum_rows(codes: np.ndarray) -> Rows:
    """Return a row for each of the first components: its share of the variance, cross-validated."""
    shares = spectrum(codes[:, :, None])
    return [{"component": i + 1, "share": share} for i, share in enumerate(shares)]


def enough_points(grid: ConditionGrid) -> bool:
    """Return whether the grid has as many conditions as homology needs."""
    return len(grid.prompts) >= FEWEST_POINTS
