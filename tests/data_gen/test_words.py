"""Concepts, splits and captions: what is read, and what is refused in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import Concept, ConceptSpace
from data_gen.splits import make_split
from data_gen.world import World, WorldConfig
from ground.endings import Mistake

CONCEPTS = {
    "shape": Concept(("circle", "triangle", "square")),
    "color": Concept(("red", "blue"), 0.7),
    "size": Concept(("large", "small"), 0.3),
}
SPACE = ConceptSpace({name: concept.values for name, concept in CONCEPTS.items()})
CAPTIONER = Captioner(SPACE, CaptionConfig())


def test_combinations_are_the_product_in_order():
    assert len(SPACE) == 12
    assert [SPACE.index(c) for c in SPACE.combinations] == list(range(12))
    assert SPACE.value_indices(("square", "red", "small")) == (2, 0, 1)


@given(st.sampled_from(SPACE.combinations), st.permutations(range(3)))
def test_combinations_are_read_in_any_order_of_words(combination, order):
    text = " ".join(combination[i] for i in order)
    assert SPACE.read_combination(text, "key") == combination


@given(st.sampled_from(SPACE.combinations))
def test_captions_are_read_back(combination):
    found = CAPTIONER.parse(CAPTIONER.write(combination))
    assert tuple(found[name] for name in SPACE.names) == combination


def test_partial_captions_name_fewer_concepts():
    assert CAPTIONER.parse("a blue circle") == {"color": "blue", "shape": "circle"}


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("a small bleu circle", "unknown word 'bleu' .did you mean 'blue'..; known: a, blue"),
        ("a red blue circle", "contradictory color: 'red' and 'blue'"),
        ("", "names no concept; use some of shape: circle"),
        ("a", "names no concept"),
        ("a a a small red circle", "more than 4 words"),
    ],
)
def test_prompts_that_cannot_be_drawn_are_refused(prompt, message):
    with pytest.raises(Mistake, match=message):
        CAPTIONER.parse(prompt)


@pytest.mark.parametrize(
    "template, message",
    [
        ("a {size} {shape}", "must hold each of {shape}, {color}, {size} once"),
        ("a {size}, {color} {shape}", "once, as a word of its own"),
        ("a {size} {color} {shape} {x}", "'{x}' is no word and none of the slots"),
        ("{shape} {shape} {color} {size}", "once"),
        ("a red {size} {color} {shape}", "'red' is also a value"),
    ],
)
def test_templates_without_every_slot_are_refused(template, message):
    with pytest.raises(Mistake, match=message):
        Captioner(SPACE, CaptionConfig(template))


def test_split_holds_out_what_it_is_told():
    split = make_split(SPACE, ["small blue circle", "triangle red large"])
    assert split.held_out == (("circle", "blue", "small"), ("triangle", "red", "large"))
    assert len(split.train) == 10
    assert split.of(("circle", "blue", "small")) == "held_out"
    assert split.of(("circle", "blue", "large")) == "train"


@pytest.mark.parametrize(
    "held_out, message",
    [
        (
            [f"{shape} blue {size}" for shape in SPACE.values[0] for size in SPACE.values[2]],
            "world.held_out: hides the color 'blue' completely",
        ),
        (["circle bleu small"], "world.held_out: unknown value 'bleu' .did you mean 'blue'"),
        (["circle small"], "'circle small' gives no color"),
        (["circle square red small"], "contradictory shape"),
    ],
)
def test_splits_that_cannot_be_are_refused(held_out, message):
    with pytest.raises(Mistake, match=message):
        make_split(SPACE, held_out)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"colour": Concept(("red",), 0.7)}, "concepts.colour: unknown concept.*'color'"),
        ({"color": Concept(("red", "bule"), 0.7)}, "unknown value 'bule' .did you mean 'blue'"),
        ({"color": Concept(("red", "red"), 0.7)}, "needs one or more different values"),
        ({"color": Concept(("red", "blue"), 1.2)}, "color.signal: got 1.2, allowed 0 to 1"),
        (
            {"color": Concept(("red", "blue"), 0.9, 0.2)},
            "takes 'red' to -0.15 . 1.15, allowed 0 to 1 RGB",
        ),
        ({"size": Concept(("large", "small"))}, "size.signal: got None"),
        ({"shape": Concept(("circle",), 0.5)}, "shape: has neither signal nor jitter"),
    ],
)
def test_concepts_that_cannot_be_drawn_are_refused(change, message):
    with pytest.raises(Mistake, match=message):
        World(WorldConfig(concepts={**CONCEPTS, **change}))


def test_no_concepts_and_numbers_out_of_range_are_refused():
    with pytest.raises(Mistake, match="world.concepts: is empty"):
        World(WorldConfig())
    with pytest.raises(Mistake, match="world.blur_px: got 20.0, allowed 0 to 16"):
        World(WorldConfig(concepts=CONCEPTS, blur_px=20.0))
