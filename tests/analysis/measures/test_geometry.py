"""Codes whose geometry is known, in noise: their numbers, intervals and verdicts."""

import numpy as np
import pytest

from analysis.measures.geometry import (
    NAMES,
    measure_geometry,
    naive_pr,
    one_circle,
    over_runs,
    parts_of,
    shape_of,
)
from analysis.measures.ideal_codes import (
    angles,
    clifford_torus,
    conjunctive,
    one_hot,
    populations,
    shared_plane,
    solid_torus,
    with_noise,
)
from analysis.measures.intervals import Interval

GRID = angles(16)
CIRCLES = (one_circle(16, "circle"),) * 2
RNG = np.random.default_rng


def noisy(code, *, seeds=6, norm=2.0, width=256, seed=0):
    return with_noise(code, seeds, width, norm, rng=RNG(seed))


def clean(code):
    return measure_geometry(np.stack([code] * 2)).numbers


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.9])
def test_half_of_a_solid_torus_is_interaction_whatever_its_radii(ratio):
    found = clean(solid_torus(GRID, GRID, ratio))
    assert found["kappa"] == pytest.approx(0.5) and found["omega"] == pytest.approx(0, abs=1e-9)
    assert (found["pr_x"], found["pr_y"]) == pytest.approx((2, 1))


def test_features_of_a_clifford_torus_add_up_on_a_circle_each():
    found = clean(clifford_torus(GRID, GRID))
    expected = {"v_f": 0.5, "v_g": 0.5, "v_h": 0, "kappa": 0, "omega": 0}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert [found[name] for name in ("pr_x", "pr_y", "pr")] == pytest.approx([2, 2, 4])


def test_circles_in_one_plane_overlap_wholly_and_neurons_take_many_harmonics():
    assert clean(shared_plane(GRID, GRID))["omega"] == pytest.approx(1)
    assert clean(populations(GRID, GRID))["pr_x"] == pytest.approx(4.14, abs=0.02)
    assert clean(one_hot(GRID, GRID))["pr_y"] == pytest.approx(15)
    assert 0.3 < clean(conjunctive(GRID, GRID))["kappa"] < 1


@pytest.mark.parametrize("seeds", [2, 4, 6])
def test_noise_of_twice_the_signal_moves_no_mean(seeds):
    """The participation ratio of the mean code is far off; that across seeds is not."""
    found = [
        measure_geometry(noisy(clifford_torus(GRID, GRID), seeds=seeds, seed=i)) for i in range(12)
    ]
    mean = {name: np.mean([one.numbers[name] for one in found]) for name in NAMES}
    assert mean["kappa"] == pytest.approx(0, abs=0.02)
    assert mean["omega"] == pytest.approx(0, abs=0.03)
    assert (mean["pr_x"], mean["pr"]) == pytest.approx((2, 4), rel=0.06)
    assert np.mean([one.noise for one in found]) == pytest.approx(2, rel=0.05)
    assert min(one.naive_pr for one in found) > 6


def test_noise_that_all_places_share_is_no_code():
    """As the start of drawing, which is the same for all conditions of a seed."""
    shared = 5 * RNG(1).normal(size=(4, 1, 1, 256))
    found = measure_geometry(noisy(solid_torus(GRID, GRID), seeds=4, norm=0.5) + shared)
    assert found.numbers["kappa"] == pytest.approx(0.5, abs=0.02) and found.noise < 0.6


def test_products_are_of_different_seeds_one_by_one():
    """Against sums written out, of parts that do not vanish in each other."""
    codes = RNG(2).normal(size=(3, 3, 4, 5))
    f, g, h, _ = parts_of(codes)
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    v_f, v_h = (np.mean([(p[a] * p[b]).sum(-1).mean() for a, b in pairs]) for p in (f, h))
    squared = np.mean([np.trace((c := f[a].T @ f[b] / 3) @ c) for a, b in pairs])
    crossed = np.mean([np.trace(f[a].T @ f[b] @ g[a].T @ g[b]) / 12 for a, b in pairs])
    found = measure_geometry(codes).numbers
    assert (found["v_f"], found["v_h"]) == pytest.approx((v_f, v_h))
    assert found["pr_x"] == pytest.approx(v_f**2 / squared, nan_ok=True) or squared <= 0
    squared_g = np.mean([np.trace((c := g[a].T @ g[b] / 4) @ c) for a, b in pairs])
    assert np.isnan(found["omega"]) == (squared * squared_g <= 0)
    if squared * squared_g > 0:
        assert found["omega"] == pytest.approx(crossed / np.sqrt(squared * squared_g))


