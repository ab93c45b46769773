"""Requests to stop: signals and launchers that are gone."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ground.endings import Preempted
from studies.run import stopping
from studies.run.stopping import follow_launcher, stop_on_request

CHILD = """
import time
from studies.run.stopping import follow_launcher
follow_launcher()
print(flush=True)
time.sleep(20)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_raise_a_flag_and_only_inside(number):
    before = signal.getsignal(number)
    with pytest.raises(Preempted), stop_on_request() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), number)
        assert should_stop()
    assert signal.getsignal(number) is before


def test_a_deadline_raises_the_flag():
    with stop_on_request(time.monotonic() + 60) as should_stop:
        assert not should_stop()
    with stop_on_request(time.monotonic()) as should_stop:
        assert should_stop()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().split()[2] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize("name, follows", [("torchrun", True), ("bash", False)])
def test_a_worker_ends_with_its_launcher_and_only_with_it(root, name, follows):
    command = [sys.executable, "-c", PARENT, CHILD, name]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + (15 if follows else 1)
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_alive(child) != follows
    if not follows:
        os.kill(child, signal.SIGKILL)


def test_a_launcher_that_is_gone_already_is_noticed(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setattr(stopping.os, "getppid", lambda: 1)
    monkeypatch.setattr(stopping, "LAUNCHERS", ())
    with pytest.raises(Preempted, match="the launcher is gone"):
        follow_launcher()
