"""Claims about crossed stripes, on tables with a known answer: yes, no, and a shut gate."""

import numpy as np
import pandas as pd
import pytest

from studies.claims.images.claims import BUMPS
from studies.claims.images.runs import ImageRun, ImageRuns
from tests.harness.claim_runs import image_run, image_runs, study

CLAIMS = {claim.id: claim for claim in BUMPS}
IMAGES = 128
EDGES = {"low": -0.05, "high": 0.05}  # of intervals


def bump_run(planned, seen: float, new: float, shown: float = 1.0, code: float = 0.0) -> ImageRun:
    """Run whose axes are right with these chances: of a value that crossings of training show, of
    one that they do not, and in the sections that training shows. code: κ and Ω of its code."""
    config = planned.config
    exam, is_new = config.terms.exam({}, config.evaluate.seed), config.world.held_out.is_new
    luck = np.random.default_rng(0)
    tables = []
    for question in exam.questions["none"]:
        prompts, targets = zip(*question.asked(IMAGES), strict=True)
        asked = np.array([[target["x"], target["y"]] for target in targets])
        trains = question.combination.startswith("train")
        for axis, concept in enumerate("xy"):
            chance = np.where(is_new(asked[:, axis]), new, seen)
            right = luck.random(IMAGES) < (shown if trains else chance)
            absent = np.isnan(asked[:, axis])
            read = np.where(right, asked[:, axis], np.where(absent, 1.0, asked[:, axis] + 3))
            table = pd.DataFrame({"sample": range(IMAGES), "prompt": prompts, "concept": concept})
            names = np.where(absent, "none", "there")
            told = {"target": names, "predicted": np.where(right, names, "elsewhere")}
            told |= {"target_value": asked[:, axis], "predicted_value": read}
            about = {"combination": question.combination, "split": question.split}
            tables.append(table.assign(p_target=right * 1.0, **told, **about))
    scores = pd.concat(tables, ignore_index=True)
    step = config.train.max_steps
    scores = scores.assign(run=planned.name, step=step, images_seen=64 * step, intervention="none")
    return image_run("s_bumps", planned, {"scores": scores, "geometry": geometry(step, code)})


def geometry(step: int, code: float) -> pd.DataFrame:
    numbers = {"kappa": code, "omega": code, "pr_x": 4.0, "pr_y": 4.0}
    ends = {f"{k}_{end}": v + d for k, v in numbers.items() for end, d in EDGES.items()}
    return pd.DataFrame([{"step": step, **numbers, **ends}])


def runs(**of_variant) -> ImageRuns:
    """All runs; those of the named variants have the chances given, the others are right."""
    found = []
    for planned in study("s_bumps").runs:
        chances = {"seen": 1.0, "new": 1.0, **of_variant.get(planned.variant, {})}
        found.append(bump_run(planned, **chances))
    return image_runs(*found)


def said(id: str, **of_variant) -> list[str]:
    return [decision.word for decision in CLAIMS[id].decide(runs(**of_variant))]


@pytest.mark.parametrize("id, yes, no", [
    ("p4.fig4.compose", {"seen": 0.97}, {"seen": 0.5}),
    ("p4.fig4.interpolate", {"new": 0.2}, {"new": 0.9}),
    ("p4.fig4.stripes", {"new": 0.2}, {"new": 1.0}),
])  # fmt: skip
def test_crossings_alone(id, yes, no):
    assert said(id, crossings=yes) == ["holds"] and said(id, crossings=no) == ["fails"]
    (decision,) = CLAIMS[id].decide(runs(crossings={**yes, "shown": 0.5}))
    assert decision.word == "undecided" and "training conditions ends at" in decision.gate


def test_stripes_without_crossings_do_not_compose_or_do():
    assert said("p4.fig10.rim", stripes={"seen": 0.1, "new": 0.1}) == ["holds"]
    assert said("p4.fig10.rim") == ["fails"]


def test_the_contested_square_has_three_answers():
    assert said("p4.contested.square") == ["holds"]
    assert said("p4.contested.square", square={"seen": 0.5, "new": 0.5}) == ["fails"]
    assert said("p4.contested.square", square={"seen": 0.8, "new": 0.8}) == ["undecided"]


def test_a_code_is_judged_in_two_parts():
    assert said("p4.fig3", both={"code": 0.1}) == ["holds", "holds"]
    assert said("p4.fig3", both={"code": 0.9}) == ["fails", "holds"]
