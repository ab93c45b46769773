"""Claims about paths of two colors and two sizes: do they turn back, and what comes first?"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from analysis.measures.cross_fitted import CrossFittedSwing, cross_fitted_rise, cross_fitted_swing
from analysis.tables.coordinates import (
    DRAWS,
    Coordinate,
    denoiser_coordinates,
    oracle_coordinates,
    probe_coordinates,
)
from analysis.tables.denoiser import rule_clock
from studies.claims.claim import Decision
from studies.claims.evidence import count, informs
from studies.claims.images.gates import general_gate, of_paths
from studies.claims.images.runs import ImageRun, paired
from studies.claims.images.tables import (
    counting,
    held_out,
    only,
    paths,
    right_images,
    time_of,
    within,
)
from studies.claims.of_file import Case

COLOR, SIZE = "color", "size"
READOUTS = ("softmax", "sure", "oracle")  # names of instruments
FEWEST = 2  # snapshots between which something can fall


def is_gated(case: Case) -> bool:
    """Return whether paths must pass the gate, and snapshots must count."""
    return bool(case.entry.gate)


def at_signal(case: Case, name: str) -> list[ImageRun]:
    """Return the runs at the color signal that is called low or high."""
    return case.study.where(color_signal=case.numbers[name])


def both_signals(case: Case) -> list[tuple[ImageRun, ImageRun]]:
    """Return the runs at the low and at the high signal, paired by seed."""
    return paired(at_signal(case, "low"), at_signal(case, "high"))


def rng() -> np.random.Generator:
    """Return the generator of every bootstrap: the same draws for all that is compared."""
    return np.random.default_rng(DRAWS)


def fall_of(one: Coordinate) -> CrossFittedSwing | None:
    """Return how far a coordinate falls, cross-fitted; None of fewer than two snapshots."""
    if len(one.sums) < FEWEST:
        return None
    return cross_fitted_swing(one.sums, one.counts, rng=rng())


def is_swing(case: Case, found: CrossFittedSwing | None) -> bool:
    """Return whether a fall is as large, and as certain, as the rule asks."""
    if found is None:
        return False
    return found.fall >= case.numbers["swing"] and found.low > case.numbers["certain"]


def swing(case: Case) -> Iterator[Decision]:
    """Decide whether most runs at low signal turn back along color."""
    runs = at_signal(case, "low")
    gate = general_gate(runs, case.study.gates, *of_paths(is_gated(case)))
    falls = [_color_fall(run, is_gated(case)) for run in runs]
    swings = np.array([is_swing(case, found) for found in falls])
    parts = [
        ("c_color turns back", count("MOST", swings)),
        ("fall R", informs(_falls(falls))),
    ]
    yield case.decision("signal .2", parts, gate)


def _color_fall(run: ImageRun, gated: bool) -> CrossFittedSwing | None:
    return None if run.diverged else fall_of(paths(run, gated)[COLOR])


def _falls(found: Sequence[CrossFittedSwing | None]) -> np.ndarray:
    return np.array([one.fall for one in found if one], dtype=np.float64)


def direction(case: Case) -> Iterator[Decision]:
    """Decide whether size leads at low signal, and color at high signal."""
    pairs, gated = both_signals(case), is_gated(case)
    every = [run for pair in pairs for run in pair]
    gate = general_gate(every, case.study.gates, *of_paths(gated))
    leads = np.array([[_lead(case, run, gated) for run in pair] for pair in pairs]).reshape(-1, 2)
    bar = case.numbers["beyond"]
    yes = (leads[:, 0] < -bar) & (leads[:, 1] > bar)
    parts = [
        ("size leads at .2, and color at .7", count("MOST", yes)),
        ("D at .2", informs(leads[:, 0])),
        ("D at .7", informs(leads[:, 1])),
    ]
    yield case.decision("signals .2 and .7", parts, gate)


def _lead(case: Case, run: ImageRun, gated: bool) -> float:
    """Return the mean of c_color − c_size up to the last step of the rule; nan if nothing
    counts."""
    if run.diverged:
        return float("nan")
    found = paths(run, gated)
    early = found[COLOR].images_seen <= case.numbers["until"] * run.config.train.batch_size
    apart = (found[COLOR].values - found[SIZE].values)[early]
    return float(apart.mean()) if len(apart) else float("nan")


def mean_squared_error(case: Case) -> Iterator[Decision]:
    """Decide whether the mean squared distance of the path from its end rises in most runs."""
    runs, gated = at_signal(case, "low"), is_gated(case)
    gate = general_gate(runs, case.study.gates, *of_paths(gated))
    rises = [None if run.diverged else _rise(run, gated) for run in runs]
    n = case.numbers
    yes = [one is not None and one.fall >= n["rise"] and one.low > n["certain"] for one in rises]
    parts = [
        ("mean (c − 1)² rises", count("MOST", np.array(yes))),
        ("rise", informs(_falls(rises))),
    ]
    yield case.decision("signal .2", parts, gate)


def _rise(run: ImageRun, gated: bool) -> CrossFittedSwing | None:
    found = [*paths(run, gated).values()]
    if len(found[0].sums) < FEWEST:
        return None
    means = np.stack([one.sums / one.counts for one in found])
    return cross_fitted_rise(means, rng=rng())


def readouts(case: Case) -> Iterator[Decision]:
    """Decide whether three readouts agree in most runs that color turns back, or does not. What
    one of them cannot read is no agreement."""
    runs, gated = at_signal(case, "low"), is_gated(case)
    gate = general_gate(runs, case.study.gates, *of_paths(gated))
    swings = [_by_readout(case, run, gated) for run in runs]
    agree = [None not in own and len({*own}) == 1 for own in swings]
    by_name = zip(READOUTS, zip(*swings, strict=True), strict=True)
    counts = [(f"{name}: turns back", informs(_yes(own))) for name, own in by_name]
    parts = [("all three readouts agree", count("MOST", np.array(agree))), *counts]
    yield case.decision("signal .2", parts, gate)


def _by_readout(case: Case, run: ImageRun, gated: bool) -> list[bool | None]:
    """Return what each readout says; None where it cannot be read."""
    if run.diverged:
        return [None] * len(READOUTS)
    every = [*probe_coordinates(held_out(run.plain)), *_of_oracle(run)]
    of_color = {one.instrument: one for one in every if one.measure == COLOR}
    own = {name: only(one, one.counting) if gated else one for name, one in of_color.items()}
    falls = [fall_of(own[name]) if name in own else None for name in READOUTS]
    return [is_swing(case, one) if one and np.isfinite(one.fall) else None for one in falls]


def _of_oracle(run: ImageRun) -> Iterator[Coordinate]:
    """Yield the oracle's coordinates; the class means are those of all combinations."""
    rows = run.table("oracle")
    if len(rows):
        yield from oracle_coordinates(rows[rows["images_seen"] > 0])


