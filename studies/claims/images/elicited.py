"""Claims about what interventions elicit from two colors and two sizes, and what masking does."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.measures.elicitation import cross_fitted
from analysis.measures.intervals import Interval, clopper_pearson
from analysis.measures.paired import pitman_morgan_interval
from analysis.measures.verdicts import Verdict, more
from studies.claims.claim import Decision
from studies.claims.evidence import beyond, count, diverged, each, informs
from studies.claims.images.gates import general_gate, of_paths
from studies.claims.images.pairs import of_pairs
from studies.claims.images.runs import ImageRun
from studies.claims.images.signal import COLOR, at_signal, is_gated, rng
from studies.claims.images.tables import (
    counting,
    drawn,
    held_out,
    in_time,
    right_images,
    time_of,
    within,
)
from studies.claims.of_file import Case
from studies.worlds.intervention_config import Intervention, Latent, OverPrompt
from studies.worlds.prompt_sets import PLAIN

NUM_DRAWS = 9999
NEITHER = "neither the naive nor the elicited accuracy crosses in"


class Times(NamedTuple):
    """Learning times of joint accuracy by plain prompts and by the best way of eliciting, in images
    seen. What is learned after the last snapshot counts as learned there. crosses: which of both
    are learned by then."""

    naive: float
    elicited: float
    crosses: tuple[bool, bool]


def over_prompts(run: ImageRun, toward_red: bool | None = None) -> list[str]:
    """Return the names of a run's over-prompts; toward_red: of one direction alone."""
    made = [one for one in run.config.evaluate.interventions if isinstance(one, OverPrompt)]
    return [one.name for one in made if toward_red in (None, _is_red(one))]


def _is_red(one: OverPrompt) -> bool:
    red, _, blue = one.numbers
    return red > blue


def shifts(run: ImageRun) -> list[str]:
    """Return the names of a run's shifts of the condition's embedding."""
    return [one.name for one in _made(run) if isinstance(one, Latent)]


def _made(run: ImageRun) -> Sequence[Intervention]:
    return run.config.evaluate.interventions


def by_over_prompts(case: Case) -> Iterator[Decision]:
    """Decide whether over-prompts toward blue elicit sooner than plain prompts ask."""
    yield from _sooner(case, lambda run: over_prompts(run, toward_red=False))


def by_shifts(case: Case) -> Iterator[Decision]:
    """Decide whether shifts of the embedding elicit sooner than plain prompts ask."""
    yield from _sooner(case, shifts)


def _sooner(case: Case, ways: Callable[[ImageRun], list[str]]) -> Iterator[Decision]:
    runs = at_signal(case, "low")
    gate = general_gate(runs, case.study.gates, *of_paths(is_gated(case)))
    times = [_times(case, run, ways(run)) for run in runs]
    never = [run.name for run, one in zip(runs, times, strict=True) if one and not any(one.crosses)]
    gate = gate or (f"gate: {NEITHER} {len(never)} of {len(runs)} runs" if never else "")
    ratio = np.array([one.naive / one.elicited if one else np.nan for one in times])
    parts = [
        (
            "elicited as much sooner as asked",
            count("MOST", ratio >= case.numbers["ratio"]),
        ),
        ("ln ratio", informs(np.log(ratio))),
    ]
    yield case.decision("signal .2", parts, gate)


def _times(case: Case, run: ImageRun, ways: Sequence[str]) -> Times | None:
    """Return both times, on odd images; even ones pick the best way at each snapshot. None of a run
    that diverged."""
    if run.diverged:
        return None
    seen, naive, elicited, samples = _right(case, run, ways)
    odd = samples % 2 == 1
    best = elicited[:, :, ~odd].mean(-1).argmax(0)
    found = elicited[best, np.arange(len(seen))][:, odd]
    both = [time_of(right, seen, case.numbers["learned"]) for right in (naive[:, odd], found)]
    first, second = (within(one, seen) for one in both)
    return Times(first, second, (in_time(both[0]), in_time(both[1])))