def test_parts_add_up_to_the_code():
    codes = RNG(3).normal(size=(2, 4, 3, 6))
    f, g, h, whole = parts_of(codes)
    again = f[:, :, None] + g[:, None] + h.reshape(2, 4, 3, 6)
    np.testing.assert_allclose(again.reshape(2, 12, 6), whole)
    assert np.abs(h.reshape(2, 4, 3, 6).sum(1)).max() < 1e-12


MANIFOLDS = {
    "coupled": (solid_torus, conjunctive),
    "additive-but-shared": (shared_plane,),
    "factorized": (clifford_torus,),
    "hyper-factorized": (populations, one_hot),
}


def test_forty_manifolds_are_told_apart():
    """Ten of each kind, each turned and read anew; noise twice as large as the signal."""
    wrong = []
    for word, makers in MANIFOLDS.items():
        for i in range(10):
            code = makers[i % len(makers)](GRID, GRID)
            found = measure_geometry(noisy(code, seed=100 + i))
            told = shape_of(found.intervals, CIRCLES)
            wrong += [(word, told)] if told != word else []
    assert len(wrong) <= 1, wrong


def test_what_is_only_noise_stays_undecided():
    codes = RNG(4).normal(size=(6, 16, 16, 64))
    assert shape_of(measure_geometry(codes).intervals, CIRCLES) == "undecided"


def test_intervals_over_noise_cover_the_truth():
    """Of κ of a solid torus, from four seeds."""
    held = 0
    for i in range(100):
        found = measure_geometry(noisy(solid_torus(GRID, GRID), seeds=4, width=64, seed=200 + i))
        held += found.intervals["kappa"].low <= 0.5 <= found.intervals["kappa"].high
    assert held >= 90  # .95 less three standard errors is 88


def evidence(**changed):
    holds = {
        "v_f": Interval(0.4, 0.6),
        "v_g": Interval(0.4, 0.6),
        "kappa": Interval(-0.1, 0.1),
        "omega": Interval(0.0, 0.1),
        "pr_x": Interval(1.9, 2.1),
        "pr_y": Interval(1.9, 2.1),
    }
    return {**holds, **{name: Interval(*ends) for name, ends in changed.items()}}


@pytest.mark.parametrize(
    "changed, word",
    [
        ({}, "factorized"),
        ({"kappa": (0.3, 0.6)}, "coupled"),
        ({"kappa": (0.2, 0.3)}, "undecided"),
        ({"omega": (0.6, 0.9)}, "additive-but-shared"),
        ({"omega": (0.4, 0.6)}, "undecided"),
        ({"pr_x": (3, 5), "pr_y": (3, 5)}, "hyper-factorized"),
        ({"pr_x": (3, 5)}, "undecided"),
        ({"pr_x": (2, 3), "pr_y": (3, 5)}, "undecided"),
        ({"v_g": (-0.1, 0.3)}, "undecided"),
        ({"kappa": (np.nan, np.nan)}, "undecided"),
        ({"pr_y": (np.nan, np.nan)}, "undecided"),
    ],
)
def test_verdicts_are_of_intervals(changed, word):
    assert shape_of(evidence(**changed), CIRCLES) == word


def test_one_circle_is_an_arc_for_features_with_ends_and_no_bar_for_words():
    assert one_circle(16, "circle") == pytest.approx(2.3)
    assert 1.15 < one_circle(64, "arc") < 1.15 * 1.5
    assert one_circle(3, "values") == np.inf
    wide = {"pr_x": (3, 5), "pr_y": (3, 5)}
    assert shape_of(evidence(**wide), (np.inf, np.inf)) == "factorized"


def test_two_seeds_give_numbers_without_intervals():
    found = measure_geometry(noisy(clifford_torus(GRID, GRID), seeds=2, norm=0.1))
    assert np.isfinite(found.numbers["kappa"]) and np.isnan(found.intervals["kappa"]).all()


def test_what_cannot_be_measured_is_refused():
    codes = noisy(clifford_torus(GRID, GRID))
    with pytest.raises(ValueError, match="allowed are 2 or more of each"):
        measure_geometry(codes[:1])
    codes[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        measure_geometry(codes)


def test_runs_give_students_interval():
    low, high = over_runs(np.array([0.0, 1.0, 2.0]))
    assert (low + high) / 2 == pytest.approx(1) and high - 1 == pytest.approx(
        4.3027 / 3**0.5, abs=1e-3
    )
    assert np.isnan(over_runs(np.array([1.0]))).all()


def test_the_naive_ratio_of_a_clean_torus_is_its_own():
    assert naive_pr(np.stack([clifford_torus(GRID, GRID)] * 2)) == pytest.approx(4)
