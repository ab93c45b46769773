"""Claims of the paper about the symmetric network, each a function of the runs that decide it."""

from collections.abc import Iterator

import numpy as np

from studies.claims.claim import Decision, Part
from studies.claims.evidence import count, informs, share_difference
from studies.claims.sim import kinds, measures
from studies.claims.sim.cases import Case, sim_claim
from studies.claims.sim.config import Run
from studies.claims.sim.runs import Paths
from studies.claims.sim.selections import (
    each_of,
    each_run,
    narrow_and_wide,
    uniform_and_gaussian,
)
from studies.claims.sim.variants import settings_of


def rises(case: Case) -> Iterator[Decision]:
    """Decide whether the loss typically rises."""
    (risen,) = case.rising()
    yield case.decision([("loss rises", count("MOST", risen))])


def mechanism(case: Case) -> Iterator[Decision]:
    """Decide whether rises are suppression, and whether c_1 swings where there is none."""
    (uniform, gaussian), (risen, _) = case.paths, case.rising()
    _, swings = case.each(measures.swings)
    suppressed = measures.suppressed(uniform)[risen]
    negative = gaussian.W[:, 0, 0, 1] < 0
    yield case.decision(
        [
            ("w_22 ≥ ½ and w_12 falls, in rising runs", count("ALL", suppressed)),
            ("c_1 swings, of runs with w_12(0) < 0", count("RARE", swings[negative])),
            *_stages(case.runs[0], uniform),
        ]
    )


def _stages(run: Run, paths: Paths) -> list[Part]:
    """Return measured times over those predicted from W(0), where both are within the path."""
    found = []
    for stage, ratio in measures.stage_ratios(run, paths).items():
        seen = ratio[np.isfinite(ratio)]
        label = f"{stage}, measured / predicted time, in the {len(seen)} runs where it comes"
        found.append((label, informs(seen)))
    return found


def descents(case: Case) -> list[Decision]:
    """Decide whether a loss of s concepts descends s times: it rises s − 1 times between."""
    (paths,), (run,) = case.paths, case.runs
    least = settings_of(run).num_signals - 1
    often = measures.num_rises(paths, case.rules) >= least
    return case.twice(f"{least} rises or more", often)


def plateau(case: Case) -> Iterator[Decision]:
    """Decide after 10 000 and after 40 000 steps whether the loss has stopped."""
    (paths,), (run,) = case.paths, case.runs
    for steps, at in (("10 000", len(paths.t) // 4), ("40 000", -1)):
        stopped = paths.loss[:, at] > case.rules.left * paths.loss[:, 0]
        weak = measures.coordinates(run, paths)[:, at, 0] < 0.5
        parts = [
            ("loss is above .05 of its start", count("MOST", stopped)),
            ("c_1 is below ½", informs(weak)),
        ]
        yield case.decision(parts, f", {steps} steps")


def width(case: Case) -> Iterator[Decision]:
    """Decide whether c_1 swings more often with narrow factors."""
    verdict = share_difference(case.margin, *case.each(measures.swings))
    yield case.decision([("c_1 swings at width 3 − at 192", verdict)])


SYMMETRIC = (
    sim_claim(
        "p1.fig5",
        "Fig. 5",
        kinds.SYMMETRIC,
        each_of(lambda settings: settings.init == "uniform"),
        rises,
        ("rise",),
    ),
    sim_claim(
        "p1.fig5.mechanism",
        "Fig. 5",
        kinds.ENTRIES,
        uniform_and_gaussian,
        mechanism,
        ("rise", "swing"),
    ),
    sim_claim("p1.fig8-9", "Figs. 8 and 9", kinds.DESCENTS, each_run, descents, ("rise",)),
    sim_claim("p1.fig10", "Fig. 10", kinds.LONG, each_run, plateau, ("left",)),
    sim_claim(
        "p1.appE.width",
        "Appendix E",
        kinds.SYMMETRIC,
        narrow_and_wide,
        width,
        ("swing", "margin"),
    ),
)
