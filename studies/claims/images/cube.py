"""Claims about the cube of two colors, two sizes and two backgrounds."""

from collections.abc import Iterator, Mapping
from statistics import NormalDist

import numpy as np
import pandas as pd

from analysis.measures.intervals import Interval
from analysis.measures.verdicts import Verdict, more, same
from analysis.tables.emergence import distance_means, distances_from_training, emergence_row
from studies.claims.claim import Decision
from studies.claims.evidence import diverged, each
from studies.claims.images.gates import general_gate
from studies.claims.images.pairs import more_images, of_pairs
from studies.claims.images.runs import ImageRun
from studies.claims.images.signal import rng
from studies.claims.images.tables import drawn, right_images
from studies.claims.of_file import Case

NUM_DRAWS = 9999
EMERGENCE = ("excess", "excess_variance", "advantage", "advantage_variance")
FAR = 2  # concepts in which the farthest combination differs from training, of neighbors
FEW_CELLS = "fewer than ten held-out cells have a product in .1 to .9"


def neighbors(case: Case) -> list[ImageRun]:
    """Return the runs on the graph of neighbors, whose farthest combination is two concepts off."""
    return [run for run in case.study.where(shuffled=False) if _reach(run) == FAR]


def adversarial(case: Case) -> list[ImageRun]:
    """Return the runs on the graph that leaves no combination two concepts off."""
    return [run for run in case.study.where(shuffled=False) if _reach(run) < FAR]


def _reach(run: ImageRun) -> int:
    """Return the distance from training of the farthest combination, as the config has it."""
    exam = run.experiment.exam
    rows = [
        {"combination": question.combination, "split": question.split, "concept": k, "target": word}
        for question in exam.questions["none"]
        for k, word in enumerate(question.combination.split())
    ]
    return int(distances_from_training(pd.DataFrame(rows)).max())


def order(case: Case) -> Iterator[Decision]:
    """Decide whether what is nearer to training is learned sooner, in each seed."""
    runs = neighbors(case)
    steps = [(0, 1), (1, 2)]
    parts = [
        part
        for near, far in steps
        for part in each(
            f"distance {near} − distance {far}",
            {run.seed: _sooner(case, run, near, far) for run in runs},
        )
    ]
    yield case.decision("neighbors", parts, general_gate(runs, case.study.gates))


def _sooner(case: Case, run: ImageRun, near: int, far: int) -> Verdict:
    margin = case.entry.margin
    if run.diverged:
        return diverged(f"MORE({margin:g})")
    means = distance_means(run.plain).set_index("distance").loc[[near, far]]
    accuracy, variance = (means[name].to_numpy(np.float64) for name in ("accuracy", "variance"))
    effect = float(accuracy[0] - accuracy[1])
    return more(margin, effect, normal(effect, variance.sum()))


def normal(value: float, variance: float, level: float = 0.95) -> Interval:
    """Return the normal interval of a value with this variance over noise."""
    half = NormalDist().inv_cdf((1 + level) / 2) * float(variance) ** 0.5
    return Interval(float(value) - half, float(value) + half)


def multiplicative(case: Case) -> Iterator[Decision]:
    """Decide whether joint accuracy is the product of the concepts', in each seed."""
    runs = neighbors(case)
    rows = {run.seed: {} if run.diverged else _emerged(run) for run in runs}
    few = [seed for seed, row in rows.items() if len(row) and not np.isfinite(row["excess"])]
    gate = general_gate(runs, case.study.gates)
    gate = gate or (f"gate: {FEW_CELLS} in {len(few)} of {len(runs)} runs" if few else "")
    parts = [
        *each("joint − product", {seed: _alike(case, row) for seed, row in rows.items()}),
        *each("RMSE, minimum − product", {s: _better(row) for s, row in rows.items()}),
    ]
    yield case.decision("neighbors", parts, gate)


