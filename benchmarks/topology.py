"""Time of persistent homology of 400 points, beside ripser.py's at equal limits.

    python benchmarks/topology.py      # one core, seconds; pip install -e '.[topology]' for ripser

Both compute homology to dimension 2 over Z/2, with edges up to the same length, from points to
diagrams. They take turns, so that other work on the machine slows both down. Seconds are of
processor time, medians. Without ripser only ours is timed. The last line is JSON: `seconds` of the
slowest cloud, `vs_ripser` the least ratio of ripser's time to ours, null without ripser.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from machine import machine

from analysis.measures.homology import DIMENSIONS, persistence
from analysis.measures.ideal_codes import (
    angles,
    clifford_torus,
    populations,
    solid_torus,
    with_noise,
)

SIDE, WIDTH = 20, 64  # of the grid of points, dimensions of their space
MAKERS = {
    "Clifford torus": clifford_torus,
    "3-D torus": solid_torus,
    "two populations": populations,
}
NOISE = (0.0, 0.2)  # root mean squared norm, over that of the points
LEAST = 1e-4  # of the threshold: ripser.py reads distances as float32
MOST_BARS = 5000  # of one dimension

Diagrams = Sequence[np.ndarray]
Ripser = Callable[..., Mapping[str, Diagrams]]


def clouds() -> dict[str, np.ndarray]:
    """Return clouds of 400 points, by what they are."""
    grid, found = angles(SIDE), {}
    for name, make in MAKERS.items():
        for noise in NOISE:
            code = with_noise(make(grid, grid), 1, WIDTH, noise, rng=np.random.default_rng(0))
            found[f"{name}, noise {noise:g}"] = code.reshape(SIDE**2, WIDTH)
    return found


def ripser() -> Ripser | None:
    """Return ripser.py's function; None where it is not installed."""
    try:
        from ripser import ripser as function
    except ImportError:
        return None
    return function


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def timed(points: np.ndarray, other: Ripser | None, rounds: int) -> tuple[float, float | None]:
    """Return median seconds of ours and of ripser.py, which take turns. Raises SystemExit where
    their diagrams differ."""
    ours = persistence(points)  # outside of the time: the first call imports
    limits = {"maxdim": DIMENSIONS - 1, "thresh": ours.threshold, "coeff": 2}
    if other and not alike(ours.diagrams, other(points, **limits)["dgms"], ours.threshold):
        raise SystemExit("the diagrams of ours and of ripser.py differ: times mean nothing")
    own, theirs = [], []
    for _ in range(rounds):
        own.append(seconds(lambda: persistence(points)))
        if other:
            theirs.append(seconds(lambda: other(points, **limits)))
    return float(np.median(own)), float(np.median(theirs)) if theirs else None


def alike(first: Diagrams, second: Diagrams, threshold: float) -> bool:
    """Return whether two diagrams have the same lengths of bars, those of next to nothing aside."""
    return all(
        np.allclose(lengths(one, threshold), lengths(other, threshold), rtol=0, atol=LEAST)
        for one, other in zip(first, second, strict=True)
    )


def lengths(diagram: np.ndarray, threshold: float) -> np.ndarray:
    """Return the lengths of bars as shares of the threshold, the longest first, and zeros."""
    found = (np.minimum(diagram[:, 1], threshold) - diagram[:, 0]) / threshold
    return np.pad(np.sort(found)[::-1], (0, MOST_BARS - len(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds, other = parser.parse_args().rounds, ripser()
    print(f"{machine()}; {rounds} rounds")
    if other is None:
        print(
            "ripser.py is not installed, so nothing to compare with: pip install -e '.[topology]'"
        )
    slowest, ratios = 0.0, []
    for name, points in clouds().items():
        own, theirs = timed(points, other, rounds)
        slowest = max(slowest, own)
        beside = f", ripser.py {theirs:.4f} s" if theirs else ""
        print(f"{name}: ours {own:.4f} s{beside}")
        ratios += [theirs / own] if theirs else []
    result = {"seconds": round(slowest, 4), "vs_ripser": round(min(ratios), 2) if ratios else None}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
