"""What the runs of a folder share: each thing is made once, by the first run that needs it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ground.files import is_complete
from ground.locks import locked


def make_once(
    directory: Path, make: Callable[[], None], waits: Callable[[], None] = lambda: None
) -> bool:
    """Make a directory with a manifest unless it is whole, also of runs started together.

    make: writes it. waits: called before this process waits for another one that is making it.
    Returns True if it was made here. Where it is whole, nothing is locked or written: it may be
    another user's.
    """
    if is_complete(directory):
        return False
    with _alone(directory, waits):
        if is_complete(directory):
            return False
        make()
    return True


@contextmanager
def _alone(directory: Path, waits: Callable[[], None]) -> Iterator[None]:
    """Keep other processes from making the same."""
    lock = directory.with_name(f".{directory.name}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock))
        except BlockingIOError:
            waits()
            stack.enter_context(locked(lock, wait=True))
        yield
