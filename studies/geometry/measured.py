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
from analysis.measures.ideal_codes import IDEALS, angles, with_noise
from analysis.measures.linear_readout import FEWEST_ROWS, readout_r2
from studies.worlds.condition_grid import ConditionGrid, Feature

Rows = list[dict[str, Any]]

DRAWS = 0  # seed of steps, folds, turns, halves: the same for all sites, levels, steps and runs
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


def left_out_rows(found: Geometry) -> Rows:
    """Return a row for every noise seed that is left out: the numbers without it."""
    seeds = len(next(iter(found.left_out.values())))
    return [
        {"left_out": seed, **{name: values[seed] for name, values in found.left_out.items()}}
        for seed in range(seeds)
    ]


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
