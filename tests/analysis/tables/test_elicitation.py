"""Interventions in the scores table: what they elicit, and what switches decide."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.elicitation import elicitation_figure, switch_figure
from analysis.tables.elicitation import (
    ALL,
    elicitation_curves,
    elicitation_table,
    elicitations,
    switch_shares,
)
from tests.harness.legibility import assert_legible

KINDS = {"latent all 2": "latent shift", "latent all 3": "latent shift", "patch": "patch"}
STEPS, SAMPLES = 8, 20


def right_from(step: int, late: int = 0) -> np.ndarray:
    """bool (steps, combinations, samples, concepts): right from a step on, a few of them later."""
    right = np.zeros((STEPS, 2, SAMPLES, 2), bool)
    right[step:] = True
    right[step : step + 1, :, :late] = False
    return right


@pytest.fixture
def scores(make_scores) -> pd.DataFrame:
    """Captions are right from the sixth snapshot on, latent shifts from the third."""
    rights = {"none": 5, "latent all 2": 2, "latent all 3": 4, "patch": 5}
    splits = ("train", "held_out")
    tables = [
        make_scores(right_from(step), concepts=("color", "size"), splits=splits).assign(
            intervention=name
        )
        for name, step in rights.items()
    ]
    both = pd.concat(tables, ignore_index=True)
    return both[(both["split"] == "held_out") | (both["intervention"] == "none")]


def test_kinds_elicit_when_their_best_intervention_does(scores):
    found = elicitations(scores, KINDS)
    table = elicitation_table(found).set_index("kind")
    assert [*table.index] == ["latent shift", "patch", ALL]
    assert table["before"].tolist() == [True, False, True]
    prompted, elicited = 400 * (500 / 400) ** 0.8, 100 * 2**0.8
    assert table["prompted"].tolist() == pytest.approx([prompted] * 3)
    assert table["elicited"].tolist() == pytest.approx([elicited, prompted, elicited])
    assert table.loc["latent shift", "ratio"] == pytest.approx(prompted / elicited)
    assert table.loc["patch", ["gap", "gap_low", "gap_high"]].tolist() == [0, 0, 0]
    curves = elicitation_curves(found)
    assert len(curves) == 3 * 7 and curves["images_seen"].min() == 100  # none before training
    assert_legible(elicitation_figure(curves, table.reset_index()))


def test_nothing_is_said_of_what_cannot_be_compared(scores):
    none = scores[scores["split"] == "train"]
    few = scores[scores["step"] <= 1]
    alone = scores[scores["sample"] == 0]
    assert elicitations(none, KINDS) == elicitations(few, KINDS) == elicitations(alone, KINDS) == {}


def test_images_that_some_snapshot_lacks_are_left_out(scores):
    more = scores[(scores["step"] == STEPS - 1) | (scores["sample"] < SAMPLES // 2)]
    found = elicitations(more, KINDS)["latent shift"]
    again = elicitations(scores[scores["sample"] < SAMPLES // 2], KINDS)["latent shift"]
    assert found.ratio == again.ratio and found.ratio_interval == again.ratio_interval


def test_switches_tell_shown_from_other_and_from_unsure(make_scores):
    names = {"none": 0, "switch color at 0.5": 5, "switch color at 1": 20}
    tables = []
    for name, wrong in names.items():
        right = np.ones((2, 1, SAMPLES, 2), bool)
        right[:, :, :wrong, 0] = False
        table = make_scores(right, concepts=("color", "size"), splits=("held_out",))
        tables.append(table.assign(intervention=name))
    scores = pd.concat(tables, ignore_index=True)
    blurred = (scores["intervention"] == "switch color at 1") & (scores["sample"] < 8)
    scores.loc[blurred, "predicted"] = None
    switches = {"switch color at 0.5": ("color", 0.5), "switch color at 1": ("color", 1.0)}
    shares = switch_shares(scores, switches)
    last = shares[shares["step"] == 1]
    assert last["at"].tolist() == [0, 0.5, 1] and {*last["images"]} == {SAMPLES}
    assert last["shown"].tolist() == pytest.approx([1, 0.75, 0])
    assert last["other"].tolist() == pytest.approx([0, 0.25, 0.6])
    assert last["unsure"].tolist() == pytest.approx([0, 0, 0.4])
    assert ((last["low"] <= last["shown"]) & (last["shown"] <= last["high"])).all()
    assert_legible(switch_figure(shares))
