"""What all command lines share: what they print, whom they take themselves for, how they end."""

import os
import signal
import subprocess
import sys

import pytest

from ground.endings import Mistake
from studies.cli import check_launcher, read_flags
from studies.experiment.config import EvaluateConfig
from studies.worlds.intervention_config import Latent, Patch

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.mark.parametrize(
    "environment",
    [{}, TORCHRUN, {"WORLD_SIZE": "1"}, {"RANK": "0", "WORLD_SIZE": "1"}, {"MASTER_ADDR": "node"}],
)
def test_alone_or_under_a_launcher(environment):
    check_launcher(environment)


@pytest.mark.parametrize(
    "environment, message",
    [
        (
            {"WORLD_SIZE": "2"},
            "WORLD_SIZE: is 2 in the environment, but without RANK, LOCAL_RANK, ",
        ),
        (
            {"RANK": "1"},
            "RANK: is 1 in the environment, but without WORLD_SIZE, ",
        ),
        (
            {"LOCAL_RANK": "0"},
            "LOCAL_RANK: is 0 in the environment, but without RANK, WORLD_SIZE",
        ),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: got 'two' in the environment, allowed whole numbers"),
        ({**TORCHRUN, "RANK": "2"}, "RANK: got 2, allowed 0 to below WORLD_SIZE=2"),
    ],
)
def test_half_a_launcher_is_refused(environment, message):
    with pytest.raises(Mistake, match=message):
        check_launcher(environment)


def script(root, body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"from studies.cli import say, start\ndef main():\n    {body}\nstart(main"
    resumes = environment.pop("resumes", "True")
    return subprocess.run(
        [sys.executable, "-c", f"{code}, resumes={resumes})"],
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_a_terminal_cannot_show_is_escaped(root):
    done = script(root, "say('64 → 32')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "64 \\u2192 32\n"), done.stderr


@pytest.mark.parametrize(
    "text, what",
    [
        ("{kind: latent, alpha: 1, alpa: 2}", ".alpa: unknown key (did you mean 'alpha'?)"),
        ("{kind: switch, concept: color, at: 2}", ".at: got 2, allowed 0 to 1"),
        ("{kind", ": got '{kind', allowed such as '{kind: latent, alpha: 2}'"),
        ("latent", ": got 'latent', allowed a mapping of keys to values"),
    ],
)
def test_a_mistake_in_the_flag_of_an_intervention_is_one_line(text, what, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evaluate", "--interventions", text])
    with pytest.raises(Mistake) as raised:
        read_flags(EvaluateConfig, EvaluateConfig(), "")
    assert str(raised.value).startswith(f"evaluate.interventions{what}")
    assert "\n" not in str(raised.value)


def test_flags_of_interventions_hold_yaml(monkeypatch):
    texts = ["{kind: latent, alpha: 2}", "{kind: patch}"]
    monkeypatch.setattr(sys, "argv", ["evaluate", "--interventions", *texts])
    read = read_flags(EvaluateConfig, EvaluateConfig(), "")
    assert read.interventions == (Latent(alpha=2.0), Patch())
    monkeypatch.setattr(sys, "argv", ["evaluate"])
    assert read_flags(EvaluateConfig, read, "") == read


def test_a_wrong_rank_is_told_though_others_are_silent(root):
    done = script(root, "say('begun')", RANK="1")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(
        "rank 1: error: RANK: is 1 in the environment, but without WORLD_SIZE"
    )


@pytest.mark.parametrize(
    "number, resumes, kept",
    [
        (signal.SIGINT, "True", "what was finished is kept; the same command goes on"),
        (signal.SIGINT, "False", "nothing is kept; the same command begins anew"),
        (signal.SIGTERM, "False", "nothing is kept; the same command begins anew"),
    ],
)
def test_a_stop_says_what_it_keeps(root, number, resumes, kept):
    own = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # nohup's children ignore it
    body = f"import os, signal, time; {own}; os.kill(os.getpid(), {int(number)}); time.sleep(60)"
    done = script(root, body, resumes=resumes)
    assert done.returncode == 75 and kept in done.stderr and done.stderr.count("\n") == 1
