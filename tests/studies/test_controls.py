"""Controls: prompts have no effect where captions were shuffled, and a large one where not."""

import subprocess
import sys
from dataclasses import replace

import pytest

from analysis.tables.trajectory import prompt_effect
from studies.experiment.config import read_config
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.run.opened import Experiment

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def effects(tmp_path_factory, root):
    """{config: effect of prompts per concept} of the tiny world and its shuffled twin, which run
    beside each other."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    flags = ["--runs", str(folder), "--train.threads", "1"]
    commands = [
        [sys.executable, "scripts/run.py", "--config", f"configs/{name}.yaml", *flags]
        for name in ("tiny", "tiny_shuffled")
    ]
    for process in [subprocess.Popen(command, cwd=root) for command in commands]:
        assert process.wait() == 0
    for name in ("tiny", "tiny_shuffled"):
        run = RunDir(folder / name)
        config = run.read_config()
        found[name] = prompt_effect(Findings([Experiment(config, run)]).scores)
        print(name, found[name].to_dict())
    return found


def test_the_twins_differ_in_their_captions_alone(root):
    tiny, shuffled = (
        read_config(root / "configs" / f"{name}.yaml") for name in ("tiny", "tiny_shuffled")
    )
    assert shuffled.captions.shuffled
    same = {key: getattr(tiny, key) for key in ("name", "question", "captions")}
    assert replace(shuffled, **same) == tiny


def test_shuffled_captions_leave_prompts_without_effect(effects):
    """1024 images: chance alone moves an effect by .03, one standard error."""
    assert effects["tiny_shuffled"].max() <= 0.1


def test_the_unshuffled_twin_learns(effects):
    """On its way, in two minutes: the color is obeyed first."""
    assert effects["tiny"]["color"] > 0.5
    assert effects["tiny"].mean() > 0.3
