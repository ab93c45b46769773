"""Locks on files: one process holds one at a time, and it goes with it, however it ends. No torch.

They are flock(2)'s, which hold over the nodes of a cluster too where its file system has them.
"""

import contextlib
import errno
import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ground.endings import Mistake

UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
GLANCE_SECONDS = 0.001  # those who only ask need less


@contextlib.contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a lock file, which is made, as is its folder, where it is not there.

    wait: until it is free; else BlockingIOError if another process holds it. Raises Mistake where
    the file cannot be opened, or has a file system without locks.
    """
    descriptor = _open(path)
    try:
        take(descriptor, path.parent, wait)
        yield
    finally:
        os.close(descriptor)


def take(descriptor: int, folder: Path, wait: bool = False) -> None:
    """Lock an open file, until it is closed, as `locked` does; folder: what to call its place."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX) if wait else _take_now(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        raise Mistake(
            f"{folder}: its file system has no locks ({error.strerror}), so nothing would keep two "
            f"processes apart; use a folder on one that has: a local disk, Lustre mounted with "
            f"-o flock, NFS with lockd"
        ) from None


def _take_now(descriptor: int) -> None:
    """`is_locked` shares the lock for a moment: who can share it too knows that nobody holds it."""
    while True:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(GLANCE_SECONDS)


def is_locked(path: Path) -> bool:
    """Return True if a process holds a lock file. To ask keeps nobody from taking it."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return False
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in UNSUPPORTED:  # there, nobody can hold it
                raise
    return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _create(path)
        return os.open(path, os.O_RDWR)
    except PermissionError:
        place = next(p for p in (path, *path.absolute().parents) if os.path.exists(p))
        raise Mistake(
            f"{place}: belongs to {_owner(place)}, and you may not write it; ask for that "
            f"(chmod), or work in a folder of your own"
        ) from None


def _create(path: Path) -> None:
    """Who may write its folder may take it, whatever the umask of who came first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    mode = stat.S_IMODE(path.parent.stat().st_mode) & 0o666
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)
    os.close(descriptor)


def _owner(path: Path) -> str:
    number = path.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # known to another machine, or to none
        return f"user {number}"
