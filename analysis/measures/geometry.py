"""Geometry of a code of two features: do they couple, share directions, take one circle or more?

A code r(x, y) is a mean activation on a grid of x and y. It is read several times, each with noise
of its own: codes (seeds, x, y, d). By the analysis of variance r = m + f(x) + g(y) + h(x, y), and

    V_f, V_g, V_h          mean squared norms of the parts
    κ = V_h / (V_h + min(V_f, V_g))                    0 Clifford torus, ½ 3-D torus of any radii
    Ω = tr(C_f C_g) / √(tr C_f² tr C_g²)               0 orthogonal subspaces, 1 the same plane
    PR_x = V_f² / tr C_f²                              half of it: harmonics of a circular code

Every product is one of readings with different noise, so noise adds nothing to it on average. It
may be the same for all places of the grid within a seed: what all share is in none of f, g, h.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import stats

from analysis.measures.ideal_codes import angles
from analysis.measures.intervals import Interval

Shape = Literal["coupled", "additive-but-shared", "factorized", "hyper-factorized", "undecided"]

FEWEST_SEEDS = 2  # noise seeds that give an estimate
FEWEST_FOR_AN_INTERVAL = 3  # of noise seeds, of which each is left out in turn
ALL_APART = 5  # seeds from which four of each product can differ, with one of them left out
MOST_COUPLED = 0.25  # κ of what counts as not coupled: midway between the two tori
MOST_SHARED = 0.5  # Ω of what counts as orthogonal
BEYOND_ONE_CIRCLE = 1.15  # PR, as a multiple of that of the ideal circle or arc
NAMES = ("v_f", "v_g", "v_h", "kappa", "omega", "pr_x", "pr_y", "pr")


class Parts(NamedTuple):
    """Parts of a code, seed by seed: of x, of y, of both together, and the whole without its mean.

    Shapes (seeds, x, d), (seeds, y, d), (seeds, x · y, d) and (seeds, x · y, d).
    """

    f: ndarray
    g: ndarray
    h: ndarray
    whole: ndarray


def parts_of(codes: Float[ndarray, "seeds x y d"]) -> Parts:
    """Split a code by the analysis of variance."""
    centred = codes - codes.mean((1, 2), keepdims=True)
    f, g = centred.mean(2), centred.mean(1)
    h = centred - f[:, :, None] - g[:, None]
    seeds, width = len(codes), codes.shape[-1]
    return Parts(f, g, h.reshape(seeds, -1, width), centred.reshape(seeds, -1, width))


@dataclass(frozen=True)
class Products:
    """Products of readings, from which all numbers follow.

    Attributes:
        parts: of the code.
    """

    parts: Parts

    @property
    def seeds(self) -> int:
        return len(self.parts.f)

    @cached_property
    def norms(self) -> dict[str, Float[ndarray, "seeds seeds"]]:
        """Return mean products of each part with itself, seed against seed."""
        return {name: _norms(getattr(self.parts, name)) for name in ("f", "g", "h")}

    @cached_property
    def traces(self) -> dict[str, ndarray]:
        """Return tr(C^ab C^cd) of pairs of parts, by seeds [b, c, a, d]."""
        f, g, _, whole = self.parts
        return {
            "ff": _traces(f, f),
            "gg": _traces(g, g),
            "fg": _traces(f, g),
            "all": _traces(whole, whole),
        }

    def numbers(self, kept: Bool[ndarray, " seeds"]) -> dict[str, float]:
        """Return NAMES from the seeds that are kept, two at least."""
        v_f, v_g, v_h = (_off_diagonal(self.norms[part], kept) for part in "fgh")
        apart = _apart(self.seeds, kept)
        trace = {name: float(table[apart].mean()) for name, table in self.traces.items()}
        least = min(v_f, v_g)
        return {
            "v_f": v_f,
            "v_g": v_g,
            "v_h": v_h,
            "kappa": _ratio(v_h, v_h + least) if least > 0 else float("nan"),
            "omega": _ratio(trace["fg"], _root(trace["ff"] * trace["gg"])),
            "pr_x": _ratio(v_f**2, trace["ff"]),
            "pr_y": _ratio(v_g**2, trace["gg"]),
            "pr": _ratio((v_f + v_g + v_h) ** 2, trace["all"]),
        }


def _norms(part: Float[ndarray, "seeds n d"]) -> Float[ndarray, "seeds seeds"]:
    flat = part.reshape(len(part), -1)
    return flat @ flat.T / part.shape[1]


def _traces(
    first: Float[ndarray, "seeds n d"], second: Float[ndarray, "seeds m d"]
) -> Float[ndarray, "seeds seeds seeds seeds"]:
    """tr(C^ab C^cd), C^ab = F_aᵀF_b / n and C^cd = G_cᵀG_d / m, which is ⟨F_b G_cᵀ, F_a G_dᵀ⟩."""
    seeds, n, m = len(first), first.shape[1], second.shape[1]
    gram = np.einsum("bnd,cmd->bcnm", first, second, optimize=True).reshape(seeds**2, n * m)
    return (gram @ gram.T / (n * m)).reshape((seeds,) * 4)


def _apart(seeds: int, kept: Bool[ndarray, " seeds"]) -> Bool[ndarray, "seeds seeds seeds seeds"]:
    """Return which products [b, c, a, d] count: of four different seeds where there are enough of
    them, which is without any bias; else C^ab C^ab, a ≠ b, whose bias is of the order of 1 / n."""
    b, c, a, d = np.ix_(*[np.arange(seeds)] * 4)
    there = kept[b] & kept[c] & kept[a] & kept[d]
    if seeds < ALL_APART:
        return there & (c == a) & (d == b) & (a != b)
    return there & (a != b) & (a != c) & (a != d) & (b != c) & (b != d) & (c != d)


def _off_diagonal(table: Float[ndarray, "seeds seeds"], kept: Bool[ndarray, " seeds"]) -> float:
    return float(table[np.outer(kept, kept) & ~np.eye(len(table), dtype=bool)].mean())


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")


def _root(number: float) -> float:
    return float(np.sqrt(number)) if number > 0 else float("nan")


@dataclass(frozen=True)
class Geometry:
    """Geometry of one code.

    Attributes:
        numbers: estimates by NAMES; nan where noise leaves nothing to divide by.
        intervals: 95 % over noise seeds, each left out in turn (jackknife, Student's t); nan with
            two seeds.
        left_out: of each number, the estimates without each of the seeds; none with two seeds.
        noise: root mean squared norm of the noise of a reading, over that of the code.
        naive_pr: participation ratio of the mean code, whose noise counts as structure.
    """

    numbers: Mapping[str, float]
    intervals: Mapping[str, Interval]
    left_out: Mapping[str, Float[ndarray, " seeds"]]
    noise: float
    naive_pr: float


def measure_geometry(codes: Float[ndarray, "seeds x y d"]) -> Geometry:
    """Measure a code. Raises ValueError for fewer than two noise seeds or two values of a feature,
    and for numbers that are not finite."""
    if min(codes.shape[:3]) < FEWEST_SEEDS:
        raise ValueError(f"got {codes.shape[:3]} seeds, x and y; allowed are 2 or more of each")
    if not np.isfinite(codes).all():
        raise ValueError("got codes that are not finite")
    products = Products(parts_of(codes.astype(np.float64)))
    every = np.ones(products.seeds, dtype=bool)
    numbers = products.numbers(every)
    signal = numbers["v_f"] + numbers["v_g"] + numbers["v_h"]
    spread = products.parts.whole.var(0, ddof=1).sum(-1).mean()
    noise = float(np.sqrt(_ratio(float(spread), signal)))
    left_out = _left_out(products)
    intervals = {name: jackknife(numbers[name], left_out[name]) for name in NAMES}
    return Geometry(numbers, intervals, left_out, noise, naive_pr(codes))


def naive_pr(codes: Float[ndarray, "seeds x y d"]) -> float:
    """Participation ratio (Σλ)² / Σλ² of the mean code over seeds, noise and all."""
    mean = codes.mean(0).reshape(-1, codes.shape[-1]).astype(np.float64)
    mean = mean - mean.mean(0)
    gram = mean @ mean.T
    return _ratio(float(np.trace(gram)) ** 2, float((gram**2).sum()))


def _left_out(products: Products) -> dict[str, ndarray]:
    seeds = products.seeds
    if seeds < FEWEST_FOR_AN_INTERVAL:
        return dict.fromkeys(NAMES, np.zeros(0))
    found = [products.numbers(np.arange(seeds) != seed) for seed in range(seeds)]
    return {name: np.array([one[name] for one in found]) for name in NAMES}


def jackknife(value: float, left_out: Float[ndarray, " seeds"]) -> Interval:
    """Interval, 95 %, of an estimate, from estimates without each of the seeds (Student's t); nan
    without any."""
    seeds = len(left_out)
    if seeds < FEWEST_FOR_AN_INTERVAL:
        return Interval(np.nan, np.nan)
    error = np.sqrt((seeds - 1) * left_out.var())
    half = float(stats.t.ppf(0.975, seeds - 1) * error)
    return Interval(value - half, value + half)


def over_runs(values: Float[ndarray, " runs"]) -> Interval:
    """Interval of the mean over training runs: Student's t, of two runs and more; nan of one."""
    if len(values) < 2:
        return Interval(np.nan, np.nan)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return Interval(float(values.mean() - half), float(values.mean() + half))


def one_circle(count: int, kind: Literal["circle", "arc", "values"]) -> float:
    """PR up to which a feature with `count` places on the grid takes one circle, or one arc.

    Values without an order, such as shapes, have no circle: no PR is beyond one.
    """
    if kind == "values":
        return np.inf
    turn = angles(count, periodic=kind == "circle")
    ideal = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    covariance = np.cov(ideal.T, bias=True)
    return float(BEYOND_ONE_CIRCLE * np.trace(covariance) ** 2 / (covariance**2).sum())


def shape_of(intervals: Mapping[str, Interval], most: tuple[float, float]) -> Shape:
    """Decide what a code is, by 95 % intervals of V_f, V_g, κ, Ω, PR_x and PR_y.

    coupled: κ > ¼. Else, κ < ¼: additive-but-shared if Ω > ½; if Ω < ½, factorized where both PR
    lie below `most` and hyper-factorized where both lie above. Undecided if an interval holds the
    bar, and where a feature has no code: V_f or V_g may be 0.

    most: PR of x and of y up to which a feature takes one circle, see `one_circle`.
    """
    if not min(intervals["v_f"].low, intervals["v_g"].low) > 0:
        return "undecided"
    if intervals["kappa"].low > MOST_COUPLED:
        return "coupled"
    if not intervals["kappa"].high < MOST_COUPLED:
        return "undecided"
    if intervals["omega"].low > MOST_SHARED:
        return "additive-but-shared"
    if not intervals["omega"].high < MOST_SHARED:
        return "undecided"
    return _harmonics((intervals["pr_x"], intervals["pr_y"]), most)


def _harmonics(ratios: tuple[Interval, Interval], most: tuple[float, float]) -> Shape:
    pairs = list(zip(ratios, most, strict=True))
    if all(ratio.high < bar for ratio, bar in pairs):
        return "factorized"
    if all(ratio.low > bar for ratio, bar in pairs):
        return "hyper-factorized"
    return "undecided"
