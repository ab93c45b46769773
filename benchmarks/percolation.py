"""Percolation: thresholds of square lattices against known ones, spanning of bumps, and the time.

    python benchmarks/percolation.py --out percolation     # one core, some minutes

Each lattice (4, 8 or 12 neighbors) is simulated on tori of 8 to 64 sites a side, where the first
winding of a cluster is recorded; finite-size scaling gives its threshold. Bumps of several widths
stand on a canvas of 32 × 32 px, one a pixel. --out draws `percolation.png` and `.pdf`. The last
line is JSON.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from machine import machine

from analysis.figures.percolation import percolation_figure
from analysis.figures.style import save_figure
from analysis.measures.finite_size import Threshold, collapse_gaps, finite_size_threshold
from analysis.measures.overlap import bump_reach, first_spans, reached_links
from analysis.measures.percolation import (
    first_windings,
    largest_clusters,
    random_ranks,
    torus_links,
)

KNOWN = {4: 0.592746, 8: 0.407254, 12: 0.28912}
SIZES = (8, 12, 16, 24, 32, 48, 64)
ONE_RUN = 1000  # sites a side
CANVAS, ORDERS = 32, 256
SIGMAS, TAUS = (0.5, 0.75, 1.0, 1.5, 2.0), (0.005, 0.05)


def threshold(neighbors: int, runs: int, rng: np.random.Generator) -> Threshold:
    """Return the threshold of a lattice from so many runs of every size."""
    first = {}
    for size in SIZES:
        links = torus_links(size, neighbors)
        first[size] = first_windings(links, random_ranks(runs, size**2, rng))
    return finite_size_threshold(first, rng=rng)


def collapse(neighbors: int, runs: int, at: float, rng: np.random.Generator) -> dict[int, float]:
    """Return how far the largest clusters of each size lie from the scaled curve of the others."""
    curves = {}
    for size in SIZES[2:]:
        kept = at + np.linspace(-1, 1, 17) * size**-0.75
        ranks, counts = random_ranks(runs, size**2, rng), np.round(kept * size**2).astype(np.int64)
        largest = largest_clusters(torus_links(size, neighbors), ranks, counts)
        curves[size] = counts / size**2, largest.mean(0) / size**2
    return collapse_gaps(curves, at)


def seconds_of_a_million(neighbors: int, rng: np.random.Generator) -> float:
    """Return how long one run of a million sites takes one core, links and order included."""
    start = time.process_time()
    first_windings(torus_links(ONE_RUN, neighbors), random_ranks(1, ONE_RUN**2, rng))
    return time.process_time() - start


def canvas() -> np.ndarray:
    """Return the centres of the tiling: float64 (n, 2), px."""
    return np.stack(np.meshgrid(*[np.arange(float(CANVAS))] * 2), -1).reshape(-1, 2)


def spanning(tau: float, rng: np.random.Generator) -> dict[float, list[float]]:
    """Return the fractions at which 10, 50 and 90 % of the orders span, by sigma."""
    found: dict[float, list[float]] = {}
    for sigma in SIGMAS:
        first = first_spans(canvas() / sigma, bump_reach(tau), ORDERS, rng)
        found[sigma] = np.quantile(first / CANVAS**2, [0.1, 0.5, 0.9]).round(4).tolist()
    return found


def growth(tau: float, kept: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the share of all bumps in the largest group, (orders, k), by sigma."""
    counts, found = np.maximum(1, np.round(kept * CANVAS**2).astype(np.int64)), {}
    for sigma in SIGMAS:
        links = reached_links(canvas() / sigma, bump_reach(tau))
        ranks = random_ranks(ORDERS // 4, CANVAS**2, rng)
        found[f"σ {sigma:g} px"] = largest_clusters(links, ranks, counts) / CANVAS**2
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="of each size of torus")
    parser.add_argument("--out", type=Path, help="name of the figure, without its ending")
    arguments = parser.parse_args()
    rng, found = np.random.default_rng(0), {}
    result: dict[str, float | list[float]] = {}
    print(f"{machine()}; {arguments.runs} runs of each size")
    for neighbors, known in KNOWN.items():
        start = time.process_time()
        found[neighbors] = threshold(neighbors, arguments.runs, rng)
        seconds = time.process_time() - start
        estimate, (low, high) = found[neighbors].estimate, found[neighbors].interval
        million = seconds_of_a_million(neighbors, rng)
        print(
            f"{neighbors:2d} neighbors: {estimate:.4f} [{low:.4f}, {high:.4f}], known {known}, "
            f"{seconds:.0f} s of one core; a million sites {million:.1f} s"
        )
        result[f"error_{neighbors}"] = round(estimate - known, 5)
        result[f"seconds_of_a_million_{neighbors}"] = round(million, 2)
    gaps = collapse(4, max(2, arguments.runs // 10), found[4].estimate, rng)
    print(
        f"collapse, largest gap by size: { ({size: round(gap, 3) for size, gap in gaps.items()}) }"
    )
    spans = {tau: spanning(tau, rng) for tau in TAUS}
    for tau, by_sigma in spans.items():
        print(f"overlap {tau}, kept at which 10, 50 and 90 % span, by sigma: {by_sigma}")
        result[f"halves_{tau}"] = [middle for _, middle, _ in by_sigma.values()]
    if arguments.out:
        draw(arguments.out, found, spans[TAUS[0]], rng)
    print(json.dumps(result))


def draw(path: Path, found: dict[int, Threshold], spans: dict, rng: np.random.Generator) -> None:
    """Write the figure, of the smaller overlap."""
    kept = np.linspace(0.005, 2 * max(middle for _, middle, _ in spans.values()), 60)
    shares = growth(TAUS[0], kept, rng)
    halves = dict(zip(shares, (middle for _, middle, _ in spans.values()), strict=True))
    named = {f"{n} neighbors": threshold for n, threshold in found.items()}
    known = {f"{n} neighbors": value for n, value in KNOWN.items()}
    save_figure(percolation_figure(kept, shares, halves, named, known), path)
    print(f"wrote {path}.png")


if __name__ == "__main__":
    main()
