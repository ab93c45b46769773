"""Rival explanations: what orders concepts, and what breaks composition."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from analysis.measures.intervals import Interval
from analysis.measures.learning_times import Fit, learning_times, signal_law
from analysis.measures.verdicts import Verdict, more, same
from analysis.tables.copies import memory_clock
from analysis.tables.denoiser import HALF, drawn_obedience, rule_clock
from studies.claims.claim import Decision
from studies.claims.evidence import beyond, diverged, each
from studies.claims.images.cube import neighbors
from studies.claims.images.gates import general_gate
from studies.claims.images.pairs import more_images, of_pairs
from studies.claims.images.runs import ImageRun
from studies.claims.images.signal import rng
from studies.claims.images.tables import drawn, held_out, right_images
from studies.claims.of_file import Case
from studies.experiment.config import Config
from studies.prediction.moments import world_moments
from studies.prediction.prediction import expected_times, predict
from studies.run.directory import RunDir
from studies.run.opened import Experiment

Cell = tuple[str, str]  # name of a run, and a concept
NUM_DRAWS = 9999
RIVALS = {"a_k": "a_k", "variance": "variance", "class": "variance between classes"}


def predicted_order(case: Case) -> Iterator[Decision]:
    """Decide for each rival whether its order of concepts is that of obedience, in each seed."""
    by_seed = _cells(case)
    every = [run for runs in by_seed.values() for run in runs]
    gate = general_gate(every, case.study.gates)
    times = {seed: _drawn_times(case, runs) for seed, runs in by_seed.items()}
    for label, theory in RIVALS.items():
        verdicts = {
            seed: _agreement(case, _expected(case, runs, theory), times[seed])
            for seed, runs in by_seed.items()
        }
        yield case.decision(label, each("rank correlation", verdicts), gate)


def _cells(case: Case) -> dict[int, list[ImageRun]]:
    """Return by seed the runs of all signals, unmasked, and of the cube, of seeds that have all."""
    groups = [
        case.study.of_study("s_signal").where(color_signal=0.2),
        case.study.of_study("s_signal").where(color_signal=0.7),
        case.study.of_study("s_masked").where(color_of_red_small=0.0),
        [run for run in neighbors(case) if run.study == "s_cube"],
    ]
    by_seed = [{run.seed: run for run in group} for group in groups]
    shared = set.intersection(*({*own} for own in by_seed))
    return {seed: [own[seed] for own in by_seed] for seed in sorted(shared)}


def _drawn_times(case: Case, runs: Sequence[ImageRun]) -> dict[Cell, np.ndarray]:
    """Return images seen until each concept is obeyed by half, (1 + draws,), infinite where it
    never is; by run and concept."""
    found = {}
    for run in (run for run in runs if not run.diverged):
        rows = run.denoiser
        own = rows[(rows["level"] == case.numbers["level"]) & (rows["split"] == "held_out")]
        obeyed = drawn_obedience(own[own["images_seen"] > 0])
        for concept, curves in zip(obeyed.concepts, obeyed.curves, strict=True):
            times = learning_times(obeyed.images_seen, curves, HALF)
            censored = np.where(times.low > 0, np.inf, 0.0)
            found[run.name, concept] = np.where(np.isnan(times.time), censored, times.time)
    return found


def _expected(case: Case, runs: Sequence[ImageRun], theory: str) -> dict[Cell, float]:
    """Return the times that a theory expects of all concepts of all runs, up to a factor."""
    return {
        (run.name, concept): time
        for run in runs
        for concept, time in _of_world(run.config, case.numbers["level"], theory).items()
    }


def _of_world(config: Config, level: float, theory: str) -> dict[str, float]:
    experiment = Experiment(config, RunDir(Path(config.name)))
    moments = world_moments(experiment.world, experiment.images, config.model)
    found = predict(moments, [level])
    names = [one.concept for one in found]
    return dict(zip(names, expected_times(theory, found).tolist(), strict=True))


def _agreement(
    case: Case, expected: Mapping[Cell, float], times: Mapping[Cell, np.ndarray]
) -> Verdict:
    cells = [cell for cell in expected if cell in times]
    first = np.array([expected[cell] for cell in cells])
    correlations = [_spearman(first, own) for own in np.stack([times[c] for c in cells], 1)]
    low, high = np.quantile(correlations[1:], [0.025, 0.975])
    return more(case.entry.margin, correlations[0], Interval(float(low), float(high)))


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    ranks = rankdata(first), rankdata(second)
    if not all(np.ptp(rank) for rank in ranks):
        return 0.0  # all at once: no order
    return float(np.corrcoef(*ranks)[0, 1])


def coverage(case: Case) -> Iterator[Decision]:
    """Decide whether held-out accuracy falls with the number held out, in each seed."""
    seeds = _by_seed(case.study.runs)
    verdicts = {seed: _slope(runs) for seed, runs in seeds.items()}
    gate = general_gate(case.study.runs, case.study.gates)
    yield case.decision("1, 3, 6 and 9 held out", each("− slope", verdicts), gate)


def _by_seed(runs: Sequence[ImageRun]) -> Mapping[int, list[ImageRun]]:
    seeds = sorted({run.seed for run in runs})
    return {seed: [run for run in runs if run.seed == seed] for seed in seeds}


def _slope(runs: Sequence[ImageRun]) -> Verdict:
    if any(run.diverged for run in runs):
        return diverged("MORE(0)")
    generator = rng()
    counts, means, redrawn = [], [], []
    for run in runs:
        last = held_out(run.last)
        right = right_images(last).to_numpy()[0]
        counts.append(last["combination"].nunique())
        means.append(right.mean())
        redrawn.append(drawn(len(right), generator, NUM_DRAWS) @ right)
    x = np.array(counts, np.float64) - np.mean(counts)
    slopes = (x @ np.stack([np.append(m, d) for m, d in zip(means, redrawn, strict=True)])) / (
        x @ x
    )
    low, high = np.quantile(slopes[1:], [0.025, 0.975])
    return beyond(0.0, float(slopes[0]), Interval(float(low), float(high)), sign=-1)


def order_blind(case: Case) -> Iterator[Decision]:
    """Decide whether pooled words compose better than contextual captions, in each seed."""
    pooled, contextual = (
        case.study.where(conditioning=name) for name in ("captions", "captions_contextual")
    )
    what = "joint accuracy, pooled − contextual"
    yield of_pairs(case, "last snapshot", what, pooled, contextual, _composes_more)


def _composes_more(case: Case, first: ImageRun, second: ImageRun) -> Verdict:
    one, other = (right_images(held_out(run.last)).iloc[0] for run in (first, second))
    difference = (one - other.reindex(one.index)).dropna().to_numpy()
    return more_images(case.entry.margin, difference)


def memory(case: Case) -> Iterator[Decision]:
    """Decide whether copying waits in proportion to the number of images, and the rule does not."""
    runs = [run for run in case.study.runs if not run.diverged]
    images = np.array([run.config.world.num_images for run in runs], np.float64)
    clocks = [np.array([clock(run) for run in runs]).reshape(-1, 2).T for clock in (_memory, _rule)]
    parts = [
        (
            f"exponent of {name} − {ideal}",
            _exponent(case, ideal, signal_law(own[:, 0], own[:, 1], images)),
        )
        for name, ideal, own in zip(("tau_mem", "tau_rule"), (1, 0), clocks, strict=True)
    ]
    yield case.decision("48 to 3072 images", parts, general_gate(runs, case.study.gates))


def _memory(run: ImageRun) -> tuple[float, float]:
    """Return between which snapshots half of the images become copies."""
    row = memory_clock(run.table("copies")).iloc[0]
    return float(row["after"]), float(row["before"])


def _rule(run: ImageRun) -> tuple[float, float]:
    """Return between which snapshots the last of the words is obeyed by half."""
    clock = rule_clock(run.denoiser)
    return float(clock["after"].max()), float(clock["before"].max())


def _exponent(case: Case, ideal: float, fit: Fit) -> Verdict:
    """Judge an exponent; the 95 % interval stands for the inner one, so that it holds less
    easily."""
    ends = Interval(*(end - ideal for end in fit.interval))
    return same(case.entry.margin, fit.estimate - ideal, ends, ends)
