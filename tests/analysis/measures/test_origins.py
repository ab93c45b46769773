"""Where verdicts are from: the untrained network, or training."""

import numpy as np
import pytest

from analysis.measures.intervals import Interval
from analysis.measures.origins import origin_of

MOST = (2.3, 2.3)
NAMES = ("v_f", "v_g", "kappa", "omega", "pr_x", "pr_y")
GIVEN = {"pr_x": (5, 6), "pr_y": (5, 6)}  # as an encoding by sinusoids
NOISE = {"v_f": (-1, 1), "kappa": (-3, 3), "omega": (np.nan, np.nan)}
STILL = dict.fromkeys(NAMES, Interval(-0.1, 0.1))


def evidence(changed=()):
    holds = {"v_f": (0.4, 0.6), "v_g": (0.4, 0.6), "kappa": (0, 0.1), "omega": (0, 0.1)}
    holds |= {"pr_x": (1.9, 2.1), "pr_y": (1.9, 2.1)}
    return {name: Interval(*ends) for name, ends in {**holds, **dict(changed)}.items()}


def moved(**changes):
    return {**STILL, **{name: Interval(*ends) for name, ends in changes.items()}}


@pytest.mark.parametrize(
    "now, start, changes, word",
    [
        (GIVEN, GIVEN, {}, "as at step 0"),
        (GIVEN, GIVEN, {"pr_x": (-2, -1)}, "as at step 0"),  # another number, not another form
        ({}, GIVEN, {}, "learned"),
        ({"kappa": (0.4, 0.5)}, {}, {}, "learned"),
        ({"kappa": (0.2, 0.3)}, {}, {}, None),
        ({}, NOISE, {"v_f": (0.2, 0.9)}, "moved"),
        ({}, NOISE, {"v_g": (0.2, 0.9)}, "unclear"),  # was there already
        ({}, NOISE, {}, "unclear"),
        ({}, {"pr_x": (2, 4)}, {"pr_x": (-2, -0.5)}, "moved"),
        ({}, {"pr_x": (2, 4)}, {"pr_x": (0.5, 2)}, "unclear"),  # away from where it is
        ({}, {"pr_x": (2, 4)}, {"kappa": (-2, -0.5)}, "unclear"),  # was on its side already
        ({"kappa": (0.4, 0.5)}, {"kappa": (0.2, 0.3)}, {"kappa": (0.1, 0.3)}, "moved"),
    ],
)
def test_a_verdict_is_learned_beside_that_of_step_0(now, start, changes, word):
    assert origin_of(evidence(now), evidence(start), moved(**changes), MOST) == word


def test_what_a_coupled_code_does_not_rest_on_says_nothing():
    now = evidence({"kappa": (0.4, 0.5)})
    start = evidence({"kappa": (0.2, 0.3), "pr_x": (2, 4)})
    assert origin_of(now, start, moved(pr_x=(-2, -1)), MOST) == "unclear"
