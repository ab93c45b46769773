"""Nothing of an attempt survives, and what goes wrong in one is said."""

import signal
import sys
import time

import psutil
import pytest

from tests.harness.processes import Attempt, Job, run_to_end, wait_for

TREE = """
setsid sh -c 'sleep 300 & sleep 300' &
(setsid sleep 300 &) ; wait
"""


def shell(script: str, folder) -> Job:
    return Job(["sh", "-c", script], folder / "run")


def test_no_descendant_survives_a_kill_not_even_orphans_and_session_leaders(tmp_path):
    with Attempt(shell(TREE, tmp_path)) as attempt:
        wait_for(lambda: len(attempt.living()) >= 5, 10, lambda: f"only {attempt.living()}")
        processes = attempt.living()
        attempt.kill_everything()
    assert attempt.living() == []
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
    assert attempt.process.returncode == -signal.SIGKILL


def test_the_processes_of_others_are_left_alone(tmp_path):
    with (
        Attempt(shell("exec sleep 300", tmp_path)) as one,
        Attempt(shell("exec sleep 300", tmp_path)),
    ):
        with Attempt(shell("exec sleep 300", tmp_path)):
            pass
        assert len(one.living()) == 1


def test_a_failing_command_is_told_with_its_last_lines(tmp_path):
    with pytest.raises(AssertionError, match="status 3\nno such thing"):
        run_to_end(shell("echo no such thing; exit 3", tmp_path))


def test_a_hang_is_told(tmp_path):
    with Attempt(shell("sleep 300", tmp_path)) as attempt:
        with pytest.raises(AssertionError, match="no end after 0.1 s"):
            attempt.end(0.1)


def test_a_process_left_behind_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.harness.processes.GRACE_SECONDS", 0.2)
    with pytest.raises(AssertionError, match="left .*sleep"):
        run_to_end(shell("setsid sleep 300 & sleep 0.1", tmp_path))


def test_an_interrupt_reaches_a_command_even_if_the_tests_ignore_it(tmp_path):
    code = "import time; print('ready', flush=True); time.sleep(300)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job = Job([sys.executable, "-c", code], tmp_path / "run")
        with Attempt(job) as attempt:
            wait_for(lambda: "ready" in attempt.tail(), 10, attempt.tail)
            attempt.process.send_signal(signal.SIGINT)
            start = time.monotonic()
            assert attempt.end(10) != 0 and time.monotonic() - start < 10
    finally:
        signal.signal(signal.SIGINT, before)
