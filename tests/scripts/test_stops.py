"""A run asked to stop ends soon, says so, and the same command goes on.

More stops: pytest tests/scripts/test_stops.py --numprocesses 0 -s --timeout 3600 --stops 10
"""

import json
import random
import signal
import time

import pytest

from tests.harness.moments import MOMENTS, await_moment
from tests.harness.processes import Attempt, Job, run_to_end
from tests.harness.tiny_runs import evaluation, tiny_job

pytestmark = pytest.mark.slow
SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_SECONDS = 30  # what a batch system leaves between asking and killing
PREEMPTED = 75
MANY_STEPS = ("--evaluate.num-inference-steps", "10")  # sampling outlasts the wait for a stop


def stop(job: Job, moment: str, number: signal.Signals, rng: random.Random) -> int:
    """Ask whom we started, in the middle of its work; its exit status."""
    with Attempt(job) as attempt:
        in_time = await_moment(attempt, MOMENTS[moment], rng)
        assert in_time, f"ended before it was asked to\n{attempt.tail()}"
        attempt.process.send_signal(number)
        asked = time.monotonic()
        status = attempt.end(STOP_SECONDS)
    print(f"{moment}, {number.name}: status {status} after {time.monotonic() - asked:.1f} s")
    return status


def state_of(job: Job, writer: str) -> str:
    return json.loads((job.run_directory / "status.json").read_text())[writer]["state"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_training_asked_to_stop_goes_on(ranks, tmp_path, request):
    """Two ranks: the launcher is asked, and hands it on."""
    stops, rng = request.config.getoption("--stops"), random.Random(ranks)
    job = tiny_job("train", tmp_path, steps=50 * stops + 20, snapshots=4, ranks=ranks)
    for number in SIGNALS * stops:
        status = stop(job, "step", number, rng)
        assert status == PREEMPTED or ranks > 1  # launchers return their own
        assert state_of(job, "train") == "preempted"
    run_to_end(job)
    assert state_of(job, "train") == "done"


@pytest.mark.parametrize("ranks", [1, 2])
def test_sampling_asked_to_stop_goes_on(ranks, tmp_path, request):
    trained, rng = tiny_job("train", tmp_path, steps=16, snapshots=8), random.Random(0)
    run_to_end(trained)
    for repetition in range(request.config.getoption("--stops")):
        seed = ("--evaluate.seed", str(repetition))  # of the noise: all is to be sampled anew
        job = evaluation(trained.run_directory, *seed, *MANY_STEPS, ranks=ranks)
        for number in SIGNALS:
            status = stop(job, "sampling", number, rng)
            assert status == PREEMPTED or ranks > 1  # launchers return their own
            assert state_of(job, "evaluate") == "preempted"
        run_to_end(job)
        assert state_of(job, "evaluate") == "done"
