"""Claims about crossed stripes: what composes, what interpolates, and what the code is like."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.measures.geometry import one_circle
from analysis.measures.intervals import Interval, clopper_pearson, newcombe
from analysis.measures.verdicts import Verdict, more
from analysis.tables.outcomes import WITHIN_PX
from studies.claims.claim import Decision
from studies.claims.evidence import beyond, diverged, each
from studies.claims.images.gates import general_gate
from studies.claims.images.pairs import of_pairs
from studies.claims.images.runs import ImageRun
from studies.claims.of_file import Case
from studies.worlds.bumps.exam import BumpExam

COMPOSES, INTERPOLATES = "composes", "interpolates"  # questions of `tables.outcomes`
UNKNOWN = Interval(float("nan"), float("nan"))


def crossings(case: Case) -> list[ImageRun]:
    """Return the runs that are shown crossings alone, without bands of values."""
    return case.study.where(examples="2d", region="bands")


def both(case: Case) -> list[ImageRun]:
    """Return the runs that are shown crossings without bands, and stripes."""
    return case.study.where(examples="both", region="bands")


def compose(case: Case) -> Iterator[Decision]:
    """Decide whether the seen coordinate is placed right beside a held-out one, in each seed."""
    yield _of_question(case, crossings(case), "crossings", COMPOSES, sign=1)


def interpolate(case: Case) -> Iterator[Decision]:
    """Decide whether the held-out coordinate is not, in each seed."""
    yield _of_question(case, crossings(case), "crossings", INTERPOLATES, sign=-1)


def without_crossings(case: Case) -> Iterator[Decision]:
    """Decide whether stripes alone do not compose, in each seed."""
    runs = case.study.where(examples="1d")
    yield _of_question(case, runs, "stripes", COMPOSES, sign=-1)


def _of_question(
    case: Case, runs: list[ImageRun], variant: str, question: str, sign: int
) -> Decision:
    """Judge whether the share of a question lies above (sign 1) or below the bar."""
    verdicts = {run.seed: _share(case.numbers["bar"], run, question, sign) for run in runs}
    bar = f"{case.numbers['bar']:g}"
    what = f"accuracy − {bar}" if sign > 0 else f"{bar} − accuracy"
    return case.decision(variant, each(what, verdicts), general_gate(runs, case.study.gates))


def _share(bar: float, run: ImageRun, question: str, sign: int) -> Verdict:
    if run.diverged:
        return diverged("MORE(0)")
    row = outcome(run, question)
    return beyond(bar, row["accuracy"], Interval(row["low"], row["high"]), sign)


def outcome(run: ImageRun, question: str) -> dict[str, float]:
    """Return accuracy, low and high of a question at the last snapshot of a run."""
    exam = run.experiment.exam
    assert isinstance(exam, BumpExam)
    table = exam.outcomes(run.last).set_index("question")[["accuracy", "low", "high"]]
    row = table.astype(np.float64).to_dict("index")[question]
    return {str(name): number for name, number in row.items()}


def stripes(case: Case) -> Iterator[Decision]:
    """Decide whether stripes let both axes be right where crossings alone do not, in each seed."""
    what = "both axes right, crossings and stripes − crossings"
    yield of_pairs(case, "three sections", what, both(case), crossings(case), _repaired)


def _repaired(case: Case, first: ImageRun, second: ImageRun) -> Verdict:
    (one, of_one), (other, of_other) = (both_right(run) for run in (first, second))
    interval = newcombe((one, other), (of_one, of_other))
    return more(case.entry.margin, one / of_one - other / of_other, interval)


def both_right(run: ImageRun) -> tuple[int, int]:
    """Return in how many images of held-out crossings both coordinates are read within 1 px, and
    of how many."""
    own = run.last[run.last["split"] == "held_out"]
    apart = (own["predicted_value"] - own["target_value"]).abs()
    right = own.assign(right=apart <= WITHIN_PX, there=own["target_value"].notna())
    images = right.groupby(["combination", "prompt", "sample"], observed=True)[["right", "there"]]
    found: pd.DataFrame = images.all()
    crossed = found[found["there"]]
    return int(crossed["right"].sum()), len(crossed)


def square(case: Case) -> Iterator[Decision]:
    """Decide whether values that were each seen are composed (holds), or are not (fails)."""
    runs = case.study.where(examples="2d", region="interior")
    gate = general_gate(runs, case.study.gates)
    verdicts = {run.seed: _contested(case, run) for run in runs}
    yield case.decision("square", each("accuracy of both axes", verdicts), gate)


def _contested(case: Case, run: ImageRun) -> Verdict:
    suffice, do_not = case.numbers["suffice"], case.numbers["do_not"]
    rule = f"above {suffice:g} holds, below {do_not:g} fails"
    if run.diverged:
        return diverged(rule)
    right, images = both_right(run)
    ends = clopper_pearson(right, images)
    word = more(suffice, right / images, ends).word
    if word == "fails" and ends.high >= do_not:
        word = "undecided"
    return Verdict(word, right / images, ends, rule)


def code(case: Case) -> Iterator[Decision]:
    """Decide whether x and y lie in orthogonal subspaces without interaction, and whether each
    takes more than one circle."""
    runs = [case.study.with_code(run) for run in both(case)]
    gate = general_gate(runs, case.study.gates)
    n = case.numbers
    bar = one_circle(int(n["grid"]), "arc")
    apart = [
        *_of_code(runs, "kappa", n["kappa"], -1),
        *_of_code(runs, "omega", n["omega"], -1),
    ]
    yield case.decision("(i) no interaction, orthogonal", apart, gate)
    more_than_one = [*_of_code(runs, "pr_x", bar, 1), *_of_code(runs, "pr_y", bar, 1)]
    yield case.decision("(ii) more than one circle", more_than_one, gate)


def _of_code(runs: list[ImageRun], number: str, bar: float, sign: int) -> Iterator:
    what = f"{number} − {bar:.3g}" if sign > 0 else f"{bar:.3g} − {number}"
    return each(what, {run.seed: _number(run, number, bar, sign) for run in runs})


def _number(run: ImageRun, number: str, bar: float, sign: int) -> Verdict:
    if run.diverged:
        return diverged("MORE(0)")
    table = run.table("geometry")
    row = table[table["step"] == table["step"].max()].iloc[0]
    ends = (float(row[f"{number}_low"]), float(row[f"{number}_high"]))
    if not np.isfinite(ends).all():
        return more(0.0, float("nan"), UNKNOWN)
    return beyond(bar, float(row[number]), Interval(*ends), sign)
