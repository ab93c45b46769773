"""The demo itself, at its full length: what the README promises."""

import json
import re

import pytest

from studies.experiment.config import read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.stages import run_experiment

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.full]


def test_the_demo_composes_what_it_never_saw(root, tmp_path):
    from analysis.tables.trajectory import final_accuracy
    from studies.findings.run_findings import Findings

    config = read_config(root / "configs" / "quickstart.yaml")
    run, lines = RunDir(tmp_path / "quickstart"), []
    run_experiment(Experiment(config, run), lines.append)
    print("\n".join(lines))
    findings = Findings([Experiment(config, run)])
    joint = final_accuracy(findings.curves).query("measure == 'joint'").set_index("split")
    assert joint.loc["train", "accuracy"] >= 0.95
    assert joint.loc["held_out", "accuracy"] >= 0.95
    assert findings.first_step_accuracy() == 0  # noise is no scene
    certificate = json.loads((run.probe / "certificate.json").read_text())
    assert all(c["accuracy"] >= 0.99 for c in certificate["concepts"].values())
    assert re.search(r"^report: ", lines[-1])
