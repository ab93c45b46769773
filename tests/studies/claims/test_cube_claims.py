"""Claims about the cube, and rival explanations, on tables with a known answer."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from ground.reading import read_as
from studies.claims.entries import Entry
from studies.claims.images.claims import CUBE, OWN
from studies.claims.images.runs import ImageRun, ImageRuns
from studies.claims.of_file import Case
from tests.harness.claim_runs import (
    GATES,
    constant,
    image_rows,
    image_run,
    image_runs,
    rises,
    study,
    words_of,
)
from tests.harness.commands import ROOT

CLAIMS = {claim.id: claim for claim in (*CUBE, *OWN)}
IMAGES = 32
FACTORIAL = 8**3  # images of which concepts are right independently


def trained(planned) -> set[str]:
    exam = planned.config.terms.exam({}, 0)
    return {one.combination for one in exam.questions["none"] if one.split == "train"}


def cube_run(planned, late: float, alike: bool = False, images: int = IMAGES) -> ImageRun:
    """Concepts are learned around step 150 in training, and each change from it adds `late` steps.
    alike: all concepts of an image are right together."""
    values, trains = words_of(planned), trained(planned)
    base = tuple(own[0] for own in values.values())
    tables = []
    for asked in pd.MultiIndex.from_product(values.values()):
        name = " ".join(asked)
        apart = sum(a != b for a, b in zip(asked, base, strict=True))
        curves = {k: rises(150 + late * (0 if name in trains else max(apart, 1))) for k in values}
        split = "train" if name in trains else "held_out"
        factorial = images == FACTORIAL
        tables.append(image_rows(planned, asked, split, curves, images, factorial=factorial))
    scores = pd.concat(tables, ignore_index=True)
    return image_run("s_cube", planned, {"scores": _together(scores) if alike else scores})


def _together(scores: pd.DataFrame) -> pd.DataFrame:
    """Every concept is read as the first one is."""
    first = scores[scores["concept"] == scores["concept"].iloc[0]]
    right = first.set_index(["step", "combination", "sample"])["predicted"].eq(
        first.set_index(["step", "combination", "sample"])["target"]
    )
    keys = pd.MultiIndex.from_frame(scores[["step", "combination", "sample"]])
    is_right = right.reindex(keys).to_numpy()
    return scores.assign(predicted=np.where(is_right, scores["target"], "?"))


def cube(*late: float, alike: bool = False, images: int = IMAGES) -> ImageRuns:
    """Runs of neighbors and of the adversarial graph, with how much later each concept comes."""
    runs = [p for p in study("s_cube").runs if not p.settings["captions.shuffled"]]
    graphs = dict(zip(("neighbors", "adversarial"), late, strict=True))
    return image_runs(*(cube_run(p, graphs[p.variant], alike, images) for p in runs))


def word(id: str, runs: ImageRuns) -> str:
    (decision,) = CLAIMS[id].decide(runs)
    return decision.word


def test_nearer_combinations_come_sooner_or_not():
    assert word("p3.order", cube(200, 200)) == "holds"
    assert word("p3.order", cube(-40, 0)) == "fails"


def test_joint_accuracy_is_the_product_or_the_minimum():
    assert word("p3.multiplicative", cube(300, 300, images=FACTORIAL)) == "holds"
    assert word("p3.multiplicative", cube(300, 300, alike=True)) == "fails"
    (decision,) = CLAIMS["p3.multiplicative"].decide(cube(0, 0))
    assert decision.word == "undecided" and "fewer than ten held-out cells" in decision.gate


def test_a_graph_composes_less_or_not():
    assert word("p3.adversarial", cube(50, 5000)) == "holds"
    assert word("p3.adversarial", cube(50, 50)) == "fails"
    one, *others = cube(50, 5000).runs
    erring = replace(one, certificate={**one.certificate, "size": 0.9})
    assert word("p3.adversarial", ImageRuns([erring, *others], GATES)) == "undecided"


def permuted(obeyed: float) -> ImageRuns:
    """Half of what is asked is read, or all of it with this chance."""
    runs = []
    for planned in study("s_cube").runs:
        if planned.settings["captions.shuffled"]:
            values = words_of(planned)
            curves = dict.fromkeys(values, constant(obeyed))
            asked = [tuple(name.split()) for name in sorted(trained(planned))]
            rows = [image_rows(planned, one, "train", curves, IMAGES) for one in asked]
            scores = pd.concat(rows, ignore_index=True)
            if not obeyed:  # every prompt shows all classes equally often
                scores["predicted"] = _any_class(scores, asked, [*values])
            runs.append(image_run("s_cube", planned, {"scores": scores}))
    return image_runs(*runs)


def _any_class(scores: pd.DataFrame, classes: list, concepts: list[str]) -> list[str]:
    rows = zip(scores["sample"], scores["concept"], strict=True)
    return [classes[sample % len(classes)][concepts.index(concept)] for sample, concept in rows]


def test_permuted_conditions_do_nothing_or_something():
    """Runs on permuted conditions need not have learned them."""
    assert word("ctl.shuffled", permuted(0.0)) == "holds"
    assert word("ctl.shuffled", permuted(1.0)) == "fails"


def last_runs(name: str, share) -> ImageRuns:
    """Runs of a study with a joint accuracy on held-out combinations, by run."""
    runs = []
    for planned in study(name).runs:
        values = words_of(planned)
        first = next(iter(values))
        known = {k: constant(1.0) for k in values}
        exam = planned.config.terms.exam({}, 0)
        tables = [
            image_rows(
                planned,
                tuple(one.combination.split()),
                one.split,
                {**known, first: constant(share(planned))} if one.split == "held_out" else known,
                IMAGES,
            )
            for one in exam.questions["none"]
        ]
        scores = pd.concat(tables, ignore_index=True)
        runs.append(image_run(name, planned, {"scores": scores}))
    return image_runs(*runs)


@pytest.mark.slow
def test_composition_falls_with_what_is_held_out_or_not():
    counts = {p.variant: int(p.variant) for p in study("s_coverage").runs}
    falls = last_runs("s_coverage", lambda p: 1 - 0.08 * counts[p.variant])
    assert word("own.coverage", falls) == "holds"
    grows = last_runs("s_coverage", lambda p: 0.2 + 0.08 * counts[p.variant])
    assert word("own.coverage", grows) == "fails"


@pytest.mark.parametrize("pooled, contextual, said", [(0.9, 0.5, "holds"), (0.6, 0.6, "fails")])
def test_pooled_words_compose_more_or_not(pooled, contextual, said):
    def share(planned) -> float:
        return pooled if planned.config.model.conditioning == "captions" else contextual

    runs = last_runs("s_captions", share)
    assert word("own.order-blind", runs) == said
    erring = [replace(run, certificate={"num_images": 64.0, "color": 1.0}) for run in runs.runs]
    (decision,) = CLAIMS["own.order-blind"].decide(replace(runs, runs=erring))
    assert decision.word == "undecided" and "tested on 64 clean renders" in decision.gate


def test_the_claim_that_the_page_shows_is_decided():
    """Entry and function, as the page on adding a claim has them."""
    page = (ROOT / "docs" / "extending" / "claims.md").read_text()
    section = page.partition("## A claim about images")[2].partition("\n## ")[0]
    entry, code, _ = re.findall(r"```(?:yaml|python)\n(.*?)```", section, re.DOTALL)
    (id, read), *_ = read_as(dict[str, Entry], yaml.safe_load(entry)["claims"], "").items()
    known: dict = {}
    exec(code, known)
    for late, share in ((50, 1.0), (5000, 0.0)):
        (decision,) = known["learned"](Case(id, read, cube(late, late)))
        assert decision.parts[0][1].effect == share and not decision.gate
