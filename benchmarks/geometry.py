"""Where the geometry of a code stops being seen: known manifolds, with noise added until it fails.

Command: python benchmarks/geometry.py      (one core, some minutes)

Codes are on a 16×16 grid in 256 dimensions, read with 6 noises; noise is the root mean squared norm
of a reading's noise over that of the code. Tables in Markdown, and one line of JSON at the end.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from analysis.measures.geometry import Shape, measure_geometry, one_circle, shape_of
from analysis.measures.homology import TORUS, loop_lengths, persistence
from analysis.measures.ideal_codes import (
    angles,
    clifford_torus,
    conjunctive,
    populations,
    shared_plane,
    solid_torus,
    with_noise,
)
from analysis.measures.structureless import holes_beyond, noise_line

GRID, WIDTH, SEEDS = 16, 256, 6
NOISE = (0.5, 1.0, 2.0, 4.0, 8.0)
TORUS_NOISE = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the mean code that homology sees
MANIFOLDS: Mapping[str, tuple[Any, Shape]] = {  # what makes a code of angles, what it is
    "3-D torus": (solid_torus, "coupled"),
    "conjunctive": (conjunctive, "coupled"),
    "one plane": (shared_plane, "additive-but-shared"),
    "Clifford torus": (clifford_torus, "factorized"),
    "two populations": (populations, "hyper-factorized"),
}


def gaussian(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise, of a like variance in all dimensions."""
    return rng.normal(size=(GRID**2, dimensions))


def decaying(rng: np.random.Generator) -> np.ndarray:
    """Return noise of a few large and many small dimensions."""
    return gaussian(WIDTH, rng) / np.sqrt(np.arange(1, WIDTH + 1))


def even(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Return places in a square, or a cube."""
    return rng.random((GRID**2, dimensions))


def cloud(name: str, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return the places of a manifold, in noise."""
    code = MANIFOLDS[name][0](angles(GRID), angles(GRID))
    return with_noise(code, 1, 64, noise, rng=rng).reshape(GRID**2, 64)


def sheet(noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return the code of two features with ends, which bends and has no hole, in noise."""
    half = angles(GRID, periodic=False)
    return with_noise(clifford_torus(half, half), 1, 64, noise, rng=rng).reshape(GRID**2, 64)


Cloud = Callable[[np.random.Generator], np.ndarray]  # of 256 points
NO_HOLES: Mapping[str, Cloud] = {
    "Gaussian, 2 dimensions": partial(gaussian, 2),
    "Gaussian, 4 dimensions": partial(gaussian, 4),
    "Gaussian, 64 dimensions": partial(gaussian, 64),
    "Gaussian, variances 1, 1/2, 1/3 and so on": decaying,
    "even in a square": partial(even, 2),
    "even in a cube": partial(even, 3),
    "sheet": partial(sheet, 0.0),
    "sheet, noise .2": partial(sheet, 0.2),
}
HOLES: Mapping[str, Cloud] = {
    f"{name}, noise {noise:g}": partial(cloud, name, noise)
    for name in ("3-D torus", "Clifford torus")
    for noise in TORUS_NOISE
}


def false_alarms(make: Cloud, repeats: int) -> int:
    """Return how many clouds, of so many, have a bar of dimension 1 beyond their line."""
    found = 0
    for i in range(repeats):
        points = make(np.random.default_rng(i))
        line = noise_line(points, rng=np.random.default_rng([i, 1]))
        found += loop_lengths(points).max(initial=0) > line
    return int(found)


def holes(make: Cloud, repeats: int) -> list[int]:
    """Return how many holes of their Betti numbers pass the line, of so many clouds."""
    found = []
    for i in range(repeats):
        points = make(np.random.default_rng(i))
        line = noise_line(points, rng=np.random.default_rng([i, 1]))
        found.append(holes_beyond(line, persistence(points)))
    return found


def told(name: str, noise: float, repeats: int) -> dict[str, int]:
    """Return how often a manifold is told rightly, told wrongly and left undecided."""
    make, word = MANIFOLDS[name]
    code, most = make(angles(GRID), angles(GRID)), (one_circle(GRID, "circle"),) * 2
    words: list[str] = [
        shape_of(
            measure_geometry(
                with_noise(code, SEEDS, WIDTH, noise, rng=np.random.default_rng([i, 1]))
            ).intervals,
            most,
        )
        for i in range(repeats)
    ]
    right, undecided = words.count(word), words.count("undecided")
    return {"right": right, "wrong": repeats - right - undecided, "undecided": undecided}


def covered(seeds: int, repeats: int) -> float:
    """Return how often the 95 % interval of κ of a 3-D torus holds ½, in noise of norm 2."""
    code = solid_torus(angles(GRID), angles(GRID))
    held = 0
    for i in range(repeats):
        codes = with_noise(code, seeds, 64, 2.0, rng=np.random.default_rng([i, seeds]))
        low, high = measure_geometry(codes).intervals["kappa"]
        held += low <= 0.5 <= high
    return held / repeats


def torus_window(name: str, noise: float) -> float:
    """Return the ratio of the ends of the scales on which a torus is seen; 1: none."""
    code = MANIFOLDS[name][0](angles(20), angles(20))
    points = with_noise(code, 1, 64, noise, rng=np.random.default_rng(0))[0].reshape(400, 64)
    window = persistence(points).longest(TORUS)
    return window.ratio if window else 1.0


def table(head: Sequence[str], rows: Mapping[str, Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {name} | {' | '.join(map(str, row))} |" for name, row in rows.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    found = {name: {noise: told(name, noise, repeats) for noise in NOISE} for name in MANIFOLDS}
    cells = {
        name: [f"{c['right']}, {c['wrong']}, {c['undecided']}" for c in row.values()]
        for name, row in found.items()
    }
    print(f"Verdicts right, wrong, undecided, of {repeats}, by noise:\n")
    print(table(["code", *map(str, NOISE)], cells))
    windows = {
        n: [torus_window(n, noise) for noise in TORUS_NOISE]
        for n in ("3-D torus", "Clifford torus")
    }
    print("\nRatio of the scales with Betti numbers (1, 2, 1), by noise of the mean code:\n")
    print(
        table(
            ["code", *map(str, TORUS_NOISE)],
            {n: [f"{w:.2f}" for w in row] for n, row in windows.items()},
        )
    )
    print(f"\nClouds without a hole that have a bar beyond the line, of {20 * repeats}:\n")
    alarms = {name: [false_alarms(make, 20 * repeats)] for name, make in NO_HOLES.items()}
    print(table(["cloud", "alarms"], alarms))
    print(f"\nTori whose two holes pass the line, of {repeats}:\n")
    seen = {name: [holes(make, repeats).count(2)] for name, make in HOLES.items()}
    print(table(["cloud", "both holes"], seen))
    coverage = {seeds: covered(seeds, 10 * repeats) for seeds in (3, 4, 6)}
    print(f"\nIntervals of κ that hold the truth, by noises: {coverage}\n")
    wrong = sum(cell["wrong"] for row in found.values() for cell in row.values())
    print(json.dumps({"wrong": wrong, "of": repeats * len(NOISE) * len(MANIFOLDS)}))


if __name__ == "__main__":
    main()