def _right(
    case: Case, run: ImageRun, ways: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images seen, which images are right by plain prompts (times, images) and by every way
    (ways, times, images), and the numbers of the images."""
    rows = held_out(run.tables["scores"])
    rows = rows[rows["sample"] < case.numbers["images"]]
    if is_gated(case):
        rows = rows[rows["images_seen"].isin(counting(held_out(run.plain)))]
    tables = [right_images(rows[rows["intervention"] == name]) for name in (PLAIN, *ways)]
    shared = tables[0].index
    for table in tables[1:]:
        shared = shared.intersection(table.index)
    naive, *others = (table.loc[shared].to_numpy() for table in tables)
    samples = tables[0].columns.get_level_values("sample").to_numpy()
    return shared.to_numpy(np.float64), naive, np.stack(others), samples


def spread(case: Case) -> Iterator[Decision]:
    """Decide whether elicited times vary less between seeds than naive ones."""
    runs = at_signal(case, "low")
    gate = general_gate(runs, case.study.gates, *of_paths(is_gated(case)))
    found = [_times(case, run, over_prompts(run, toward_red=False)) for run in runs]
    known = [one for one in found if one and all(one.crosses)]
    if len(known) < case.numbers["fewest"]:
        gate = gate or f"gate: {len(known)} of {len(runs)} runs have both times"
    logs = np.log(np.array([(one.naive, one.elicited) for one in known]).reshape(-1, 2))
    yield case.decision(
        "signal .2", [("ln SD(ln T_naive) − ln SD(ln T_over)", _spread(logs))], gate
    )


def _spread(logs: np.ndarray) -> Verdict:
    if len(logs) < 3 or not logs.std(0).all():
        return more(0.0, float("nan"), Interval(float("nan"), float("nan")))
    effect = float(np.log(logs[:, 0].std() / logs[:, 1].std()))
    return more(0.0, effect, pitman_morgan_interval(logs[:, 0], logs[:, 1]))


def masked(case: Case) -> Iterator[Decision]:
    """Decide whether masking a color moves the held-out prompt toward it, in each seed."""
    unmasked, whole = (case.study.where(color_of_red_small=rate) for rate in (0.0, 1.0))
    yield of_pairs(case, "signal .4", "c_color, unmasked − masked", unmasked, whole, _dragged)


def _dragged(case: Case, first: ImageRun, second: ImageRun) -> Verdict:
    one, other = (_last_color(run) for run in (first, second))
    apart = (one - other.reindex(one.index)).dropna().to_numpy()
    means = drawn(len(apart), rng(), NUM_DRAWS) @ apart
    low, high = np.quantile(means, [0.025, 0.975])
    return more(case.entry.margin, float(apart.mean()), Interval(float(low), float(high)))


def _last_color(run: ImageRun) -> pd.Series:
    own = held_out(run.last)
    return own[own["concept"] == COLOR].set_index(["combination", "sample"])["p_target"]


def nothing_elicited(case: Case) -> Iterator[Decision]:
    """Decide whether over-prompts elicit little where there should be nothing, in each seed."""
    runs = at_signal(case, "low")
    gate = general_gate(runs, case.study.gates)
    early = {run.seed: _elicited_early(case, run) for run in runs}
    red = {run.seed: _elicited_by_red(case, run) for run in runs}
    parts = [
        *each(f"{case.numbers['most']:g} − accuracy at step {case.numbers['early']:g}", early),
        *each(f"{case.numbers['most']:g} − accuracy by over-prompts toward red", red),
    ]
    yield case.decision("signal .2", parts, gate)


def _elicited_early(case: Case, run: ImageRun) -> Verdict:
    at = case.numbers["early"] * run.config.train.batch_size
    return diverged("MORE(0)") if run.diverged else _elicited(case, run, over_prompts(run), at)


def _elicited_by_red(case: Case, run: ImageRun) -> Verdict:
    if run.diverged:
        return diverged("MORE(0)")
    ways = over_prompts(run, toward_red=True)
    seen, naive, _, _ = _right(case, run, ways)
    at = within(time_of(naive, seen, case.numbers["learned"]), seen)
    return _elicited(case, run, ways, at)


def _elicited(case: Case, run: ImageRun, ways: Sequence[str], at: float) -> Verdict:
    """Judge whether the best way at the first snapshot from `at` on stays below the bar: each half
    of the images picks it, and the other is read."""
    seen, _, elicited, samples = _right(case, run, ways)
    place = min(int(np.searchsorted(seen, at)), len(seen) - 1)
    halves = [np.flatnonzero(samples % 2 == side) for side in (0, 1)]
    right = elicited[:, place : place + 1].astype(bool)
    images = len(samples)
    share = float(cross_fitted(right, halves, np.ones((1, images)))[0, 0])
    ends = clopper_pearson(round(share * images), images)
    return beyond(case.numbers["most"], share, ends, sign=-1)
