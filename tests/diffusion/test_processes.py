"""What the launcher may not decide, and what processes check of each other."""

import os
import socket
import subprocess
import sys

import pytest
import torch

import diffusion.processes as module
from diffusion.processes import Processes, build_accelerator, partners
from diffusion.train_config import TrainConfig, count_parts
from ground.endings import Mistake, Preempted

WORK = """
import time
from datetime import timedelta
import torch.distributed as dist
dist.init_process_group("gloo", timeout=timedelta(seconds=4))  # in place of half an hour
import diffusion.processes as module
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
processes = module.Processes(module.build_accelerator(TrainConfig(threads=1)))
def work():
    time.sleep(10)
    return "made"
module.BEAT_SECONDS = 1.0
print(processes.once(work))
print(processes.each(lambda: time.sleep(6 * processes.rank) or processes.rank))
module.BEAT_SECONDS = 1000.0
try:
    print(processes.once(work), flush=True)
except Mistake as mistake:
    print(str(mistake)[:34], flush=True)
"""


@pytest.fixture
def processes() -> Processes:
    return Processes(build_accelerator(TrainConfig(threads=1)))


def test_precision_is_the_experiments_to_say(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(Mistake, match="launcher asks for 'bf16', but train.precision is 'float32'"):
        build_accelerator(TrainConfig())
    build_accelerator(TrainConfig(precision="bf16", threads=1))


def test_accumulation_is_the_experiments_to_say(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    with pytest.raises(Mistake, match="asks for 4; set train.micro_batch_size instead"):
        build_accelerator(TrainConfig())


def test_a_tracker_that_is_not_installed_is_refused():
    with pytest.raises(Mistake, match="train.tracker: got 'clearml', which is not installed or"):
        build_accelerator(TrainConfig(tracker="clearml"))


def test_equal_slices_and_different_configs_are_found(processes, monkeypatch):
    processes.check_different("part of the batch", 3)
    processes.check_equal("config", "a")
    monkeypatch.setattr(processes, "gather", lambda value: [1, 2, 1])
    with pytest.raises(Mistake, match="processes 0 and 2 hold the same part of the batch"):
        processes.check_different("part of the batch", 1)
    with pytest.raises(Mistake, match="processes 0 and 1 hold different configs; start all alike"):
        processes.check_equal("config", "1")


def test_a_failure_of_the_first_process_reaches_all(processes, monkeypatch):
    def fail() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        processes.once(fail)
    monkeypatch.setattr(processes, "is_main", False)
    for stopped, kind in ((False, Mistake), (True, Preempted)):
        failure = (stopped, "no space left")
        monkeypatch.setattr(processes, "gather", lambda value, f=failure: [(None, f), (None, None)])
        with pytest.raises(kind, match="no space left"):
            processes.once(fail)  # not run here


def test_a_launcher_whose_processes_do_not_find_each_other_is_named(monkeypatch):
    def fail(**settings) -> None:
        raise ValueError("`MASTER_ADDR` env was not set\nmore")

    monkeypatch.setattr(module, "Accelerator", fail)
    with pytest.raises(Mistake, match="do not find each other .`MASTER_ADDR` env was not set.;"):
        build_accelerator(TrainConfig())


def test_a_process_that_is_gone_is_said_in_one_line():
    with pytest.raises(
        Mistake, match="another process of this run is gone .Connection closed by peer"
    ):
        with partners():
            raise RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:1\nmore")
    with pytest.raises(RuntimeError, match="CUDA error"), partners():
        raise RuntimeError("CUDA error")


@pytest.mark.slow
def test_nobody_times_out_on_work_that_goes_on():
    """It takes longer than a collective may. Without signs of life the processes part."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", WORK],
            env={**os.environ, **world, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in ranks:
        said = process.communicate(timeout=500)[0].splitlines()
        assert said == ["made", "[0, 1]", "another process of this run is gon"]


@pytest.mark.parametrize(
    "changes, world_size, parts",
    [
        ({}, 1, 1),
        ({}, 4, 4),
        ({"micro_batch_size": 8}, 2, 8),
        ({"micro_batch_size": 16, "reduction": "in_order"}, 4, 4),
    ],
)
def test_a_batch_is_made_of_equal_parts(changes, world_size, parts):
    assert count_parts(TrainConfig(batch_size=64, **changes), world_size) == parts


@pytest.mark.parametrize(
    "changes, world_size, message",
    [
        ({}, 3, "train.batch_size: 64 does not divide among 3 processes; use a multiple"),
        ({"micro_batch_size": 24}, 1, "micro_batch_size: 24 images in each of 1 processes do not"),
        ({"micro_batch_size": 64}, 2, "micro_batch_size: 64 images in each of 2 processes do not"),
        ({"reduction": "in_order"}, 1, "micro_batch_size: missing; reduction in_order adds up"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(changes, world_size, message):
    with pytest.raises(Mistake, match=message):
        count_parts(TrainConfig(batch_size=64, **changes), world_size)


class Several(Processes):
    """Two processes, of which the other one affords `other` steps and is never asked to stop."""

    def __init__(self, other: int):
        self.world_size, self.other, self.calls = 2, other, 0

    def largest(self, *values: int) -> list[int]:
        flag, affordable = values
        self.calls += 1
        return [flag, max(affordable, -self.other)]


@pytest.mark.parametrize(
    "seconds, other, gaps", [(0.1, 99, [1, 10, 10]), (5.0, 99, [1, 1, 1]), (1e-4, 7, [1, 7, 7])]
)
def test_processes_look_for_requests_about_every_second(seconds, other, gaps):
    """After the first step, then after as many as take a second, at most 20, by the slowest."""
    now, both = [0.0], Several(other)
    vote, asked = module.StopVote(both, lambda: False, clock=lambda: now[0]), []
    for step in range(1, 60):
        now[0] += seconds
        before = both.calls
        assert not vote.stop()
        asked += [step] if both.calls > before else []
    assert [b - a for a, b in zip([0, *asked], asked, strict=False)][:3] == gaps


def test_a_request_is_heard_at_the_next_look():
    now, both, asked = [0.0], Several(99), [False]
    vote = module.StopVote(both, lambda: asked[0], clock=lambda: now[0])
    heard = []
    for step in range(1, 30):
        now[0] += 0.25
        asked[0] = step >= 6
        heard += [step] if vote.stop() else []
    assert heard[0] == 9  # looks after steps 1, 5, 9, …


def test_one_process_looks_after_every_step(processes):
    answers = iter([False, True, False])
    vote = module.StopVote(processes, lambda: next(answers))
    assert [vote.stop() for _ in range(3)] == [False, True, False]


def test_tf32_is_one_policy_for_products_and_convolutions():
    for allowed in (True, False):
        build_accelerator(TrainConfig(threads=1, tf32=allowed))
        assert torch.backends.cuda.matmul.allow_tf32 == allowed
        assert torch.backends.cudnn.allow_tf32 == allowed