def learning_time(case: Case) -> Iterator[Decision]:
    """Decide whether color is learned sooner at high signal, by the ratio of the rule."""
    pairs, gated = both_signals(case), is_gated(case)
    every = [run for pair in pairs for run in pair]
    gate = general_gate(every, case.study.gates, *of_paths(gated))
    times = np.array([[_time(case, run, gated) for run in pair] for pair in pairs]).reshape(-1, 2)
    ratio = times[:, 0] / times[:, 1]
    parts = [
        ("T(.2) / T(.7) is as large as asked", count("MOST", ratio >= case.numbers["ratio"])),
        ("ln ratio", informs(np.log(ratio))),
    ]
    yield case.decision("signals .2 and .7", parts, gate)


def _time(case: Case, run: ImageRun, gated: bool) -> float:
    """Return the images seen until color is read as asked; the last, where it never is."""
    if run.diverged:
        return float("nan")
    rows = held_out(run.plain)
    right = right_images(_counted(rows, gated), COLOR)
    if right.empty:
        return float(rows["images_seen"].max())
    seen = right.index.to_numpy(np.float64)
    return within(time_of(right.to_numpy(), seen, case.numbers["learned"]), seen)


def _counted(rows: pd.DataFrame, gated: bool) -> pd.DataFrame:
    return rows[rows["images_seen"].isin(counting(rows))] if gated else rows


