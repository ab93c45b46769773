"""Names that something else has taken already: no word of captions and no concept may be called so.

Every contract has its line here. Imports no torch.
"""

import re
import unicodedata

from ground.endings import Mistake
from ground.text import composed

AND, NOT, OR = "AND", "NOT", "OR"  # join the terms of composed prompts; nothing reads OR yet
WORDS = {
    **dict.fromkeys((AND, NOT), "joins composed prompts, such as 'a circle AND NOT a red circle'"),
    OR: "is kept for composed prompts",
}
VALUES = {
    **WORDS,
    "all": "is the set of all combinations, such as in world.held_out",
    "quartile": "heads the losses by quarters of the times in metrics.jsonl",
}
EXPORTED = (  # columns and arrays of exports, beside those of the concepts
    *("image", "imgs", "file_name", "caption", "split", "source", "metadata"),
    *("latents_values", "latents_classes"),
)
# Columns and measures of tables of accuracy, beside the concepts.
MEASURED = ("joint", "run", "split", "step", "sure")
CONCEPTS = {
    **dict.fromkeys(EXPORTED, "is a column of exports"),
    **dict.fromkeys(MEASURED, "is a column of tables of accuracy"),
}


def check_word(word: str, key: str) -> None:
    """Refuse, as a word of captions, what prompts do not read as a word. Raises Mistake."""
    _check(word, WORDS, key)


def check_value(word: str, key: str) -> None:
    """Refuse what cannot be a value of a concept: no single word, or taken. Raises Mistake."""
    if not is_word(word) or "_" in word:
        raise Mistake(f"{key}: the value {word!r} is not one word of letters and digits")
    _check(word, VALUES, key)


def check_concept_name(name: str, key: str) -> None:
    """Refuse what cannot name a concept that has no factor: no single word, or taken. Raises
    Mistake."""
    if not is_word(name) or name.startswith("_"):
        raise Mistake(
            f"{key}: the name is not one word of letters, digits and _ that begins with a letter "
            f"or digit, as captions and figures need"
        )
    _check(name, CONCEPTS, key)


def is_word(text: str) -> bool:
    """Whether a text is one word, as slots, captions and prompts know them: letters and digits of
    any script with their marks, and _, composed as far as Unicode can (NFC)."""
    bare = "".join(c for c in text if not unicodedata.category(c).startswith("M"))
    return text == composed(text) and bool(re.fullmatch(r"\w+", bare)) and bare[0] == text[0]


def _check(name: str, taken: dict[str, str], key: str) -> None:
    if name in taken:
        raise Mistake(f"{key}: {name!r} {taken[name]}; allowed any other than {', '.join(taken)}")
