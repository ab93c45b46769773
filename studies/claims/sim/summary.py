"""Findings of every variant, claimed or not: findings.csv."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.measures.intervals import FEWEST_SEEDS, clopper_pearson
from analysis.measures.learning_times import Fit, signal_law, typical_time
from analysis.measures.swing_test import mean_swing_test
from studies.claims.evidence import DRAWS, mean_of_finite, share_difference
from studies.claims.sim import measures
from studies.claims.sim.config import Run, Symmetric, Trained
from studies.claims.sim.exact import (
    Moment,
    is_one_layer,
    is_two_layers,
    lead,
    one_layer_paths,
    strengths,
    times_alone,
)
from studies.claims.sim.runs import Paths, Study
from studies.claims.sim.variants import columns_of

SWING_DRAWS = 999


class Row(NamedTuple):
    """Number with its 95 % interval.

    Attributes:
        runs: how many it is over, without those that diverged or never got there; with fewer
            than 8 it has no interval. 0 of a bound.
        p: of a test, else nan.
    """

    measure: str
    value: float
    low: float
    high: float
    runs: int
    p: float = np.nan


def findings_table(study: Study) -> pd.DataFrame:
    """Return a row per variant and measure; times and rates in flow time."""
    rows = [
        {"variant": name, **columns_of(study.config.runs[name]), **row._asdict()}
        for name in study.paths
        for row in _findings(study, name)
    ]
    return pd.DataFrame(rows)


def _findings(study: Study, name: str) -> Iterator[Row]:
    run, paths, rules = study.config.runs[name], study.paths[name], study.rules
    yield _share("loss rises", measures.rising(paths, rules))
    yield _mean("largest rise of the loss / start", measures.heights(paths))
    yield _share(f"loss ends below {rules.left:g} of its start", measures.ended(paths, rules))
    yield _mean("descents of the loss", measures.num_descents(paths, rules))
    yield from _mean_loss(paths)
    yield _share("c_1 swings", study.of(measures.swings, name))
    yield _mean("fall of c_1 from its peak", study.of(measures.swing_heights, name))
    if (measures.signals(run) != 0).sum() > 1:
        yield _mean("bow B", study.of(measures.bows, name))
        yield from _order(run, paths)
    yield _mean("terminal exponent / least a", measures.terminal_exponents(run, paths))
    yield _mean("AIC, power law − exponential", measures.exponential_gain(run, paths))
    if isinstance(run, Trained) and run.network.is_linear and np.ptp(strengths(run)):
        yield _mean("slope of rates on a", study.of(measures.rate_slopes, name))
    if is_one_layer(run):
        yield from _one_layer(study, name)
    if is_two_layers(run):
        for number, ratio in enumerate(of_times_alone(study, name).T, 1):
            yield _mean(f"time of learning {number} / alone", ratio)
    if isinstance(run, Symmetric):
        yield from _symmetric(study, name)
    if paths.step_error.any():
        yield Row(
            "largest error of W by steps", paths.step_error.max(), np.nan, np.nan, len(paths.W)
        )


def _symmetric(study: Study, name: str) -> Iterator[Row]:
    """Yield what Appendix D of arXiv:2410.08309 rests on."""
    run, paths = study.config.runs[name], study.paths[name]
    yield _share("first stage within its bound", measures.within_first_stage(run, paths))
    swings, comparable = study.of(measures.swings, name), measures.are_comparable(paths)
    if comparable.any():
        more = share_difference(0.0, swings[comparable], swings[~comparable])
        measure = "c_1 swings: of runs with comparable entries − of others"
        yield Row(measure, more.effect, *more.interval, len(swings))


def _order(run: Run, paths: Paths) -> Iterator[Row]:
    """Yield which concept is first, when, and how that depends on a."""
    a = strengths(run)[measures.signals(run) != 0]
    times = measures.arrivals(run, paths)
    for k in range(len(a)):
        yield _fit(f"time of learning {k + 1}", typical_time(times.low[:, k], times.high[:, k]))
    if np.ptp(a):
        yield _mean("pairs learned in order of a", measures.in_order(run, paths))
        each, of = np.arange(len(times.low)), np.arange(len(times.low)) % len(a)
        law = signal_law(times.low[each, of], times.high[each, of], a[of])
        yield _fit("exponent of the time in a", law)


def _one_layer(study: Study, name: str) -> Iterator[Row]:
    """Yield how far one layer is from Theorem 4.1."""
    run = study.config.runs[name]
    assert is_one_layer(run)
    if run.training.method != "flow":
        bound = lead(run, study.paths[name].t)
        yield Row("lead of steps over the flow, at most", bound, np.nan, np.nan, 0)
    for number, ratio in enumerate(study.of(measures.mode_ratios, name).T, 1):
        yield _mean(f"rate of mode {number} / eigenvalue", ratio)
    moments: tuple[Moment, Moment] = ("population", "empirical")
    for moment in moments:
        yield _mean(f"distance from the theorem, {moment} moment", gaps(study, name, moment))


def gaps(study: Study, name: str, moment: Moment) -> np.ndarray:
    """Return the largest distance of a run's output from Theorem 4.1's over the probe's norm.

    Its shape is (seed,).
    """
    run, paths = study.config.runs[name], study.paths[name]
    assert is_one_layer(run)
    exact = one_layer_paths(run, study.config.seeds.all, paths.t, moment)
    apart = np.linalg.norm(paths.outputs - exact, axis=-1).max(-1)
    return apart / np.linalg.norm(measures.signals(run))


def of_times_alone(study: Study, name: str) -> np.ndarray:
    """Return times of learning over those that every concept would need alone, (seed, s)."""
    run = study.config.runs[name]
    assert is_two_layers(run)
    alone = times_alone(run, study.config.seeds.all, measures.LEARNED)
    return measures.arrivals(run, study.paths[name]).time / alone


def _mean_loss(paths: Paths) -> Iterator[Row]:
    """Yield whether the mean over runs rises (`mean_swing_test`)."""
    losses = paths.loss[np.isfinite(paths.loss).all(1)]
    if len(losses) >= FEWEST_SEEDS:
        rng = np.random.default_rng(DRAWS)
        test = mean_swing_test(losses, rng=rng, num_draws=SWING_DRAWS)
        yield Row(
            "rise of the mean loss / start", test.relative, np.nan, np.nan, len(losses), test.p
        )


def _share(measure: str, which: np.ndarray) -> Row:
    return Row(measure, which.mean(), *clopper_pearson(int(which.sum()), len(which)), len(which))


def _mean(measure: str, values: np.ndarray) -> Row:
    return Row(measure, *mean_of_finite(values), int(np.isfinite(values).sum()))


def _fit(measure: str, fit: Fit) -> Row:
    seen = fit.runs - fit.censored
    low, high = fit.interval if seen >= FEWEST_SEEDS else (np.nan, np.nan)
    return Row(measure, fit.estimate, low, high, seen)
