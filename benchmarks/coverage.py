"""Coverage of the project's 95 % intervals: how often do they hold the truth?

Command: python benchmarks/coverage.py      (one core, some minutes)

Shares and paired differences are summed exactly over all that can come out; the rest is simulated,
whose standard errors are printed beside. Tables in Markdown, and one line of JSON at the end.
"""

import json
from collections.abc import Callable, Iterable

import numpy as np
from scipy import stats
from scipy.special import logit

from analysis.measures.hierarchical import mean_over_seeds_and_noise
from analysis.measures.intervals import binomial_bounds, mean_over_seeds
from analysis.measures.obedience import obedience, redrawn
from analysis.measures.paired import bonett_price_interval
from analysis.measures.swing_test import mean_swing_test
from theory.curve_fits import fit_curves
from theory.learning_curves import ALONE, ONE_LAYER, CurveModel

IMAGES = (8, 16, 32, 64, 128, 384)
CHANCES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
DISCORDANT = ((0.05, 0.05), (0.01, 0.01), (0.06, 0.02), (0.1, 0.0), (0.2, 0.05), (0.3, 0.1))
REPEATS = 4000
SEEDS = (8, 12, 16, 24, 32, 64)
FEW_SEEDS = (2, 3, 5, 8, 16, 32)
IMAGES_OF_A_SEED = 64
ACCURACIES = ((0.6, 0.0), (0.6, 0.08), (0.9, 0.05), (0.98, 0.02), (1.0, 0.0))  # mean, spread
TIMES = 40
SCENES = (8, 16, 24, 48, 96)
FITTED = {
    ONE_LAYER.name: (ONE_LAYER, (np.log(0.3), np.log(0.1), 0.02, -0.01)),
    ALONE.name: (ALONE, (np.log(1.8), np.log(1.2), logit(0.02), logit(0.03))),
}  # models of two concepts, which reach .3 or less in the fitted part
SNAPSHOT_NOISE, SCENE_NOISE = 0.015, 0.1  # of obedience; as a share of it, the same at all times

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
SPREADS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "uniform": (lambda rng, shape: rng.uniform(size=shape), 0.5),
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0),
}


def share_coverage(n: int, chance: float) -> float:
    """Return the coverage of n images with one chance, exactly."""
    counts = np.arange(n + 1.0)
    low, high = binomial_bounds(counts, np.full(n + 1, float(n)))
    return float(stats.binom.pmf(counts, n, chance)[(low <= chance) & (chance <= high)].sum())


def mixed_coverage(images: int, chances: np.ndarray, rng: np.random.Generator) -> float:
    """Return the coverage of combinations with unlike chances, `images` each."""
    sums = rng.binomial(images, chances, (REPEATS, len(chances))).sum(1).astype(float)
    low, high = binomial_bounds(sums, np.full(REPEATS, float(images * len(chances))))
    return _share(low, high, chances.mean())


def path_coverage(images: int, mean: float, spread: float, rng: np.random.Generator) -> float:
    """Return the coverage of the mean of `images` probabilities. spread: small of an instrument
    that is mostly sure."""
    sums = rng.beta(mean * spread, (1 - mean) * spread, (REPEATS, images)).sum(1)
    return _share(*binomial_bounds(sums, np.full(REPEATS, float(images))), mean)


def paired_coverage(n: int, first: float, second: float) -> float:
    """Return the coverage of n pairs, exactly. first, second: chances that one of a pair alone is
    right."""
    counts = np.array([(f, s) for f in range(n + 1) for s in range(n + 1 - f)])
    rest = n - counts.sum(1, keepdims=True)
    weights = stats.multinomial.pmf(
        np.hstack([counts, rest]), n, (first, second, 1 - first - second)
    )
    likely = weights > 1e-9  # what is left out sums to less than 1e-4
    ends = np.array([bonett_price_interval(f, s, n, 0.95) for f, s in counts[likely]])
    inside = (ends[:, 0] <= first - second) & (first - second <= ends[:, 1])
    return float(weights[likely][inside].sum())


