"""Prompts as people type them, told in the words of a closed list. Imports no torch.

Capitals, punctuation and "a picture of" say nothing that a model could draw. All else that a list
does not know stays as it was typed, so that whoever reads the words can refuse it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import zip_longest

AGREEING = ("a", "an")
ARTICLES = (*AGREEING, "the")
OF = "of"
PICTURES = ("image", "picture", "photo", "photograph", "drawing", "rendering")
QUOTES, ENDS = "\"'“”‘’«»`", ".!?…"


def told(text: str, known: Collection[str]) -> str:
    """Return a prompt in words of a closed list; one of known words alone stays as it is.

    Words are found whatever their capitals are, if one word alone is meant. Commas, semicolons,
    quotes and what ends a sentence are left out; "a picture of" and "of" too, where the list has
    no such words. An article that it does not have becomes one that it has, or nothing. Unknown
    words stay; so does a text of which nothing would be left.
    """
    if all(word in known for word in text.split()):
        return text
    folded = _by_folding(known)
    words = [w if w in known else folded.get(w.casefold(), w) for w in _bare(text)]
    return " ".join(_with_articles(_without_openings(words, known), known)) or text


def agreeing(following: str) -> str:
    """Return the article, a or an, that agrees with the first letter of what follows."""
    return "an" if following[0].lower() in "aeiou" else "a"


def _bare(text: str) -> list[str]:
    """Return the words without the punctuation of sentences."""
    words = re.split(r"[\s,;]+", text.rstrip(f"{ENDS}{QUOTES} "))
    return [bare for word in words if (bare := word.strip(QUOTES).rstrip(ENDS).rstrip(QUOTES))]


def _by_folding(known: Collection[str]) -> Mapping[str, str]:
    """Return every word by its small letters, but those that only capitals tell apart."""
    folds = [word.casefold() for word in known]
    return {fold: word for fold, word in zip(folds, known, strict=True) if folds.count(fold) == 1}


def _without_openings(words: list[str], known: Collection[str]) -> list[str]:
    """Return the words without "a picture of" and "of", as far as the list has no such words.

    An article after "of" goes too, where one stands before.
    """
    kept: list[str] = []
    after_of = False
    for word in words:
        if word.casefold() == OF and word not in known:
            _drop_picture(kept, known)
            after_of = True
            continue
        if not (after_of and _is_article(word) and any(map(_is_article, kept))):
            kept.append(word)
        after_of = False
    return kept


def _drop_picture(words: list[str], known: Collection[str]) -> None:
    """Drop "a picture", if the words end with it and the list does not know it."""
    if words and words[-1].casefold() in PICTURES and words[-1] not in known:
        words.pop()
        if words and _is_article(words[-1]):
            words.pop()


def _is_article(word: str) -> bool:
    return word.casefold() in ARTICLES


def _with_articles(words: list[str], known: Collection[str]) -> Iterator[str]:
    """Yield the words, unknown articles as those that the list has, if it has any."""
    for word, following in zip_longest(words, words[1:]):
        if not _is_article(word) or word in known:
            yield word
        elif following and agreeing(following) in known:
            yield agreeing(following)
        elif own := next((one for one in ARTICLES if one in known), None):
            yield own
