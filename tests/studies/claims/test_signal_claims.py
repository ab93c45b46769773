"""Claims about two colors and two sizes, on tables with a known answer: yes, no, a shut gate."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from studies.claims.images.claims import SIGNAL
from studies.claims.images.runs import ImageRun, ImageRuns
from studies.worlds.intervention_config import Latent, OverPrompt
from studies.worlds.prompt_sets import PLAIN
from tests.harness.claim_runs import (
    constant,
    denoiser_rows,
    dips,
    image_rows,
    image_run,
    image_runs,
    rises,
    study,
)

CLAIMS = {claim.id: claim for claim in SIGNAL}
HELD_OUT, TRAINS = ("blue", "small"), (("red", "big"), ("red", "small"), ("blue", "big"))
PATHS = ("swing", "direction", "mse", "readout")
OTHERS = ("learning-time", *(f"hidden-capability.{k}" for k in ("overprompt", "latent", "spread")))
PAIRED = [*(f"p1.fig6.{one}" for one in PATHS), *(f"p2.{one}" for one in OTHERS)]
UNPAIRED = ["ctl.overprompt", "own.obedience.order", "own.obedience.swing"]


def turning(seed: int, signal: float) -> dict:
    """What the claims say: size leads and color turns back at .2, color leads at .7; what is
    elicited is there before, at nearly one time."""
    late = 900 + 30 * (seed - 1000)
    low = {"color": dips(300, late), "size": rises(120)}
    high = {"color": rises(120), "size": rises(1100)}
    blue = {"color": rises(250 + seed - 1000), "size": rises(120)}
    red = {"color": constant(0.0), "size": constant(1.0)}
    own = low if signal == 0.2 else high
    return {"plain": own, "blue": blue, "red": red, "shift": blue, "oracle": own, "obeyed": own}


def straight(seed: int, signal: float) -> dict:
    """The opposite: color leads everywhere and nothing turns back but in the oracle's eyes; nothing
    is elicited sooner, its times vary more, and over-prompts toward red give what is not there."""
    own = {"color": rises(120), "size": rises(1000 + seed - 1000)}
    blue = {"color": rises(120), "size": rises(1000 + 60 * (seed - 1000))}
    odd = {"color": dips(300, 900), "size": rises(1000)}
    obeyed = {"color": rises(200 if signal == 0.2 else 900), "size": rises(500)}
    red = {"color": constant(1.0), "size": constant(1.0)}
    return {"plain": own, "blue": blue, "red": red, "shift": blue, "oracle": odd, "obeyed": obeyed}


def lost(seed: int, signal: float) -> dict:
    """As `turning`, but color is lost in the end: no run composes."""
    found = turning(seed, signal)
    if signal == 0.2:
        found["plain"] = {"color": dips(300, 1600, 0.9), "size": rises(120)}
    return found


def kind_of(one) -> str:
    if isinstance(one, Latent):
        return "shift"
    assert isinstance(one, OverPrompt)
    return "red" if one.numbers[0] > one.numbers[2] else "blue"


def run_of(planned, curves: dict, trained: float = 1.0, **facts) -> ImageRun:
    made = {PLAIN: "plain"}
    made |= {one.name: kind_of(one) for one in planned.config.evaluate.interventions}
    asked = [image_rows(planned, HELD_OUT, "held_out", curves[k], 64, i) for i, k in made.items()]
    known = dict.fromkeys(("color", "size"), constant(trained))
    shown = [image_rows(planned, names, "train", known, 8) for names in TRAINS]
    oracle = image_rows(planned, HELD_OUT, "held_out", curves["oracle"], 64)
    ends = image_rows(planned, TRAINS[0], "train", known, 8).assign(target_value=0.0)
    tables = {
        "scores": pd.concat([*asked, *shown], ignore_index=True),
        "oracle": pd.concat([oracle, ends], ignore_index=True),
        "denoiser": denoiser_rows(planned, curves["obeyed"], (0.2, 0.5)),
    }
    return image_run("s_signal", planned, tables, **facts)


def world(curves, **facts) -> ImageRuns:
    field = "world.concepts.color.signal"
    runs = study("s_signal").runs
    return image_runs(*(run_of(p, curves(p.seed, p.settings[field]), **facts) for p in runs))


@pytest.fixture(scope="module")
def turned() -> ImageRuns:
    return world(turning)


def words(id: str, runs: ImageRuns) -> list[str]:
    return [decision.word for decision in CLAIMS[id].decide(runs)]


@pytest.mark.parametrize("id", [*PAIRED, *(f"{id}.v2" for id in PAIRED), *UNPAIRED])
def test_what_claims_say_holds_where_it_is_planted(turned, id):
    assert {*words(id, turned)} == {"holds"}


@pytest.fixture(scope="module")
def straightened() -> ImageRuns:
    return world(straight)


@pytest.mark.parametrize("id", [*PAIRED, *(f"{id}.v2" for id in PAIRED), *UNPAIRED])
def test_the_opposite_fails(straightened, id):
    assert {*words(id, straightened)} == {"fails"}


@pytest.fixture(scope="module")
def never() -> ImageRuns:
    return world(lost)


@pytest.mark.parametrize("id", PAIRED)
def test_paths_that_do_not_compose_are_not_judged(never, id):
    """The ungated claim is; its verdict stands beside."""
    (gated,) = CLAIMS[f"{id}.v2"].decide(never)
    assert gated.word == "undecided" and "held-out joint accuracy ends at" in gated.gate
    (free,) = CLAIMS[id].decide(never)
    assert "held-out joint accuracy" not in free.gate


@pytest.mark.parametrize("id", ["p1.fig6.direction", "p2.hidden-capability.latent", *UNPAIRED])
def test_a_probe_that_errs_makes_everything_undecided(turned, id):
    erring = [replace(run, certificate={**run.certificate, "color": 0.98}) for run in turned.runs]
    decisions = CLAIMS[id].decide(replace(turned, runs=erring))
    assert {one.word for one in decisions} == {"undecided"}
    assert all("its probe reads color right in 0.980" in one.gate for one in decisions)


def refused(runs: ImageRuns, signal: float, level: float, concept: str) -> ImageRuns:
    """The same, with a concept refused at a level and a signal."""
    return replace(runs, runs=[_refused(run, signal, level, concept) for run in runs.runs])


def _refused(run: ImageRun, signal: float, level: float, concept: str) -> ImageRun:
    if run.settings["world.concepts.color.signal"] != signal:
        return run
    rows = run.tables["denoiser"]
    blind = (rows["level"] == level) & (rows["concept"] == concept)
    why = rows["refused"].astype("string").mask(blind, "2 of 3000 renders count")
    rows = rows.assign(refused=why, response=rows["response"].mask(blind))
    return replace(run, tables={**run.tables, "denoiser": rows})


def test_a_refused_level_is_no_answer(turned):
    blind = refused(turned, 0.2, 0.5, "color")
    seen, unseen = CLAIMS["own.obedience.swing"].decide(blind)
    assert np.isnan(unseen.parts[0][1].effect)
    assert seen.word == "holds" and unseen.word == "undecided"
    assert "6 of 6 runs" in unseen.gate and "level 0.5 is refused: 2 of 3000" in unseen.gate


def test_a_signal_that_is_seen_may_decide_alone(turned, straightened):
    order = CLAIMS["own.obedience.order"]
    (open_,) = order.decide(refused(turned, 0.7, 0.2, "size"))
    assert open_.word == "undecided" and "6 of 6 pairs rest on" in open_.gate
    (told,) = order.decide(refused(straightened, 0.7, 0.2, "size"))
    assert told.word == "fails" and told.parts[2][1].interval == (0, 1)  # of no run


def test_runs_that_have_not_learned_to_train_are_not_judged():
    (decision,) = CLAIMS["p1.fig6.swing"].decide(world(turning, trained=0.5))
    assert "its accuracy on training conditions ends at 0.25" in decision.gate


def test_a_run_that_diverged_counts_as_no(turned):
    first, *others = turned.runs
    ended = replace(first, tables={}, diverged=True)
    (decision,) = CLAIMS["p1.fig6.swing"].decide(replace(turned, runs=[ended, *others]))
    assert decision.parts[0][1].effect == pytest.approx(5 / 6) and decision.word == "undecided"


def masked_runs(drag: float, shown: float = 1.0) -> ImageRuns:
    runs = []
    for planned in study("s_masked").runs:
        is_masked = planned.settings["captions.drop_word.color of red small"] == 1.0
        color = constant(0.9 - drag) if is_masked else constant(0.9)
        held = image_rows(planned, HELD_OUT, "held_out", {"color": color, "size": rises(100)}, 64)
        known = dict.fromkeys(("color", "size"), constant(shown))
        trains = [image_rows(planned, names, "train", known, 8) for names in TRAINS]
        scores = pd.concat([held, *trains], ignore_index=True)
        runs.append(image_run("s_masked", planned, {"scores": scores}))
    return image_runs(*runs)


@pytest.mark.parametrize("drag, word", [(0.5, "holds"), (0.0, "fails"), (0.22, "undecided")])
def test_masking_drags_as_far_as_it_is_planted(drag, word):
    (decision,) = CLAIMS["p2.underspecification"].decide(masked_runs(drag))
    assert decision.word == word and len(decision.parts) == 4
    shut = CLAIMS["p2.underspecification"].decide(masked_runs(drag, shown=0.5))[0]
    assert shut.word == "undecided" and shut.gate
