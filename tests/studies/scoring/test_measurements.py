"""A measurement of somebody's own: a class and a line of the registry."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from ground.endings import Mistake
from studies import stages
from studies.run.opened import Experiment
from studies.scoring.measurements import registry
from studies.scoring.measurements.measurement import Measurement
from studies.scoring.measurements.oracle import OracleReadings
from studies.scoring.measurements.probe import ProbeReadings
from studies.verify.verify import verify
from tests.harness.evaluations import copy, quiet


@pytest.fixture
def shown(root) -> type[Measurement]:
    """The class that the page of measurements shows."""
    names: dict = {}
    text = (root / "docs" / "extending" / "measurements.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(block, names)
    return names["Brightness"]


@pytest.fixture
def measured(shown, monkeypatch) -> None:
    always = (shown, lambda experiment: True)
    monkeypatch.setattr(registry, "MEASUREMENTS", (*registry.MEASUREMENTS, always))


def test_it_reads_what_is_drawn_into_a_table_beside_the_scores(
    measured, scored, config, drawn, tmp_path
):
    run, said = copy(scored, tmp_path / "runs"), []
    stages.evaluate_stage(Experiment(config, run), said.append)
    assert drawn == [] and said[-1] == "evaluate: scored 3 of 13 parts"
    table = pd.read_parquet(run.table("brightness"))
    assert len(table) == 3 * 8 * 9 and {*table["step"]} == {0, 2, 4}
    assert table["brightness"].between(0, 1).all() and table["brightness"].nunique() > 100
    assert {"combination", "prompt", "sample", "weights", "sampler"} <= {*table.columns}
    stages.evaluate_stage(Experiment(config, run), said.append)
    assert said[-1] == "evaluate: finished before, 13 parts"
    part = next(run.table("brightness").iterdir())
    part.write_bytes(part.read_bytes()[:-9])
    (remark,) = [remark for remark in verify(run) if remark.level == "damaged"]
    assert remark.path == part and "cannot read these rows" in remark.what


def test_it_may_ask_for_the_model(scored, config, monkeypatch, tmp_path):
    parameters = []

    class Asking(ProbeReadings):
        def measure(self, subject):
            if subject.plan.step < 0:
                with pytest.raises(Mistake, match="render: has no model to measure"):
                    subject.model()
            else:
                parameters.append(subject.model().unet.num_parameters())
            return super().measure(subject)

    asking = (Asking, lambda experiment: True)
    monkeypatch.setattr(registry, "MEASUREMENTS", (asking,))
    run = copy(scored, tmp_path / "runs")
    plans = [part for part in run.scores.glob("*.parquet") if "oracle" not in part.name]
    for part in plans:
        if not part.name.startswith("memoriser"):
            part.unlink()
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert len(parameters) == 3 and len({*parameters}) == 1


def test_an_experiment_is_measured_by_what_it_asks_for(scored, config):
    both = registry.measurements_of(Experiment(config, scored))
    assert [type(m) for m in both] == [ProbeReadings, OracleReadings]
    alone = replace(config, evaluate=replace(config.evaluate, oracle=False))
    assert [type(m) for m in registry.measurements_of(Experiment(alone, scored))] == [ProbeReadings]
