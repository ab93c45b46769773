"""False alarms and power of what a study says over seeds, on synthetic runs with known answers.

Command: python benchmarks/false_alarms.py      (one core, some minutes)

Swings of images, shares of which are known; combinations that are products of their concepts, or
their minimum; distances that do not matter; rests that decay by a known law; seeds that share their
noise. Tables in Markdown.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from analysis.measures.cross_fitted import cross_fitted_swing
from analysis.measures.emergence import emergence
from analysis.measures.hierarchical import mean_over_seeds_of_shared_noise
from analysis.measures.swing_test import rising_runs
from analysis.tables.coordinates import Coordinate
from analysis.tables.terminal_rates import terminal_table
from studies.claims.synthetic.planted import paired_images

REPEATS = 400
TIMES = 18
IMAGES = (16, 64)
SNAPSHOTS = (15, 20, 30, 40)
SEEDS = (2, 3, 5, 8, 16)


def curves(times: int) -> dict[str, np.ndarray]:
    """Return chances by what they are, (times,)."""
    x = np.linspace(0, 1, times)
    dip = np.exp(-((x - 0.5) ** 2) / 0.02)
    return {
        "flat .5": np.full(times, 0.5),
        "flat .9": np.full(times, 0.9),
        "rising": 1 / (1 + np.exp(-12 * (x - 0.5))),
        "wiggles ±.05": 0.5 + 0.05 * np.sin(6 * np.pi * x),
        "dip .2": 0.9 - 0.2 * dip,
        "dip .3": 0.9 - 0.3 * dip,
        "dip .4": 0.9 - 0.4 * dip,
    }


def swing_rate(curve: np.ndarray, count: int, rho: float, rng: np.random.Generator) -> float:
    """Return how often a run swings by the cross-fitted rule."""
    found = []
    for _ in range(REPEATS):
        right = paired_images(curve, count, rho, rng)
        found.append(cross_fitted_swing(right, np.ones_like(right), rng=rng, num_draws=199).swings)
    return float(np.mean(found))


def rising_rate(curve: np.ndarray, count: int, rho: float, rng: np.random.Generator) -> float:
    """Return how often a run falls by more than the noise of its images."""
    values = np.array([-paired_images(curve, count, rho, rng) for _ in range(REPEATS)])
    return float(rising_runs(values, rng=rng, scale=1.0, num_draws=199).mean())


def emergence_rates(nested: bool, count: int, rng: np.random.Generator) -> list[float]:
    """Return how often the 95 % interval of a run's excess holds 0, and how often that of the
    advantage of the product lies above 0 and below 0.

    Three concepts in four combinations at 12 snapshots, learned alike; with luck of their own, or
    (nested) all the same.
    """
    p = np.repeat(np.linspace(0.3, 0.99, 12), 4)
    held, above, below = [], [], []
    for _ in range(REPEATS // 4):
        luck = rng.random((4, count, 1 if nested else 3))[np.arange(len(p)) % 4]
        right = (luck < p[:, None, None]).astype(float).repeat(3 if nested else 1, axis=2)
        draws = rng.multinomial(count, np.full(count, 1 / count), size=199)
        weights = np.concatenate([np.ones((1, count)), draws]) / count
        found = emergence(np.einsum("di,cik->dck", weights, right), weights @ right.min(2).T)
        advantage = found.minimum_error - found.product_error
        half = 1.96 * found.excess[1:].std(), 1.96 * advantage[1:].std()
        held.append(abs(found.excess[0]) <= half[0])
        above.append(advantage[0] > half[1])
        below.append(advantage[0] < -half[1])
    return [float(np.mean(one)) for one in (held, above, below)]


def sooner_alarm(seeds: int, shared: float, rng: np.random.Generator) -> float:
    """Return how often one of two equal distances is called learned sooner: its interval lies above
    0. Differences vary by .05 over seeds, and by .06 over noise.

    shared: the correlation over seeds of the noise, which the interval takes to be 1.
    """
    shape = (seeds, 10 * REPEATS)
    own = rng.normal(size=shape)
    noise = np.sqrt(shared) * rng.normal(size=shape[1]) + np.sqrt(1 - shared) * own
    means = 0.05 * rng.normal(size=shape) + 0.06 * noise
    low, _ = mean_over_seeds_of_shared_noise(means, np.full(shape[1], 0.06**2))
    return float(np.mean(low > 0))


def shared_coverage(seeds: int, noise: float, rng: np.random.Generator) -> float:
    """Return the coverage of the mean over seeds that vary by .1 and share their noise."""
    cells = 4 * REPEATS
    means = rng.normal(0, noise, cells) + rng.normal(0, 0.1, (seeds, cells))
    low, high = mean_over_seeds_of_shared_noise(means, np.full(cells, noise**2))
    return float(np.mean((low <= 0) & (0 <= high)))


def laws(
    snapshots: int, law: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> list[float]:
    """Return how often the rest of a run of 256 images is called exponential, power and undecided,
    of those that are judged; and the share of those."""
    seen = np.arange(1.0, snapshots + 1)
    nothing = pd.DataFrame([{"instrument": "sure", "measure": "c", "end": np.nan, "swings": False}])
    called = []
    for _ in range(REPEATS // 2):
        right = paired_images(1 - law(seen / snapshots), 256, 0.5, rng)
        everywhere = np.ones(snapshots, dtype=bool)
        one = Coordinate("r", "sure", "c", seen, right, np.ones_like(right), everywhere)
        called.append(terminal_table([one], nothing)["law"].iloc[0])
    judged = [law for law in called if law]
    shares = [
        np.mean([one == law for one in judged]) for law in ("exponential", "power", "undecided")
    ]
    return [*map(float, shares), len(judged) / len(called)]


def print_table(title: str, columns: Iterable[str], rows: dict[str, list[float]]) -> None:
    print(f"\n{title}\n\n| | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(next(iter(rows.values())))) + "|")
    for name, values in rows.items():
        print(
            f"| {name} | " + " | ".join(f"{v:.3f}".lstrip("0") for v in values) + " |", flush=True
        )


def main() -> None:
    rng = np.random.default_rng(0)
    rows = {}
    for name, curve in curves(TIMES).items():
        for rho in (0.0, 0.8):
            rows[f"{name}, AR(1) {rho:g}"] = [swing_rate(curve, n, rho, rng) for n in IMAGES]
    print_table("Runs that swing, cross-fitted", [f"{n} images" for n in IMAGES], rows)
    long = {name: [swing_rate(c, 64, 0.8, rng)] for name, c in curves(60).items()}
    print_table("The same at 60 snapshots, AR(1) .8", ["64 images"], long)
    beyond = {
        name: [rising_rate(curve, 64, rho, rng) for rho in (0.0, 0.8)]
        for name, curve in curves(TIMES).items()
    }
    print_table("Runs that fall beyond noise, 64 images", ["AR(1) 0", "AR(1) .8"], beyond)
    emerged = {
        f"{name}, {n} images": emergence_rates(nested, n, rng)
        for name, nested in (("product", False), ("minimum", True))
        for n in (16, 64)
    }
    columns = ["excess holds 0", "product better", "minimum better"]
    print_table("Concepts and combinations, one run", columns, emerged)
    of_seeds = [f"{n} seeds" for n in SEEDS]
    sooner = {
        f"noise shared by {rho:g}": [sooner_alarm(n, rho, rng) for n in SEEDS]
        for rho in (0.0, 0.5, 1.0)
    }
    print_table("Equal distances of which one is called sooner", of_seeds, sooner)
    shared = {
        f"noise ± {noise:g}": [shared_coverage(n, noise, rng) for n in SEEDS]
        for noise in (0.0, 0.03, 0.1)
    }
    print_table("Seeds that vary by .1 and share their noise", of_seeds, shared)
    planted = {
        "exponential": lambda x: 0.9 * np.exp(-2.5 * x),
        "power": lambda x: 0.9 * (x / x[0]) ** -0.7,
        "exponential to .1": lambda x: 0.1 + 0.8 * np.exp(-4 * x),
    }
    decays = {
        f"{name}, {n} snapshots": laws(n, law, rng)
        for name, law in planted.items()
        for n in SNAPSHOTS
    }
    print_table("Rests", ["exponential", "power", "undecided", "judged"], decays)


if __name__ == "__main__":
    main()