def seed_coverage(draw: Draw, truth: float, seeds: int, rng: np.random.Generator) -> float:
    """Return the coverage of the mean of one value a seed."""
    values = draw(rng, (REPEATS // 4, seeds))
    ends = np.array([mean_over_seeds(v, rng=rng, num_draws=999) for v in values])
    return _share(ends[:, 0], ends[:, 1], truth)


def obedience_coverage(scenes: int, evenness: float, rng: np.random.Generator) -> float:
    """Return the coverage of an obedience of .4. evenness: shape of the gamma distribution of how
    far scenes move the ideal answer; a scene's response varies about its share of that."""
    ideal = rng.gamma(evenness, size=(REPEATS // 4, scenes)) / evenness
    response = 0.4 * ideal + 0.3 * np.sqrt(ideal) * rng.normal(size=ideal.shape)
    groups = np.zeros(scenes, dtype=int)
    drawn = [
        obedience(redrawn(groups, 499, rng=rng), *both)
        for both in zip(response, ideal, strict=True)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    return _share(low, high, 0.4)


def seed_and_noise_coverage(
    mean: float, spread: float, seeds: int, rng: np.random.Generator
) -> float:
    """Return the coverage of the mean accuracy over seeds, each read off 64 images."""
    chance = rng.normal(mean, spread, (REPEATS // 4, 100, seeds)).clip(0, 1)
    truth, chance = float(chance.mean()), chance[:, 0].T
    n = np.full(chance.shape, float(IMAGES_OF_A_SEED))
    read = rng.binomial(IMAGES_OF_A_SEED, chance) / n
    noise = binomial_bounds((read * n).sum(0), n.sum(0))
    variances = read * (1 - read) / n
    return _share(*mean_over_seeds_and_noise(read, variances, noise, rng=rng, num_draws=999), truth)


def false_alarms(runs: int, rho: float, rng: np.random.Generator) -> float:
    """Return how often `mean_swing_test` calls flat curves in AR(1) noise rising, at a level of 5
    %."""
    noise = rng.normal(size=(REPEATS // 4, runs, TIMES))
    for j in range(1, TIMES):
        noise[..., j] = rho * noise[..., j - 1] + np.sqrt(1 - rho**2) * noise[..., j]
    p = [mean_swing_test(0.5 + 0.03 * curves, rng=rng, num_draws=399).p for curves in noise]
    return float(np.mean(np.array(p) <= 0.05))


def fit_coverage(
    model: CurveModel, parameters: tuple[float, ...], snapshots: float, scenes: float
) -> float:
    """Return the coverage of the rates of a model that is fitted to eight snapshots of two curves.

    snapshots, scenes: noise, of each snapshot alone and of the scenes that all of them share.
    """
    rng, t, held = np.random.default_rng(0), np.linspace(0, 1, 8), []
    e, rates = model.curves(np.array([parameters]), t)[0], np.exp(parameters[:2])
    for _ in range(REPEATS // 40):
        deviations = rng.normal(size=(100, 2, 1)) * scenes * e
        moved = e + rng.normal(size=(2, 1)) * scenes * e + rng.normal(size=e.shape) * snapshots
        errors = np.full(e.shape, SNAPSHOT_NOISE)
        fit = fit_curves(model, t, moved, errors, deviations, rng=rng)
        low, high = np.quantile(fit.rates[1:], [0.025, 0.975], axis=0)
        held.append((low <= rates) & (rates <= high))
    return float(np.mean(held))


def _share(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(np.mean((low <= truth) & (truth <= high)))


def print_table(title: str, columns: Iterable[str], rows: dict[str, list[float]]) -> None:
    print(f"\n{title}\n\n| | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(next(iter(rows.values())))) + "|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{v:.3f}".lstrip("0") for v in values) + " |")


def main() -> None:
    rng = np.random.default_rng(0)
    of_images = [f"{n} images" for n in IMAGES]
    shares = {f"chance {p:g}": [share_coverage(n, p) for n in IMAGES] for p in CHANCES}
    print_table("Shares of images of one chance (exact)", of_images, shares)
    spreads = {"from .02 to .98": (0.02, 0.98), "from .8 to 1": (0.8, 1.0)}
    mixed = {
        name: [mixed_coverage(k // 8, np.linspace(*ends, 8), rng) for k in IMAGES]
        for name, ends in spreads.items()
    }
    print_table("Shares of images of 8 combinations of unlike chances", of_images, mixed)
    kinds = {"mean .9, mostly sure": (0.9, 0.05), "mean .9, unsure": (0.9, 5.0)}
    kinds |= {"mean .99, mostly sure": (0.99, 0.05)}
    paths = {name: [path_coverage(n, *kind, rng) for n in IMAGES] for name, kind in kinds.items()}
    print_table("Mean probabilities (paths)", of_images, paths)
    pairs = {
        f"alone {a:g} and {b:g}": [paired_coverage(n, a, b) for n in IMAGES] for a, b in DISCORDANT
    }
    print_table("Paired differences (exact)", [f"{n} pairs" for n in IMAGES], pairs)
    means = {
        name: [seed_coverage(*spread, n, rng) for n in SEEDS] for name, spread in SPREADS.items()
    }
    print_table("Means over seeds", [f"{n} seeds" for n in SEEDS], means)
    runs = (4, 5, 8, 10)
    alarms = {f"AR(1) {rho:g}": [false_alarms(n, rho, rng) for n in runs] for rho in (0, 0.8, 0.97)}
    print_table("False alarms of the swing test, flat curves", [f"{n} runs" for n in runs], alarms)
    own_rng, evenness = np.random.default_rng(0), {"alike": 20.0, "unlike": 2.0}
    obeyed = {
        f"{name} scenes": [obedience_coverage(n, shape, own_rng) for n in SCENES]
        for name, shape in evenness.items()
    }
    print_table("Obedience over scenes", [f"{n} scenes" for n in SCENES], obeyed)
    accuracies = {f"{mean:g} ± {spread:g}": (mean, spread) for mean, spread in ACCURACIES}
    both = {
        name: [seed_and_noise_coverage(*kind, n, rng) for n in FEW_SEEDS]
        for name, kind in accuracies.items()
    }
    print_table("Means over seeds and noise", [f"{n} seeds" for n in FEW_SEEDS], both)
    noises = {
        "snapshots": (SNAPSHOT_NOISE, 0.0),
        "scenes": (0.0, SCENE_NOISE),
        "both": (SNAPSHOT_NOISE, SCENE_NOISE),
    }
    fits = {
        name: [fit_coverage(*planted, *noise) for noise in noises.values()]
        for name, planted in FITTED.items()
    }
    print_table("Rates of fitted models", [f"noise of {name}" for name in noises], fits)
    tables = {"shares": shares, "mixed": mixed, "paths": paths, "paired": pairs, "means": means}
    tables |= {"obedience": obeyed, "both": both, "fits": fits}
    least = {f"least_{name}": min(map(min, rows.values())) for name, rows in tables.items()}
    least["most_false_alarms"] = max(map(max, alarms.values()))
    print("\n" + json.dumps({name: round(value, 3) for name, value in least.items()}))


if __name__ == "__main__":
    main()
