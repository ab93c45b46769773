"""Scene ↔ caption over a closed list of words. Imports no torch.

Which words each image gets, left out and wrong ones too, is drawn in wording.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_gen.concepts import ConceptSpace
from data_gen.reserved import AND, NOT, WORDS, check_word, is_word
from data_gen.typed import AGREEING, ARTICLES, agreeing, told
from ground.endings import Mistake, nearest
from ground.text import composed

ORDER = ("size", "style", "rotation", "color", "shape", "x", "y", "background")  # of plain English


@dataclass(frozen=True)
class CaptionConfig:
    """How images are described.

    Rates are given per concept ("color: 0.3") or for some combinations only ("color of red
    triangle: 0.6", after `of` a set in the words of world.held_out); later ones override.

    Attributes:
        template: words and one {concept} slot for each concept; empty: "a", the concepts in the
            order of plain English. The prompts of evaluation are written with it.
        more_templates: others, such as another word order; training draws one per image.
        synonyms: value → other words for it; training draws one per image.
        drop_article: rate at which the articles are left out.
        drop_word: rate at which the word of a concept is left out; at least one stays.
        wrong_word: rate at which another value of the concept is named, each as often. Where the
            caption of a training image would fit held-out combinations alone, it is drawn again.
        shuffled: permute the captions among the training images: the control in which prompts
            must be left without effect.
    """

    template: str = ""
    more_templates: tuple[str, ...] = ()
    synonyms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    drop_article: float = 0.0
    drop_word: dict[str, float] = field(default_factory=dict)
    wrong_word: dict[str, float] = field(default_factory=dict)
    shuffled: bool = False


class Captioner:
    """Writes and reads the captions of one config."""

    def __init__(self, space: ConceptSpace, config: CaptionConfig):
        self.space = space
        first = config.template or default_template(space.names)
        self.templates = tuple(
            tuple(composed(text).split()) for text in (first, *config.more_templates)
        )
        for i, template in enumerate(self.templates):
            _check_template(space, template, "more_templates" if i else "template")
        self.slots = {f"{{{name}}}": place for place, name in enumerate(space.names)}
        self.fillers = tuple(dict.fromkeys(w for t in self.templates for w in t if w[0] != "{"))
        self.words = _synonyms(space, config.synonyms, self.fillers)
        self.meaning = {word: value for value, words in self.words.items() for word in words}
        self.fillers += _other_articles(self, config)
        self.vocabulary = tuple(sorted({*self.fillers, *self.meaning}))
        self.known = frozenset(self.vocabulary)
        self.max_words = max(map(len, self.templates))

    def write(
        self,
        words: Sequence[str | None],
        template: int = 0,
        articles: bool = True,
    ) -> str:
        """Write a caption: ('circle', 'blue', 'small') → 'a small blue circle'.

        words: one per concept, in the order of the concepts; None leaves it out.
        """
        texts = self.templates[template]
        return self.fill([w for w in texts if articles or w not in ARTICLES], words)

    def fill(self, template: Sequence[str], words: Sequence[str | None]) -> str:
        """The words of any template, the slots among them filled in with one word per concept.

        An article that the template writes agrees with the first letter of what follows.
        """
        filled = ((w, words[self.slots[w]] if w in self.slots else w) for w in template)
        kept = [(written, word) for written, word in filled if word is not None]
        after = [*(word for _, word in kept[1:]), ""]
        return " ".join(
            agreeing(following) if written in AGREEING and following else word
            for (written, word), following in zip(kept, after, strict=True)
        )

    def said(self, word: str) -> tuple[str, ...]:
        """All words that may stand for a word of a template: itself, or those of its slot."""
        if word not in self.slots:
            return (word,)
        values = self.space.values[self.slots[word]]
        return tuple(said for value in values for said in self.words[value])

    def told(self, prompt: str) -> str:
        """Return a prompt as the model is told it: in words of captions, as far as they are such
        (see `data_gen.typed.told`). One of known words alone stays as it is."""
        return told(composed(prompt), self.known)

    def parse(self, caption: str) -> dict[str, str]:
        """Read a caption, its words in any order, as {concept: value}; partial captions name fewer.
        It may be written as people type: see `told`.

        Raises Mistake for an unknown word, two values of one concept, more words than the
        longest template has, or none that names a value.
        """
        words = self.told(caption).split()
        for word in words:
            if word not in self.known:
                raise Mistake(f"prompt {caption!r}: {self._unknown(word)}")
        values = [self.meaning[word] for word in words if word not in self.fillers]
        found: Mapping[str, str] = self.space.read_words(values, f"prompt {caption!r}")
        if not found:
            raise Mistake(
                f"prompt {caption!r}: names no concept; use some of {self.space.listing()}"
            )
        if len(words) > self.max_words:
            raise Mistake(f"prompt {caption!r}: more than {self.max_words} words")
        return dict(found)

    def _unknown(self, word: str) -> str:
        """What to say of a word that no caption has: what is near, what is known, how to add it."""
        hint = nearest(word, self.vocabulary, most=3)
        known = f"unknown word {word!r}{hint}; known: {', '.join(self.vocabulary)}"
        if word.upper() in WORDS:
            return f"{known}; {AND} and {AND} {NOT}, in capitals, join terms"
        return (
            f"{known}. A model knows what it was trained on: captions.synonyms gives a value "
            f"another word, world.concepts another value (spans: the place of one that has none)"
        )


def default_template(names: Sequence[str]) -> str:
    """Template 'a {size} {color} {shape}', for whatever concepts there are."""
    known = [name for name in ORDER if name in names]
    return " ".join(["a", *(f"{{{n}}}" for n in (*known, *(n for n in names if n not in ORDER)))])


def _other_articles(captioner: Captioner, config: CaptionConfig) -> tuple[str, ...]:
    """What articles become that no template writes so. Mistake if that is a value."""
    written, words = captioner.fillers, {*captioner.fillers, *captioner.meaning}
    needed = {agreeing(after) for after in _after_an(captioner, config)}
    if "a" in written and any(agreeing(word) == "an" for word in words.difference(ARTICLES)):
        needed.add("an")
    for article in needed & {*captioner.meaning}:
        value = captioner.meaning[article]
        raise Mistake(
            f"captions.template: 'an' becomes {article!r} before consonants, which means the "
            f"{captioner.space.words[value]} {value!r}; put another word after it, or none"
        )
    return tuple(sorted(needed.difference(written)))


def _after_an(captioner: Captioner, config: CaptionConfig) -> Iterator[str]:
    """The words that may follow an "an" of the templates in captions of training."""
    left_out = {f"{{{text.partition(' of ')[0]}}}" for text in config.drop_word}
    for template in captioner.templates:
        for place in (i for i, word in enumerate(template) if word == "an"):
            for word in template[place + 1 :]:
                yield from captioner.said(word)
                if word not in left_out:
                    break


def _check_template(space: ConceptSpace, words: tuple[str, ...], field: str) -> None:
    key, slots = f"captions.{field}", [f"{{{name}}}" for name in space.names]
    if any(words.count(slot) != 1 for slot in slots):
        raise Mistake(
            f"{key}: {' '.join(words)!r} must hold each of {', '.join(slots)} once, "
            f"as a word of its own"
        )
    check_words(space, words, key)


def check_words(space: ConceptSpace, words: Sequence[str], key: str) -> None:
    """Refuse values, and what is neither a word nor the slot of a concept, in a template."""
    slots = tuple(f"{{{name}}}" for name in space.names)
    for word in words:
        if word in space.words:
            raise Mistake(f"{key}: {word!r} is also a value; use a slot for it")
        check_word(word, key)
        if word not in slots and not is_word(word):
            hint = nearest(word, slots)
            raise Mistake(
                f"{key}: {word!r} is no word and none of the slots {', '.join(slots)}{hint}"
            )


def _synonyms(
    space: ConceptSpace, synonyms: Mapping[str, Sequence[str]], fillers: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """value → all words for it, its own first. Every word means one thing."""
    words = {value: (value, *synonyms.get(value, ())) for value in space.words}
    for value in synonyms:
        if value not in words:
            raise Mistake(
                f"captions.synonyms.{value}: unknown value{nearest(value, tuple(space.words))}; "
                f"known: {space.listing()}"
            )
    taken = set(fillers) | {"an"}
    for value, names in words.items():
        for name in names:
            key = (
                f"captions.synonyms.{value}"
                if name != value
                else f"world.concepts.{space.words[value]}"
            )
            check_word(name, key)
            if name in taken or not is_word(name):
                raise Mistake(f"{key}: {name!r} means something else already, or is not one word")
            taken.add(name)
    return words
