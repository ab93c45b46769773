"""Decisions from pairs of runs of equal seed: has the first more than the second, in each seed?"""

from collections.abc import Callable, Sequence

import numpy as np

from analysis.measures.paired import bonett_price_interval
from analysis.measures.verdicts import Verdict, more
from studies.claims.claim import Decision
from studies.claims.evidence import diverged, each
from studies.claims.images.gates import general_gate
from studies.claims.images.runs import ImageRun, paired
from studies.claims.of_file import Case

Judge = Callable[[Case, ImageRun, ImageRun], Verdict]


def of_pairs(
    case: Case,
    variant: str,
    what: str,
    first: Sequence[ImageRun],
    second: Sequence[ImageRun],
    judge: Judge,
) -> Decision:
    """Return the decision of what `judge` says of each pair, a part per seed.

    A pair of which a run diverged counts as "no", by the rule of the others.
    """
    pairs = paired(first, second)
    gate = general_gate([run for pair in pairs for run in pair], case.study.gates)
    whole = {one.seed for one, other in pairs if not (one.diverged or other.diverged)}
    found = {one.seed: judge(case, one, other) for one, other in pairs if one.seed in whole}
    rule = next((one.rule for one in found.values()), f"MORE({case.entry.margin:g})")
    verdicts = {one.seed: found.get(one.seed, diverged(rule)) for one, _ in pairs}
    return case.decision(variant, each(what, verdicts), gate)


def more_images(margin: float, difference: np.ndarray) -> Verdict:
    """Judge a difference of paired shares. difference: of each image, right in the first less right
    in the second, −1, 0 or 1."""
    counts = int((difference > 0).sum()), int((difference < 0).sum())
    interval = bonett_price_interval(*counts, len(difference), 0.95)
    return more(margin, float(difference.mean()), interval)
