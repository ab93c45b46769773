"""Concepts, splits and captions: what is read, and what is refused in which words."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import Concept, ConceptSpace, place
from data_gen.sets import read_set
from data_gen.splits import make_split
from data_gen.world import Nuisance, World, WorldConfig
from ground.endings import Mistake
from ground.reading import read_as

CONCEPTS = {
    "shape": Concept(("circle", "triangle", "square")),
    "color": Concept(("red", "blue"), 0.7),
    "size": Concept(("large", "small"), 0.3),
}
SPACE = ConceptSpace({name: concept.values for name, concept in CONCEPTS.items()})
SIZE = CONCEPTS["size"]
CAPTIONER = Captioner(SPACE, CaptionConfig())


def test_combinations_are_the_product_in_order():
    assert len(SPACE) == 12
    assert [SPACE.index(c) for c in SPACE.combinations] == list(range(12))
    assert SPACE.value_indices(("square", "red", "small")) == (2, 0, 1)


@given(st.sampled_from(SPACE.combinations), st.permutations(range(3)))
def test_combinations_are_read_in_any_order_of_words(combination, order):
    text = " ".join(combination[i] for i in order)
    assert read_set(SPACE, text, "key") == {combination}


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
        (["circle"], "world.held_out: hides the shape 'circle' completely"),
        ([""], "world.held_out: got '', allowed values: shape: circle, triangle"),
        (["circle square red small"], "gives shape twice; write a.b for either"),
        (["circle bleu", "rde"], "(?s)unknown value 'bleu'.*\n.*unknown value 'rde' .*'red'"),
        (["circle", "square"], "(?s)the shape 'circle' completely.*\n.*'square' completely"),
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
        ({"rotation": Concept(("upright", "tilted"))}, "rotation.signal: missing; allowed 0 to"),
        (
            {"color": Concept(("red", "violet"))},
            "unknown value 'violet' .nearest: magenta, purple.; known: red, .*; or give it a place"
            r": color: {values: \[red, violet\], signal: 0.7, spans: {violet: \[0.8, 0.51, 0.8\]}}",
        ),
        (
            {"color": Concept(("red", "flob"))},
            r"unknown value 'flob'; .*spans: {flob: \[R, G, B\]}",
        ),
        ({"size": Concept(("small", "huge"))}, r"unknown value 'huge'; .*spans: {huge: \[MEAN\]}"),
        (
            {
                "color": Concept(("red", "bule"), 1.2),
                "shape": Concept(("circle",), 0.5),
                "siz": SIZE,
            },
            "(?s)shape: has neither .*\n.*'bule'.*\n.*signal: got 1.2.*\n.*siz: unknown concept",
        ),
        ({"shape": Concept(("circle",), 0.5)}, "shape: has neither signal nor jitter"),
    ],
)
def test_concepts_that_cannot_be_drawn_are_refused(change, message):
    with pytest.raises(Mistake, match=message):
        World(WorldConfig(concepts={**CONCEPTS, **change}))


@pytest.mark.parametrize("words", [("red", "violet"), ("violet", "teal"), ("teal", "red", "navy")])
def test_the_line_that_is_offered_can_be_pasted(words):
    with pytest.raises(Mistake) as raised:
        World(WorldConfig(concepts={"color": Concept(words)}))
    line = str(raised.value).splitlines()[0].partition("give it a place: ")[2]
    concepts = read_as(WorldConfig, {"concepts": yaml.safe_load(line)}, "world").concepts
    world = World(WorldConfig(concepts=concepts))
    means = place("color", concepts["color"])
    assert world.space.values == (words,) and (means.spread > 0.08).all()


def test_concepts_without_a_signal_have_that_of_their_factor():
    concepts = {
        "color": Concept(("red", "blue")),
        "size": Concept(("large", "small")),
        "x": Concept(("left", "right")),
        "background": Concept(("dark", "light")),
    }
    config = World(WorldConfig(concepts=concepts)).config
    signals = {name: concept.signal for name, concept in config.concepts.items()}
    assert signals == {"color": 0.7, "size": 0.3, "x": 0.6, "background": 0.4}
    placed = Concept(("red",), spans={"red": (0.5, 0.5, 0.5)})
    assert WorldConfig(concepts={"color": placed}).concepts["color"].signal is None


def test_several_parts_of_a_world_tell_their_mistakes_together():
    captions = CaptionConfig(synonyms={"bleu": ("azure",)})
    config = WorldConfig(concepts=CONCEPTS, held_out=("rde",), nuisances={"sise": Nuisance()})
    with pytest.raises(Mistake) as raised:
        World(config, captions)
    keys = [line.partition(":")[0] for line in raised.value.lines]
    assert keys == ["world.held_out", "captions.synonyms.bleu", "world.nuisances.sise"]


def test_no_concepts_and_numbers_out_of_range_are_refused():
    with pytest.raises(Mistake, match="world.concepts: is empty"):
        World(WorldConfig())
    with pytest.raises(Mistake, match="world.blur_px: got 20.0, allowed 0 to 16"):
        World(WorldConfig(concepts=CONCEPTS, blur_px=20.0))
