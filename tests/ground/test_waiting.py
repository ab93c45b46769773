"""Threads wait briefly unless the user says otherwise, and every bit stays as it is."""

import os
import subprocess
import sys

import pytest

from ground import waiting
from ground.waiting import (
    ROUNDS,
    ROUNDS_BESIDE_OTHERS,
    SAID_BY,
    SPIN,
    busy_cores,
    said_in_environment,
    wait_briefly,
)

STEP = """
import hashlib
from ground.waiting import said_in_environment, wait_briefly
wait_briefly()
import torch
torch.set_num_threads(2)
torch.manual_seed(0)
images = torch.randn(8, 16, 16, 16, requires_grad=True)
weight = torch.randn(16, 16, 3, 3, requires_grad=True)
torch.nn.functional.conv2d(images, weight, padding=1).square().mean().backward()
gradient = (weight.grad.numpy().tobytes(), images.grad.numpy().tobytes())
print(said_in_environment(), hashlib.sha256(b"".join(gradient)).hexdigest(), sep="|")
"""


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Have the kernel count, between two looks, some ticks of each of two cores."""
    monkeypatch.setattr(waiting, "STATISTICS", tmp_path / "stat")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 2})

    def count(*columns: str) -> None:
        """Columns of cpu1 and cpu2: user nice system idle iowait irq softirq steal guest nice."""
        write = waiting.STATISTICS.write_text
        write("cpu 9 9 9 9 9 9 9 9 9 9\ncpu1 " + "0 " * 10 + "\ncpu2 " + "0 " * 10 + "\nctxt 7\n")
        after = "".join(f"cpu{n} {own}\n" for n, own in enumerate(("50" + " 0" * 9, *columns)))
        monkeypatch.setattr(waiting.time, "sleep", lambda seconds: write(after))

    return count


@pytest.mark.parametrize(
    ("cpu1", "cpu2", "busy"),
    [
        ("0 0 0 5 0 0 0 0 0 0", "0 0 0 4 1 0 0 0 0 0", 0),  # waiting for a disk is no work
        ("5 0 0 0 0 0 0 0 5 0", "0 0 1 4 0 0 0 0 0 0", 1.2),  # a guest is counted in user
        ("0 1 1 1 0 1 1 0 0 0", "0 0 0 0 0 0 0 5 0 0", 1.8),  # stolen: the core was not there
        ("0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0", 0),  # no tick has passed
    ],
)
def test_cores_of_others_are_counted(kernel, cpu1, cpu2, busy):
    kernel(cpu1, cpu2)
    assert busy_cores() == pytest.approx(busy)


def test_ranks_and_other_systems_look_at_no_core(kernel, monkeypatch):
    kernel("5" + " 0" * 9, "5" + " 0" * 9)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert busy_cores() == 0
    monkeypatch.delenv("WORLD_SIZE")
    assert busy_cores() == 2
    waiting.STATISTICS.unlink()
    assert busy_cores() == 0


def test_the_kernel_is_understood_here():
    assert 0 <= busy_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("busy", "rounds"), [(0.5, ROUNDS), (0.51, ROUNDS_BESIDE_OTHERS)])
def test_threads_wait_briefly_unless_the_environment_says_how(monkeypatch, busy, rounds):
    monkeypatch.setattr(waiting, "busy_cores", lambda: busy)
    for name in SAID_BY:
        monkeypatch.delenv(name, raising=False)
    assert said_in_environment() == {}
    wait_briefly()
    assert said_in_environment() == {SPIN: rounds}
    monkeypatch.delenv(SPIN)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert said_in_environment() == {"OMP_WAIT_POLICY": "ACTIVE"}


def test_libgomp_heeds_the_choice_and_bits_stay():
    found = {}
    for rounds in (None, "300000"):
        others = {name: value for name, value in os.environ.items() if name not in SAID_BY}
        own = {**others, "OMP_DISPLAY_ENV": "VERBOSE"} | ({SPIN: rounds} if rounds else {})
        done = subprocess.run(
            [sys.executable, "-c", STEP], env=own, capture_output=True, text=True, check=True
        )
        said, bits = done.stdout.strip().split("|")
        possible = [rounds] if rounds else [ROUNDS, ROUNDS_BESIDE_OTHERS]  # whoever runs beside
        chosen = next(r for r in possible if said == str({SPIN: r}))
        assert f"{SPIN} = '{chosen}'" in done.stderr
        found[rounds] = bits
    assert found[None] == found["300000"]
