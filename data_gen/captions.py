"""Scene ↔ caption over a closed list of words. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from data_gen.concepts import Combination, ConceptSpace, nearest
from data_gen.endings import Mistake


@dataclass(frozen=True)
class CaptionConfig:
    """How images are described.

    Attributes:
        template: words and one {concept} slot for each concept.
        shuffled: permute the captions among the training images: the control in which prompts
            must be left without effect.
    """

    template: str = "a {size} {color} {shape}"
    shuffled: bool = False


class Captioner:
    """Writes and reads the captions of one template."""

    def __init__(self, space: ConceptSpace, config: CaptionConfig):
        self.space, self.template = space, config.template
        words, slots = config.template.split(), ["{" + name + "}" for name in space.names]
        if any(words.count(slot) != 1 for slot in slots):
            raise Mistake(
                f"captions.template: {config.template!r} must hold each of {', '.join(slots)} "
                f"once, as a word of its own"
            )
        self.fillers = tuple(dict.fromkeys(word for word in words if word not in slots))
        strange = [word for word in self.fillers if "{" in word or "}" in word]
        if strange:
            raise Mistake(f"captions.template: {strange[0]!r} is no word and none of the slots")
        clash = [word for word in self.fillers if word in space.words]
        if clash:
            raise Mistake(f"captions.template: {clash[0]!r} is also a value; use a slot for it")
        self.vocabulary = tuple(sorted({*self.fillers, *space.words}))
        self.max_words = len(config.template.split())

    def write(self, combination: Combination) -> str:
        """('circle', 'blue', 'small') → 'a small blue circle'."""
        return self.template.format(**dict(zip(self.space.names, combination, strict=True)))

    def parse(self, caption: str) -> dict[str, str]:
        """{concept: value} named by a caption; partial captions name fewer.

        Raises Mistake for an unknown word, two values of one concept, more words than the
        template has, or none that names a value.
        """
        found: Mapping[str, str]
        words = caption.split()
        for word in words:
            if word not in self.vocabulary:
                hint = nearest(word, self.vocabulary)
                raise Mistake(
                    f"prompt {caption!r}: unknown word {word!r}{hint}; "
                    f"known: {', '.join(self.vocabulary)}"
                )
        values = [word for word in words if word not in self.fillers]
        found = self.space.read_words(values, f"prompt {caption!r}")
        if not found:
            raise Mistake(
                f"prompt {caption!r}: names no concept; use some of {self.space.listing()}"
            )
        if len(words) > self.max_words:
            raise Mistake(f"prompt {caption!r}: more than {self.max_words} words")
        return dict(found)
