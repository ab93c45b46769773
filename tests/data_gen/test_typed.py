"""Prompts as people type them: what says nothing is left out, what is unknown stays refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import ConceptSpace
from data_gen.typed import told
from ground.endings import Mistake

KNOWN = ("a", "an", "blue", "circle", "disc", "orange", "red", "small", "square")
SPACE = ConceptSpace({"shape": ("circle", "square"), "color": ("red", "blue", "orange")})
CAPTIONER = Captioner(SPACE, CaptionConfig(synonyms={"circle": ("disc",)}))


@pytest.mark.parametrize(
    "typed, expected",
    [
        ("A Small Blue Circle.", "a small blue circle"),
        ("A SMALL BLUE CIRCLE!", "a small blue circle"),
        ("a small,  blue circle", "a small blue circle"),
        ("small,blue;circle", "small blue circle"),
        ("“a red square”", "a red square"),
        ('"A red square."', "a red square"),
        ("a red square .", "a red square"),
        ("An image of a red square", "a red square"),
        ("picture of a red square", "a red square"),
        ("a photo of the red square", "a red square"),
        ("a square of a red", "a square red"),
        ("of a square", "a square"),
        ("the orange disc", "an orange disc"),
        ("The blue disc", "a blue disc"),
    ],
)
def test_what_people_type_is_told_in_known_words(typed, expected):
    assert told(typed, KNOWN) == expected


@pytest.mark.parametrize(
    "text",
    ["a  small blue circle", "a an a", "", " ", ".", "blue a", "circle red circle", " a red "],
)
def test_what_needs_no_change_keeps_its_bytes(text):
    assert told(text, KNOWN) == text


@given(st.lists(st.sampled_from(KNOWN)), st.sampled_from([" ", "  ", "\t"]))
def test_known_words_keep_their_bytes(words, space):
    assert told(space.join(words), KNOWN) == space.join(words)


@pytest.mark.parametrize(
    "typed, left",
    [
        ("a bleu Circle.", "a bleu circle"),
        ("!red", "!red"),
        ("a -red circle", "a -red circle"),
        ("no Red circle", "no red circle"),
        ("red-blue", "red-blue"),
        ("a picture", "a picture"),
    ],
)
def test_what_is_unknown_stays(typed, left):
    assert told(typed, KNOWN) == left


def test_words_of_the_list_are_never_left_out():
    known = ("A", "picture", "of", "the", "circle", "Red", "red")
    assert told("a PICTURE of the circle.", known) == "A picture of the circle"
    assert told("RED circle", known) == "RED circle"  # it may be one or the other
    assert told("a circle", ("circle",)) == "circle"
    assert told("a circle", ("circle", "the")) == "the circle"


def test_captions_are_read_as_they_are_typed():
    assert CAPTIONER.parse("An Orange DISC.") == {"color": "orange", "shape": "circle"}
    assert CAPTIONER.told("An Orange DISC.") == "an orange disc"


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("A violet circle.", "prompt 'A violet circle.': unknown word 'violet'; known: a, an, "),
        ("a violet circle", "captions.synonyms gives a value another word, world.concepts another"),
        ("a circl", r"unknown word 'circl' .did you mean 'circle'\?"),
        ("a circle and not red", "unknown word 'and'.*; AND and AND NOT, in capitals"),
        ("a red or blue circle", "unknown word 'or'.*; AND and AND NOT, in capitals, join terms"),
        ("A RED BLUE CIRCLE", "contradictory color: 'red' and 'blue'"),
        ("a picture of a", "names no concept"),
        ("a big circle", "unknown word 'big'"),
    ],
)
def test_what_the_model_was_never_told_is_refused(prompt, message):
    with pytest.raises(Mistake, match=message) as raised:
        CAPTIONER.parse(prompt)
    assert "\n" not in str(raised.value)