def _emerged(run: ImageRun) -> dict[str, float]:
    """Return the numbers of `emergence_row`."""
    (row,) = emergence_row(run.plain).drop(columns="run").to_dict("records")
    return {str(name): float(number) for name, number in row.items()}


def _alike(case: Case, row: Mapping[str, float]) -> Verdict:
    margin = case.entry.margin
    if not len(row):
        return diverged(f"SAME({margin:g})")
    excess, variance = row["excess"], row["excess_variance"]
    wide, inner = (normal(excess, variance, level) for level in (0.95, 0.9))
    return same(margin, excess, wide, inner)


def _better(row: Mapping[str, float]) -> Verdict:
    if not len(row):
        return diverged("MORE(0)")
    advantage = row["advantage"]
    return more(0.0, advantage, normal(advantage, row["advantage_variance"]))


def graphs(case: Case) -> Iterator[Decision]:
    """Decide whether the adversarial graph composes far less, in each seed."""
    graphs, what = (neighbors(case), adversarial(case)), "joint accuracy, neighbors − adversarial"
    yield of_pairs(case, "classes two concepts off", what, *graphs, _apart)


def _apart(case: Case, first: ImageRun, second: ImageRun) -> Verdict:
    """Judge the combinations that neither graph trains and that lie one concept off 111."""
    one, other = (_at(case, run) for run in (first, second))
    images = one.columns.intersection(other.columns)
    difference = one[images].to_numpy()[0] - other[images].to_numpy()[0]
    return more_images(case.entry.margin, difference)


def _at(case: Case, run: ImageRun) -> pd.DataFrame:
    """Return which images of held-out combinations are right, at the step of the rule."""
    own = run.plain[run.plain["step"] == case.numbers["at"]]
    return right_images(own[own["split"] == "held_out"])


def shuffled(case: Case) -> Iterator[Decision]:
    """Decide whether prompts do nothing if conditions are permuted, in each seed."""
    runs = case.study.where(shuffled=True)
    gate = general_gate(runs, case.study.gates, trained=False)
    verdicts = {run.seed: _effect(case, run) for run in runs}
    yield case.decision("permuted", each("P(v | prompt v) − P(v | others)", verdicts), gate)


def _effect(case: Case, run: ImageRun) -> Verdict:
    margin = case.entry.margin
    if run.diverged:
        return diverged(f"SAME({margin:g})")
    reads = _reads(run.last[run.last["split"] == "train"])
    images = reads.shape[2]
    weights = np.vstack([np.full(images, 1 / images), drawn(images, rng(), NUM_DRAWS)])
    values = _asked_effect(weights, reads)
    (low, high), (inner_low, inner_high) = (
        np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2]) for level in (0.95, 0.9)
    )
    wide, inner = Interval(float(low), float(high)), Interval(float(inner_low), float(inner_high))
    return same(margin, float(values[0]), wide, inner)


def _reads(last: pd.DataFrame) -> np.ndarray:
    """Return whether an image of prompt p reads as class v: (prompts, classes, samples)."""
    read = last.assign(predicted=last["predicted"].astype("string").fillna("?"))
    words = read.pivot(index=["combination", "sample"], columns="concept", values="predicted")
    asked = last.pivot(index=["combination", "sample"], columns="concept", values="target")
    classes = asked.groupby(level="combination").first().astype(str)
    names = [*classes.index]
    is_class = np.stack([(words == classes.loc[name]).all(axis=1) for name in names])
    samples = len(words) // len(names)
    by_prompt = is_class.reshape(len(names), len(names), samples)
    return by_prompt.swapaxes(0, 1).astype(np.float64)


def _asked_effect(weights: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """Return the mean over classes of the effect of asking for them, by draw."""
    shares = np.einsum("dn,pvn->dpv", weights, reads)
    own = np.einsum("dvv->dv", shares)
    others = (shares.sum(1) - own) / (shares.shape[1] - 1)
    return np.asarray((own - others).mean(1))
