"""Later evaluations add to what is there, and what is shown is never a mixture."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from classifiers.scores import KEY, read_facts, read_part, write_part
from studies import stages
from studies.experiment.config import to_yaml
from studies.findings.plotting import plot_runs
from studies.findings.run_findings import Findings
from studies.findings.run_report import report_is_fresh
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.provenance import VERSIONS
from studies.verify.verify import verify
from tests.harness.evaluations import changed, copy, files, quiet

PARTS = 5  # of each instrument: true renders, snapshots 0, 2 and 4, the memoriser


@pytest.fixture
def run(run, scored) -> RunDir:
    """Scored already."""
    shutil.copytree(scored.samples, run.samples)
    shutil.copytree(scored.scores, run.scores)
    return run


@pytest.mark.slow
def test_another_probe_adds_scores_to_the_same_samples(run, config, drawn):
    before = files(run)
    other = replace(config, probe=replace(config.probe, steps=3))
    stages.probe_stage(Experiment(other, run), quiet)
    stages.evaluate_stage(Experiment(other, run), quiet)
    assert not drawn and before.items() <= files(run).items()
    scores = pd.read_parquet(run.scores)
    assert scores["probe"].nunique() == 3 and len(files(run)) == len(before) + PARTS
    assert not scores.duplicated(list(KEY)).any()


@pytest.mark.parametrize(
    "change, tiles",
    [({"guidance_scale": 2.0}, 6), ({"sampler": "dpmsolver++"}, 8), ({"both_weights": True}, 6)],
    ids=["guidance", "sampler", "weights"],
)
def test_other_settings_add_to_what_is_there(run, config, drawn, change, tiles):
    """The memoriser knows samplers, neither guidance nor weights."""
    before = files(run)
    stages.evaluate_stage(Experiment(changed(config, **change), run), quiet)
    assert len(drawn) == tiles and before.items() <= files(run).items()
    assert [f.line() for f in verify(run) if f.level != "note"] == []


@pytest.mark.slow
def test_both_weights_are_scored_and_never_mixed(run, config, tmp_path):
    both = changed(config, both_weights=True, oracle=False)
    stages.evaluate_stage(Experiment(both, run), quiet)
    scores = pd.read_parquet(run.scores)
    own = scores[(scores["run"] == "tiny") & (scores["probe"] != "oracle")]
    counts = own.groupby("weights").size()
    assert counts["ema"] == counts["raw"] == 3 * 8 * 9 * 3
    said: list[str] = []
    stages.report_stage(Experiment(both, run), said.append)
    tables = [line for line in said if "[95 % interval]" in line]
    assert [", ema [" in t for t in tables] == [True, False] and ", raw [" in tables[1]
    shown = Findings([Experiment(both, run)])
    assert {*shown.scores["weights"]} == {"ema", "none"}
    assert shown.weights().startswith("ema shown; raw: joint accuracy train 0.")
    assert "ema shown; raw: joint" in run.report.read_text()
    assert report_is_fresh(shown)
    other = copy(run, tmp_path / "raw")
    raw = replace(changed(config, weights="raw"), name="other")
    (other.path / "config.yaml").write_text(to_yaml(raw))
    plot_runs([run.path, other.path], tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").glob("samples*.png")}
    assert names == {"samples-tiny, ema.png", "samples-other, raw.png"}


def test_a_run_that_only_a_probe_has_read_gets_the_oracles_parts(run, scored, config, drawn):
    for part in run.scores.glob("*-oracle.parquet"):
        part.unlink()
    without, said = changed(config, oracle=False), []
    stages.evaluate_stage(Experiment(without, run), said.append)
    stages.evaluate_stage(Experiment(config, run), said.append)
    assert said == ["evaluate: finished before, 5 parts", "evaluate: scored 5 of 10 parts"]
    assert not drawn and files(run) == files(scored)


def test_readings_of_another_oracle_are_read_again(run, scored, config, drawn):
    (part,) = run.scores.glob("step_00000004*-oracle.parquet")
    facts = {**read_facts(part), "oracle": "0"}
    write_part(part, read_part(part).assign(predicted="circle"), facts)
    what = "read by another version of the oracle; scripts/evaluate.py reads again"
    assert what in [finding.what for finding in verify(run) if finding.path == part]
    said: list[str] = []
    stages.evaluate_stage(Experiment(config, run), said.append)
    assert said == ["evaluate: scored 1 of 10 parts"] and not drawn
    assert read_facts(part)["oracle"] == VERSIONS["oracle"] and files(run) == files(scored)
