"""How work ends before it is done: exceptions that every layer may raise."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any


class Mistake(ValueError):
    """Bad input: the message is one line that names the key, what was got and what is allowed.

    Several mistakes of one input may come together, a line of each (see `gather`). Command lines
    print them without a traceback and exit with status 2.
    """

    @property
    def lines(self) -> list[str]:
        """The mistakes, each on its line."""
        return str(self).split("\n")

    def at(self, place: str) -> "Mistake":
        """The same mistakes, each headed by where they stand."""
        return Mistake("\n".join(f"{place}{line}" for line in self.lines))


class Heard(Mistake):
    """A mistake that another process of the run has found, and prints."""


class Preempted(BaseException):
    """Stop on request: everything finished is saved, and the same command goes on from there.

    Command lines exit with status 75. No Exception, so that no library swallows it on its way.
    """


class DamageWarning(UserWarning):
    """Something stored is damaged or unfit and was stepped over: one line that names it."""


def refuse(lines: Iterable[str]) -> None:
    """Raise one Mistake of all lines, each once; return if there is none."""
    if found := dict.fromkeys(lines):
        raise Mistake("\n".join(found))


def gather(calls: Mapping[Any, Callable[[], Any]]) -> dict[Any, Any]:
    """Call all, whatever some of them find wrong, and return what they return, by key. Raises one
    Mistake of all that they raise."""
    found: dict[Any, Any] = {}
    lines: list[str] = []
    for key, call in calls.items():
        try:
            found[key] = call()
        except Mistake as mistake:
            lines += mistake.lines
    refuse(lines)
    return found


def check_all(*checks: Callable[[], Any]) -> None:
    """Make all checks, whatever some of them find wrong. Raises one Mistake of all that they
    raise."""
    gather(dict(enumerate(checks)))


def nearest(word: str, allowed: tuple[str, ...], most: int = 1) -> str:
    """Hint ' (did you mean X or Y?)' at the closest allowed words, `most` at most; '' if none is
    close."""
    close = get_close_matches(word, allowed, n=most, cutoff=0.6)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def first_line(error: Exception) -> str:
    """What an error of a library says on its first line; its kind, if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
