"""Origin of a verdict: was the form of a code there before training, or is it learned?

An untrained network passes on what it is told in the form in which it is told: an encoding of each
coordinate by sinusoids of its own is hyper-factorized before the first step. So a verdict counts as
learned only beside that of step 0.
"""

from collections.abc import Mapping
from typing import Literal

from analysis.measures.geometry import MOST_COUPLED, MOST_SHARED, Shape, shape_of
from analysis.measures.intervals import Interval

Origin = Literal["as at step 0", "learned", "moved", "unclear"]

DECIDES: Mapping[Shape, int] = {"coupled": 3, "additive-but-shared": 4}  # of the numbers; else all


def origin_of(
    now: Mapping[str, Interval],
    start: Mapping[str, Interval],
    changes: Mapping[str, Interval],
    most: tuple[float, float],
) -> Origin | None:
    """Decide where a verdict is from, by 95 % intervals of V_f, V_g, κ, Ω, PR_x and PR_y; None: it
    is undecided.

    as at step 0: the same verdict. learned: another verdict. Else step 0 is undecided, and the
    verdict is moved if one of the numbers that it rests on, and that lay on no side of its bar or
    on the other, has changed toward this side; unclear if none has.

    start: of step 0. changes: of the paired differences, now minus start. most: as for `shape_of`.
    """
    verdict, before = shape_of(now, most), shape_of(start, most)
    if verdict == "undecided":
        return None
    if before != "undecided":
        return "as at step 0" if verdict == before else "learned"
    bars = {"v_f": 0.0, "v_g": 0.0, "kappa": MOST_COUPLED, "omega": MOST_SHARED}
    bars |= {"pr_x": most[0], "pr_y": most[1]}
    for name in [*bars][: DECIDES.get(verdict, len(bars))]:
        here = _side(now[name], bars[name])
        if here not in (0, _side(start[name], bars[name])) and _side(changes[name], 0.0) == here:
            return "moved"
    return "unclear"


def _side(interval: Interval, bar: float) -> int:
    """Return 1 for above the bar, -1 for below, 0 for an interval that holds it, or holds nan."""
    return int(interval.low > bar) - int(interval.high < bar)
