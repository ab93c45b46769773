"""How work ends before it is done: exceptions that every layer may raise."""

from difflib import get_close_matches


class Mistake(ValueError):
    """Bad input: the message is one line that names the key, what was got and what is allowed.

    Command lines print it without a traceback and exit with status 2.
    """


class Heard(Mistake):
    """A mistake that another process of the run has found, and prints."""


class Preempted(BaseException):
    """Stop on request: everything finished is saved, and the same command goes on from there.

    Command lines exit with status 75. No Exception, so that no library swallows it on its way.
    """


class DamageWarning(UserWarning):
    """Something stored is damaged or unfit and was stepped over: one line that names it."""


def nearest(word: str, allowed: tuple[str, ...]) -> str:
    """Hint ' (did you mean X?)' at the closest allowed word; '' if none is close."""
    close = get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def first_line(error: Exception) -> str:
    """What an error of a library says on its first line; its kind, if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
