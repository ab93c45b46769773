"""Names that are taken are refused where a world is read; words of every script are words."""

import unicodedata

import pytest

from data_gen.captions import CaptionConfig, Captioner
from data_gen.concepts import Concept, ConceptSpace
from data_gen.photos.world import PhotoConcept, PhotosConfig, PhotoTerms
from data_gen.reserved import CONCEPTS, VALUES, WORDS
from data_gen.sets import read_set
from data_gen.world import World, WorldConfig
from ground.endings import Mistake


def photo_terms(concept: str, *values: str) -> PhotoTerms:
    words = {value: str(i) for i, value in enumerate(values)}
    return PhotoTerms(PhotosConfig("f", "t.csv", {concept: PhotoConcept("C", words)}))


def color(value: str) -> dict[str, Concept]:
    return {"color": Concept(("red", value), 0.5, spans={value: (0.1, 0.1, 0.9)})}


@pytest.mark.parametrize("word", VALUES)
def test_values_that_are_taken_are_refused(word):
    with pytest.raises(Mistake, match=rf"world.concepts.color: '{word}' .*; allowed any other"):
        World(WorldConfig(concepts=color(word)))
    with pytest.raises(Mistake, match=rf"world.concepts.kind: '{word}' .*; allowed any other"):
        photo_terms("kind", "x", word)


@pytest.mark.parametrize("word", WORDS)
def test_what_joins_prompts_is_no_word_of_captions(word):
    """A caption would train it as a word, and a prompt ask it as a composition."""
    for key, captions in (
        ("synonyms.blue", CaptionConfig(synonyms={"blue": (word,)})),
        ("template", CaptionConfig(template=f"red {word} {{color}}")),
        ("template", CaptionConfig(template=f"{word} {{color}}")),
        ("more_templates", CaptionConfig(more_templates=(f"{{color}} {word}",))),
    ):
        with pytest.raises(Mistake, match=f"captions.{key}: "):
            World(WorldConfig(concepts=color("blue")), captions)
    World(WorldConfig(concepts=color("blue")), CaptionConfig(template=f"{word.lower()} {{color}}"))


@pytest.mark.parametrize("name", CONCEPTS)
def test_names_of_columns_name_no_concept(name):
    with pytest.raises(Mistake, match=rf"world.concepts.{name}: '{name}' is a column of .*; allo"):
        photo_terms(name, "x", "y")


def test_a_value_may_be_called_as_a_set_is():
    space = ConceptSpace({"order": ("random", "even"), "size": ("small", "large")})
    assert read_set(space, "small random", "key") == {("random", "small")}
    assert len(read_set(space, 'random(0.25) + "random"', "key")) in (2, 3)


@pytest.mark.parametrize("name, values", [("रंग", ("लाल", "नीला")), ("hue", ("rouge", "écru"))])
def test_words_of_other_scripts_keep_their_marks(name, values):
    world = photo_terms(name, *values)
    for value in values:
        caption = world.captioner.write((value,))
        assert caption.endswith(value) and world.captioner.parse(caption) == {name: value}
        apart = unicodedata.normalize("NFD", caption)
        assert world.captioner.parse(apart) == {name: value}


@pytest.mark.parametrize("word", ["", "a b", "\u0301a", "e\u0301", "re-d", "re_d"])
def test_what_is_no_composed_word_is_refused(word):
    with pytest.raises(Mistake, match="is not one word of letters and digits"):
        photo_terms("kind", "x", word)
    if "_" not in word:
        with pytest.raises(Mistake, match="the name is not one word of letters, digits and _"):
            photo_terms(word, "x", "y")


@pytest.mark.parametrize(
    "template, shown, caption",
    [
        ("a {color} {letter}", ("blue", "e"), "a blue e"),
        ("a {color} {letter}", ("orange", "e"), "an orange e"),
        ("a {color} {letter}", (None, "e"), "an e"),
        ("an {color} {letter}", ("blue", "e"), "a blue e"),
        ("an {color} {letter}", ("Amber", "e"), "an Amber e"),
        ("an {color} {letter}", (None, None), "an"),
        ("an image of {letter} in {color}", ("orange", "a"), "an image of a in orange"),
        ("the {letter} is {color}", ("orange", "a"), "the a is orange"),
    ],
)
def test_articles_of_templates_agree_and_values_stay(template, shown, caption):
    letters = ("a", "e") if "a" in shown else ("b", "e")
    space = ConceptSpace({"color": ("blue", "orange", "Amber"), "letter": letters})
    captioner = Captioner(space, CaptionConfig(template))
    assert captioner.write(shown) == caption
    named = dict(zip(space.names, shown, strict=True))
    if any(shown):
        assert captioner.parse(caption) == {k: v for k, v in named.items() if v is not None}


def test_the_vocabulary_has_the_articles_that_captions_need():
    def articles(template: str, captions: dict | None = None) -> set[str]:
        space = ConceptSpace({"color": ("orange", "olive"), "shape": ("egg", "cube")})
        config = CaptionConfig(template, **(captions or {}))
        return {"a", "an"} & {*Captioner(space, config).vocabulary}

    assert articles("a {color} {shape}") == {"a", "an"}
    assert articles("an {color} {shape}") == {"an"}  # no caption has another
    assert articles("an {color} {shape}", {"drop_word": {"color": 0.1}}) == {"a", "an"}
    assert articles("an {shape} in {color}") == {"a", "an"}
    assert articles("{color} {shape}") == set()


def test_a_value_that_an_article_would_become_is_refused():
    space = ConceptSpace({"letter": ("a", "b")})
    with pytest.raises(Mistake, match="captions.template: 'an' becomes 'a' .* the letter 'a'; put"):
        Captioner(space, CaptionConfig("an {letter}"))
