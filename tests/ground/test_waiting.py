"""Threads wait briefly unless the user says otherwise, and every bit stays as it is."""

import os
import subprocess
import sys

from ground.waiting import ROUNDS, SAID_BY, SPIN, said_in_environment, wait_briefly

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


def test_threads_wait_briefly_unless_the_environment_says_how(monkeypatch):
    for name in SAID_BY:
        monkeypatch.delenv(name, raising=False)
    assert said_in_environment() == {}
    wait_briefly()
    assert said_in_environment() == {SPIN: ROUNDS}
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
        heeded = f"{SPIN} = '{rounds or ROUNDS}'"
        assert said == str({SPIN: rounds or ROUNDS}) and heeded in done.stderr
        found[rounds] = bits
    assert found[None] == found["300000"]