def obedience_order(case: Case) -> Iterator[Decision]:
    """Decide whether size is obeyed first at low signal, and color at high signal.

    A level that is refused answers neither yes nor no: what one signal answers may decide alone.
    """
    pairs = both_signals(case)
    gate = general_gate([run for pair in pairs for run in pair], case.study.gates)
    low = [_comes_first(case, run, SIZE, COLOR) for run, _ in pairs]
    high = [_comes_first(case, run, COLOR, SIZE) for _, run in pairs]
    both = [_and(*answers) for answers in zip(low, high, strict=True)]
    if not gate and None in both:
        gate = f"gate: {both.count(None)} of {len(both)} pairs rest on a level that is refused"
    parts = [
        ("size first at .2, and color first at .7", count("MOST", _yes(both))),
        ("size first at .2, where not refused", informs(_yes(low))),
        ("color first at .7, where not refused", informs(_yes(high))),
    ]
    yield case.decision(f"level {case.numbers['level']:g}", parts, gate)


def _comes_first(case: Case, run: ImageRun, first: str, then: str) -> bool | None:
    """Return whether one word is obeyed by half before another; what never is comes last. None
    where the level of one of them is refused."""
    if run.diverged:
        return False
    level = case.numbers["level"]
    if refused_at(run, level, (first, then)):
        return None
    rows = run.denoiser
    clock = rule_clock(rows[rows["level"] == level]).set_index("concept")
    when = clock["images_seen"].fillna(clock["before"].where(clock["after"] > 0, 0.0))
    return bool(when[first] < when[then])


def _and(*answers: bool | None) -> bool | None:
    """Return yes if all answers are, no if one is, and None if that cannot be told."""
    return False if False in answers else None if None in answers else True


def _yes(answers: Sequence[bool | None]) -> np.ndarray:
    """Return the answers that there are, as bool."""
    return np.array([one for one in answers if one is not None], dtype=bool)


def refused_at(run: ImageRun, level: float, concepts: tuple[str, ...]) -> str:
    """Return why the obedience to some concepts cannot be read at a level, or ""."""
    rows = run.denoiser[run.denoiser["level"] == level]
    own = rows[rows["concept"].isin(concepts)]
    if {*own["concept"]} != {*concepts}:
        return f"level {level:g} is not measured for {', '.join(concepts)}"
    whys = own["refused"].dropna()
    return f"level {level:g} is refused: {whys.iloc[0]}" if len(whys) else ""


def obedience_swing(case: Case) -> Iterator[Decision]:
    """Decide at each level whether the obedience to the word of color turns back."""
    runs = at_signal(case, "low")
    for level in case.lists["levels"]:
        why = partial(refused_at, level=level, concepts=(COLOR,))
        gate = general_gate(runs, case.study.gates, why)
        seen = [run for run in runs if run.diverged or not why(run)]
        falls = [None if run.diverged else _obedience_fall(run, level) for run in seen]
        swings = np.array([is_swing(case, found) for found in falls])
        parts = [
            ("e_color turns back", count("MOST", swings)),
            ("fall", informs(_falls(falls))),
        ]
        yield case.decision(f"signal .2, level {level:g}", parts, gate)


def _obedience_fall(run: ImageRun, level: float) -> CrossFittedSwing | None:
    rows = run.denoiser
    own = denoiser_coordinates(rows[(rows["level"] == level) & (rows["images_seen"] > 0)])
    return next((fall_of(one) for one in own if one.measure == COLOR), None)
