"""Sets of prompts: what a template asks of every combination, and every mistake's message."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.world import World, WorldConfig
from diffusion.composition import parse_composition
from ground.endings import Mistake
from studies.experiment.config import Config, read_config
from studies.scoring.noise import image_index, paired_noise
from studies.worlds.prompt_sets import PLAIN, all_questions, ask, rows_per_step
from tests.conftest import CONCEPTS

WORLD = World(WorldConfig(concepts=CONCEPTS, held_out=("square blue small",), num_images=256))
SLOTS = [f"{{{name}}}" for name in WORLD.space.names]
TERMS = st.lists(st.lists(st.sampled_from(SLOTS), min_size=1, unique=True), min_size=1, max_size=3)


def test_the_captions_ask_every_combination_of_itself():
    asked = all_questions(WORLD, {})[PLAIN]
    assert [q.prompt for q in asked] == [*map(WORLD.captioner.write, WORLD.space.combinations)]
    assert [q.combination for q in asked] == [*map(WORLD.space.name, WORLD.space.combinations)]
    assert [q.split for q in asked] == [*map(WORLD.split.of, WORLD.space.combinations)]
    assert [q.start for q in asked] == [*range(8)]
    assert ask(WORLD, "same", "a {size} {color} {shape}") == asked


def test_a_composition_is_scored_against_the_combination_that_writes_it():
    asked = ask(WORLD, "pairs", "a {color} {shape} AND a {size} {shape}:2")
    last = asked[-1]
    assert len(asked) == 8 and last.prompt == "a blue square AND a small square:2"
    assert last.targets == {"shape": "square", "color": "blue", "size": "small"}
    assert (last.combination, last.split, last.start) == ("square blue small", "held_out", 7)
    assert {question.split for question in asked[:-1]} == {"train"}


def test_partial_prompts_ask_for_less_and_are_asked_once():
    asked = ask(WORLD, "shapes", "a {color} {shape}")
    pairs = [("circle", "red"), ("circle", "blue"), ("square", "red"), ("square", "blue")]
    assert [q.prompt for q in asked] == [f"a {color} {shape}" for shape, color in pairs]
    assert [q.combination for q in asked] == [*map(" ".join, pairs)]
    assert {q.split for q in asked} == {"partial"}
    assert [q.start for q in asked] == [0, 2, 4, 6]  # the first of each two
    assert asked[0].targets == {"shape": "circle", "color": "red"}


def test_what_not_takes_away_is_not_asked_for():
    asked = ask(WORLD, "without", "a {shape} AND NOT a {color} {shape}:0.5")
    assert [q.prompt for q in asked][:2] == [
        "a circle AND NOT a red circle:0.5",
        "a circle AND NOT a blue circle:0.5",
    ]
    assert [q.combination for q in asked] == ["circle", "circle", "square", "square"]
    assert {q.split for q in asked} == {"partial"}


@settings(deadline=None)
@given(terms=TERMS)
def test_a_set_has_every_combination_of_what_it_asks_for_once(terms):
    asked = ask(WORLD, "some", " AND ".join(map(" ".join, terms)))
    named = {slot for term in terms for slot in term}
    assert len(asked) == len({q.combination for q in asked}) == 2 ** len(named)
    for question in asked:
        writer = WORLD.space.combinations[question.start]
        assert {f"{{{concept}}}" for concept in question.targets} == named
        assert {*question.targets.values()} <= {*writer}
        assert (question.split == "partial") == (len(named) < 3)
        words = " ".join(parse_composition(question.prompt).prompts).split()
        assert {*words} == {*question.targets.values()}
    starts = [question.start for question in asked]
    assert starts == sorted({*starts})


@settings(deadline=None)
@given(terms=TERMS, count=st.integers(1, 5))
def test_images_start_from_the_noise_of_the_combination_that_writes_their_prompt(terms, count):
    starts = [q.start for q in ask(WORLD, "some", " AND ".join(map(" ".join, terms)))]
    images = range(1, len(starts) * count)
    places = [starts[i // count] * count + i % count for i in images]
    shape, everything = (1, 2, 2), range(8 * count)
    noise = paired_noise(0, everything, count, shape)[places]
    assert torch.equal(paired_noise(0, images, count, shape, starts), noise)
    index = image_index(everything, count)[places]
    assert torch.equal(image_index(images, count, starts), index)


@pytest.mark.parametrize(
    "prompt, scale, rows",
    [
        ("a circle", 1.0, 1),
        ("a circle", 2.0, 2),
        ("a circle:2", 0.5, 1),
        ("a circle", 0.0, 1),
        ("a circle AND a small circle", 1.0, 3),
        ("a circle AND NOT red AND small:0", 1.0, 3),
    ],
)
def test_rows_are_the_terms_that_count_and_the_null(prompt, scale, rows):
    assert rows_per_step(prompt, scale) == rows


@pytest.fixture
def config(root) -> Config:
    return read_config(root / "configs" / "tiny.yaml")


def asking(config: Config, **prompts: str) -> Config:
    return replace(config, evaluate=replace(config.evaluate, prompts=prompts))


@pytest.mark.parametrize(
    "template, message",
    [
        ("a {colour}", "'a {colour}': '{colour}' is no word .* slots {shape}, .*mean '{color}'"),
        ("a round {shape}", "prompt 'a round circle': unknown word 'round'"),
        ("a red {shape}", "'a red {shape}': 'red' is also a value; use a slot for it"),
        ("{shape} AND a", "'a' must hold one slot or more, each once, such as 'a {color}"),
        ("", "'' must hold one slot or more, each once"),
        ("{shape} {shape}", "must hold one slot or more, each once"),
        ("{shape} AND", "prompt '{shape} AND': a term is empty"),
        ("{shape}:x", "got weight 'x', allowed 0 to 1000"),
        ("NOT {shape}", "'NOT circle' asks for nothing, allowed such as 'a {color} {shape} AND"),
        ("a {shape}:0", "'a circle:0' asks for nothing"),
        ("{shape} AND {color} AND NOT a {shape}", "takes away with NOT what it asks for"),
        ("a {size} a {color} a {shape}", "more than 4 words"),
    ],
)
def test_templates_that_ask_for_nothing_that_is_known_are_refused(config, template, message):
    with pytest.raises(Mistake, match=rf"evaluate.prompts.some: .*{message}".replace("{", r"\{")):
        asking(config, some=template)


@pytest.mark.parametrize("name", ["none", "captions", "a-b", "3d", "", "a" * 41, "é"])
def test_names_that_are_taken_or_fit_no_file_are_refused(config, name):
    with pytest.raises(Mistake, match="evaluate.prompts: got the name .* allowed a letter and up"):
        asking(config, **{name: "a {shape}"})


def test_a_world_of_bumps_is_asked_by_no_words(root):
    bumps = read_config(root / "configs" / "bumps_torus_small.yaml")
    with pytest.raises(Mistake, match="evaluate.prompts: worlds of bumps have no words to ask by"):
        asking(bumps, some="a {shape}")
