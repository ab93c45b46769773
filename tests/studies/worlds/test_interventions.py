"""Interventions of a config: their names, what they ask, and every mistake's message."""

from dataclasses import replace

import pytest

from ground.endings import Mistake
from ground.reading import read_as
from studies.experiment.config import Config, interventions_of, read_config, to_dict
from studies.run.plans import make_plans
from studies.worlds.intervention_config import (
    Guidance,
    Latent,
    OverPrompt,
    Patch,
    Switch,
    file_part,
)
from studies.worlds.interventions import other_captions

KEY = "evaluate.interventions"
EVERY = {
    "over-prompt color x3": OverPrompt(concept="color", factor=3),
    "over-prompt color=(0.05,0.05,0.95)": OverPrompt(concept="color", numbers=(0.05, 0.05, 0.95)),
    "latent color,size 2": Latent(alpha=2, concepts=("color", "size")),
    "latent all -0.1234567": Latent(alpha=-0.1234567),
    "conditioner of step 350": Patch(step=350),
    "conditioner of the last step": Patch(),
    "guidance 3": Guidance(scale=3),
    "switch color at 0.4, of all": Switch(concept="color", at=0.4, of="all"),
}


@pytest.fixture
def config(root) -> Config:
    return read_config(root / "configs" / "tiny.yaml")


def asking(config: Config, *interventions, conditioning: str = "vector") -> Config:
    model = replace(config.model, conditioning=conditioning)
    evaluate = to_dict(config.evaluate) | {"interventions": [*interventions]}
    return read_as(Config, to_dict(config) | {"model": to_dict(model), "evaluate": evaluate}, "")


def test_names_say_all_of_an_intervention():
    assert [one.name for one in EVERY.values()] == [*EVERY]
    parts = [file_part(name) for name in EVERY]
    assert len({*parts}) == len(EVERY) and all("+" in part for part in parts)
    assert file_part("over-prompt color=(0.05,0.05,0.95)") == "over-prompt+color+0.05+0.05+0.95"
    assert file_part("pairs") == "pairs"


def test_a_config_holds_what_it_was_given(config):
    whole = asking(config, *map(to_dict, EVERY.values()))
    assert whole.evaluate.interventions == tuple(EVERY.values())
    assert read_as(Config, to_dict(whole), "") == whole


def test_the_last_conditioner_is_named_by_its_step(config):
    whole = asking(config, {"kind": "patch"})
    assert [one.name for one in interventions_of(whole)] == ["conditioner of step 700"]
    with pytest.raises(Mistake, match=r"\[1\]: is 'conditioner of step 700', as .*\[0\]"):
        asking(config, {"kind": "patch"}, {"kind": "patch", "step": 700})


def test_they_ask_held_out_captions_of_the_same_noise(config):
    some = {"kind": "latent", "alpha": 2}, {"kind": "latent", "alpha": 2, "of": "all"}
    whole = asking(config, *some)
    questions = whole.terms.exam({}, 0, interventions_of(whole)).questions
    assert questions["latent all 2"] == questions["none"][-1:]
    assert questions["latent all 2, of all"] == questions["none"]


def test_guidance_is_that_of_the_intervention(config):
    whole = asking(config, {"kind": "guidance", "scale": 3}, {"kind": "latent", "alpha": 1})
    scales = {plan.intervention: plan.guidance_scale for plan in make_plans(whole)}
    assert scales == {"none": 1, "guidance 3": 3, "latent all 1": 1}


def test_other_captions_differ_in_one_concept(config):
    exam = config.terms.exam({}, 0)
    question = exam.questions["none"][-1]
    assert question.prompt == "a small blue square"
    assert other_captions(config.terms.terms, question, "color") == ["a small red square"]


@pytest.mark.parametrize(
    "conditioning, given, message",
    [
        ("vector", {"kind": "latent"}, r"\[0\].alpha: missing"),
        ("vector", {"kind": "latents", "alpha": 1}, r"\[0\].kind: got 'latents' .*latent.*allowed"),
        ("vector", {"kind": "latent", "alpha": 1e9}, r"\[0\].alpha: got 1e\+09, allowed -1000 to"),
        (
            "vector",
            {"kind": "latent", "alpha": 1, "concepts": ["colour"]},
            r"\[0\].concepts: got 'colour' .*allowed shape, color, size",
        ),
        (
            "vector",
            {"kind": "latent", "alpha": 1, "concepts": ["size", "size"]},
            r"\[0\].concepts: got size, size, allowed each once",
        ),
        ("vector", {"concept": "color"}, r"\[0\].factor: give either a factor or numbers"),
        (
            "vector",
            {"concept": "color", "factor": 2, "numbers": [1]},
            r"\[0\].factor: give either a factor or numbers",
        ),
        ("vector", {"concept": "color", "numbers": [1]}, r"\[0\].numbers: got 1, allowed 3, as"),
        ("one_hot", {"concept": "color", "numbers": [1]}, r"\[0\].numbers: got 1, allowed 2, as"),
        (
            "captions",
            {"concept": "color", "numbers": [1, 2]},
            r"\[0\].numbers: is for model.conditioning vector, one_hot, embeddings; got captions",
        ),
        (
            "coordinates",
            {"concept": "color", "factor": 2},
            r"\[0\].factor: is for .*captions_contextual; got coordinates",
        ),
        ("vector", {"kind": "patch", "step": 3}, r"\[0\].step: got 3, allowed the snapshots of"),
        ("vector", {"kind": "guidance", "scale": -1}, r"\[0\].scale: got -1, allowed 0 to 1000"),
        (
            "vector",
            {"kind": "switch", "concept": "color", "at": 1.5},
            r"\[0\].at: got 1.5, allowed 0 to 1",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(config, conditioning, given, message):
    if conditioning == "coordinates":
        world = replace(
            config.world, concepts={n: config.world.concepts[n] for n in ("color", "size")}
        )
        config = replace(config, world=replace(world, held_out=("blue small",)))
    with pytest.raises(Mistake, match=message) as raised:
        asking(config, given, conditioning=conditioning)
    assert KEY in str(raised.value) and "\n" not in str(raised.value)


def test_without_held_out_combinations_all_must_be_asked(config):
    open_world = replace(config, world=replace(config.world, held_out=()))
    with pytest.raises(Mistake, match=r"\[0\].of: no combination is held out, allowed all"):
        asking(open_world, {"kind": "latent", "alpha": 1})
    asking(open_world, {"kind": "latent", "alpha": 1, "of": "all"})


def test_a_frozen_encoder_is_the_same_in_every_snapshot(config):
    model = replace(
        config.model,
        conditioning="pretrained",
        text_encoder=replace(config.model.text_encoder, name="somewhere"),
    )
    evaluate = replace(config.evaluate, interventions=(Patch(),))
    with pytest.raises(Mistake, match=r"\[0\]: a patch changes nothing with .*frozen: true"):
        replace(config, model=model, evaluate=evaluate)


def test_worlds_of_bumps_have_none(root):
    bumps = read_config(root / "configs" / "bumps_torus_small.yaml")
    with pytest.raises(Mistake, match=f"{KEY}: worlds of bumps have no words to ask by"):
        replace(bumps, evaluate=replace(bumps.evaluate, interventions=(Patch(),)))
