"""Locks: one holder, askers in nobody's way, folders of several users, folders without locks."""

import errno
import fcntl
import os
import stat
import threading
import time

import pytest

from ground.endings import Mistake
from ground.locks import is_locked, locked


def test_one_process_holds_it_at_a_time(tmp_path):
    lock = tmp_path / "folder" / ".lock"
    assert not is_locked(lock)
    with locked(lock):
        assert is_locked(lock)
        with pytest.raises(BlockingIOError), locked(lock):
            pass
    assert not is_locked(lock)
    with locked(lock):
        pass


def test_who_waits_gets_it_when_it_is_free(tmp_path):
    lock, order = tmp_path / ".lock", []

    def wait():
        with locked(lock, wait=True):
            order.append("second")

    with locked(lock):
        waiting = threading.Thread(target=wait)
        waiting.start()
        order.append("first")
    waiting.join(timeout=60)
    assert order == ["first", "second"]


def test_who_only_asks_keeps_nobody_from_taking_it(tmp_path):
    """An asker shares the lock for a moment: here for as long as it takes to be met."""
    lock = tmp_path / ".lock"
    lock.touch()
    with lock.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        asker = threading.Timer(0.2, fcntl.flock, (stream, fcntl.LOCK_UN))
        asker.start()
        started = time.monotonic()
        with locked(lock):
            assert time.monotonic() - started > 0.1
        asker.join()


@pytest.mark.parametrize("mode, expected", [(0o777, 0o666), (0o775, 0o664), (0o755, 0o644)])
def test_who_may_write_the_folder_may_take_its_locks(tmp_path, mode, expected):
    before = os.umask(0o022)
    try:
        tmp_path.chmod(mode)
        with locked(tmp_path / ".lock"):
            assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == expected
    finally:
        os.umask(before)


def test_a_lock_that_may_not_be_opened_names_its_owner(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    lock = tmp_path / ".lock"
    lock.touch()
    os.chown(lock, *(12345, -1) if os.geteuid() == 0 else (-1, -1))
    monkeypatch.setattr(os, "open", refuse)
    owner = "user 12345" if os.geteuid() == 0 else lock.owner()
    with pytest.raises(Mistake, match=rf"\.lock: belongs to {owner}, and you may not write it"):
        with locked(lock):
            pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for wait in (False, True):
        message = rf"{tmp_path}: its file system has no locks \({os.strerror(number)}\).*; use a"
        with pytest.raises(Mistake, match=message), locked(tmp_path / ".lock", wait):
            pass
    assert not is_locked(tmp_path / ".lock")
